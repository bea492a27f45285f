/** What all clients of one run share. */
import { toOttlaError } from "../../../src/model/errors.ts";
import type { HistoryWriter } from "../../history/format.ts";

/** A topic that lives from the run's beginning to its end. Partitions may be added. */
export interface LastingTopic {
  readonly name: string;
  partitionsCount: number;
  /** Of a compacted topic: its records have one of so many keys, again and again. */
  readonly keysCount: number | undefined;
}

/** What clients need of the cluster that they run against: the simulated one, or a real one. */
export interface ClientStage {
  readonly world: {
    readonly nowMs: number;
    note(text: string): void;
  };
  /** Something that must not happen was seen. */
  fail(invariant: string, detail: string): void;
}

export interface ClientShared {
  readonly cluster: ClientStage;
  readonly history: HistoryWriter;
  readonly bootstrapServers: readonly string[];
  readonly topics: readonly LastingTopic[];
  readonly counts: ClientCounts;
}

export interface ClientCounts {
  sent: number;
  acknowledged: number;
  /** Sends without an outcome, by what shall be said if one never comes. */
  readonly unsettled: Map<object, UnsettledSend>;
  polled: number;
}

export interface UnsettledSend {
  readonly process: string;
  readonly value: string;
  readonly key: string;
  readonly dueMs: number;
}

/** What a record without value is called in the history. */
export const NAME_HEADER = "name";

export function historyKey(topic: string, partition: number): string {
  return `${topic}-${partition}`;
}

export function errorCode(thrown: unknown): string {
  return toOttlaError(thrown).code;
}
