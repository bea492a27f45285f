/** How the client reaches brokers: gRPC, or what a simulation puts in its place. */
import type { OttlaError } from "../model/errors.ts";
import type { BrokerAddress } from "./core/metadata-cache.ts";
import type { GroupAnswers, GroupCalls } from "./group-messages.ts";
import type {
  FetchRequest,
  FetchResponse,
  ProduceRequest,
  ProduceResponse,
  UnaryCalls,
  UnaryName,
} from "./messages.ts";

export interface StreamEvents<Response> {
  onMessage(response: Response): void;
  /** Once, and nothing after it; not after the client's own `close`. */
  onEnd(error: OttlaError): void;
}

export interface ClientStream<Request> {
  /** Copies all bytes of the request before it returns; queues while the stream is connecting. */
  send(request: Request): void;
  close(): void;
}

export interface CallOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface Connection {
  /**
   * Rejects with the broker's error, with NETWORK_EXCEPTION if the broker cannot be reached,
   * REQUEST_TIMED_OUT after `timeoutMs`, ABORTED.
   */
  call<Name extends UnaryName>(
    name: Name,
    request: UnaryCalls[Name]["request"],
    options: CallOptions,
  ): Promise<UnaryCalls[Name]["response"]>;
  openProduce(events: StreamEvents<ProduceResponse>): ClientStream<ProduceRequest>;
  openFetch(events: StreamEvents<FetchResponse>): ClientStream<FetchRequest>;
  openSession(events: StreamEvents<GroupAnswers>): ClientStream<GroupCalls>;
  /** Settles once the broker is connected; rejects with NETWORK_EXCEPTION after `timeoutMs`. */
  ready(timeoutMs: number): Promise<void>;
  close(): void;
}

export interface Transport {
  connect(address: BrokerAddress): Connection;
}
