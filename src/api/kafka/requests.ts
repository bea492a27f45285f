/** From a frame to its answer: header, body, handler, encoding. */
import { readInt16 } from "../../base/bytes.ts";
import type { DoorApi } from "../../broker/broker-api.ts";
import { APIS, type ApiName } from "../../kafka-wire/api-keys.ts";
import {
  decodeRequest,
  decodeRequestHeader,
  encodeResponse,
  type RequestHeader,
  type ResponseInputs,
} from "../../kafka-wire/messages.ts";
import type { Ports } from "../../ports/ports.ts";
import { apiVersionsRefusal } from "./api-versions.ts";
import type { Answer, Connection, RequestServer } from "./connection.ts";
import { Disconnect, type DoorHandler, type DoorHandlers, type DoorState } from "./door-handler.ts";

/** Their time is told by the broker itself, or is mostly waiting for what is not there yet. */
const NOT_TIMED: ReadonlySet<ApiName> = new Set(["Produce", "Fetch"]);
const PRODUCE_KEY = APIS.Produce.key;

export class KafkaRequests implements RequestServer {
  readonly #ports: Ports;
  readonly #broker: DoorApi;
  readonly #door: DoorState;
  readonly #handlers: DoorHandlers;

  constructor(
    ports: Ports,
    options: {
      readonly broker: DoorApi;
      readonly door: DoorState;
      readonly handlers: DoorHandlers;
    },
  ) {
    this.#ports = ports;
    this.#broker = options.broker;
    this.#door = options.door;
    this.#handlers = options.handlers;
  }

  pipelines(frame: Uint8Array): boolean {
    return readInt16(frame, 0) === PRODUCE_KEY;
  }

  serve(frame: Uint8Array, connection: Connection): Answer | Promise<Answer> {
    const header = decodeRequestHeader(frame);
    if (!header.ok) return { close: `its request makes no sense: ${header.reason}` };
    const { api, apiKey, apiVersion, supported, correlationId } = header.value;
    const handler = api === undefined ? undefined : this.#handlers[api];
    if (api === undefined || handler === undefined) {
      return { close: `it asks for API ${apiKey}, which is not served` };
    }
    if (!supported) {
      if (api === "ApiVersions") {
        // Whoever speaks a later version learns from the oldest answer what to ask.
        const body = apiVersionsRefusal();
        return { chunks: encodeResponse({ api, version: 0, correlationId, body }) };
      }
      return { close: `it asks for version ${apiVersion} of ${api}, which is not served` };
    }
    return this.#handle(api, handler as DoorHandler<ApiName>, header.value, frame, connection);
  }

  #handle<Name extends ApiName>(
    api: Name,
    handler: DoorHandler<Name>,
    header: RequestHeader,
    frame: Uint8Array,
    connection: Connection,
  ): Answer | Promise<Answer> {
    const { apiVersion: version, correlationId, clientId, bodyAt } = header;
    const request = decodeRequest(api, version, frame, bodyAt);
    if (!request.ok) return { close: `its ${api} request makes no sense: ${request.reason}` };
    const startedMs = this.#ports.clock.monotonicMs();
    const answer = (body: ResponseInputs[Name] | undefined): Answer => {
      this.#time(api, startedMs);
      if (body === undefined) return { chunks: undefined };
      const chunks = encodeResponse({ api, version, correlationId, body });
      const { throttleTimeMs = 0 } = body as { readonly throttleTimeMs?: number };
      return { chunks, throttleMs: throttleTimeMs };
    };
    try {
      const served = handler(request.value, {
        broker: this.#broker,
        ports: this.#ports,
        door: this.#door,
        connection,
        version,
        clientId,
        clientHost: connection.stream.remoteHost,
        listenerName: connection.listenerName,
      });
      return served instanceof Promise ? served.then(answer).catch(closeOf) : answer(served);
    } catch (thrown) {
      return closeOf(thrown);
    }
  }

  #time(api: ApiName, startedMs: number): void {
    if (NOT_TIMED.has(api)) return;
    const { clock, meter } = this.#ports;
    const seconds = (clock.monotonicMs() - startedMs) / 1_000;
    meter.observe("ottla_request_duration_seconds", { request: api }, seconds);
  }
}

/** Whatever is not a decision to disconnect is a defect, and goes on. */
function closeOf(thrown: unknown): Answer {
  if (thrown instanceof Disconnect) return { close: thrown.message };
  throw thrown;
}
