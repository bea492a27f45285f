/** What handlers may see beside the broker: the door, and the client's connection. */
import type { ApiName } from "../../kafka-wire/api-keys.ts";
import type { Requests, ResponseInputs } from "../../kafka-wire/messages.ts";
import type { Connection } from "./connection.ts";
import type { KafkaDoorConfig } from "./door-config.ts";
import type { FetchSessions } from "./fetch-sessions.ts";
import type { RequestContext } from "./handler.ts";

/** What all listeners of a broker share. */
export interface DoorState {
  readonly config: KafkaDoorConfig;
  readonly fetchSessions: FetchSessions;
  /** The APIs that have a handler, by key. */
  readonly served: readonly ApiName[];
  /** Bytes of answers that clients have not read. */
  unreadBytes(): number;
}

export interface DoorContext extends RequestContext {
  readonly door: DoorState;
  readonly connection: Connection;
}

/**
 * As `Handler`. Undefined: there is no answer. A `Disconnect` that is thrown ends the connection.
 */
export type DoorHandler<Name extends ApiName> = (
  request: Requests[Name],
  context: DoorContext,
) => ResponseInputs[Name] | undefined | Promise<ResponseInputs[Name] | undefined>;

export type DoorHandlers = { readonly [Name in ApiName]?: DoorHandler<Name> };

/** Kafka's way to tell a client that it is not served. */
export class Disconnect extends Error {
  override readonly name = "Disconnect";
}
