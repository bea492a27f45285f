/** What a request of Kafka's protocol becomes: a function of its body, one per API. */
import type { DoorApi } from "../../broker/broker-api.ts";
import type { ApiName } from "../../kafka-wire/api-keys.ts";
import type { Requests, ResponseInputs } from "../../kafka-wire/messages.ts";
import type { Ports } from "../../ports/ports.ts";

export { errorNumber } from "./wire-errors.ts";

/** What stands around a request's body. */
export interface RequestContext {
  readonly broker: DoorApi;
  readonly ports: Ports;
  readonly version: number;
  readonly clientId: string | null;
  /** The client's address. */
  readonly clientHost: string;
  /** By which it came: addresses of brokers are told as this listener has them. */
  readonly listenerName: string;
}

/** Rejects only for what nobody foresaw. A refusal is an answer, in the shape that the API has for it. */
export type Handler<Name extends ApiName> = (
  request: Requests[Name],
  context: RequestContext,
) => ResponseInputs[Name] | Promise<ResponseInputs[Name]>;

export type Handlers = { readonly [Name in ApiName]?: Handler<Name> };
