/**
 * An answer without what must differ between two clusters: addresses, ids that were drawn, times,
 * texts for people. What stands in its place says of which kind it was, so that a missing id or a
 * time that is -1 still shows.
 */
import type { ApiName } from "../../src/kafka-wire/api-keys.ts";
import { ZERO_UUID } from "../../src/kafka-wire/reader.ts";
import { splitBatches } from "../../src/record/batch.ts";

export type Shape =
  | null
  | boolean
  | number
  | string
  | readonly Shape[]
  | { readonly [field: string]: Shape };

/** What one run drew by itself, and what it is called in both. */
export interface Names {
  /** Stands in every topic and group of the run; left out of what is compared. */
  readonly token: string;
  /** Ids that the cluster drew (topics, members), by their value. */
  readonly ids: ReadonlyMap<string, string>;
  /** First timestamp of the run's records, in milliseconds since 1970. */
  readonly baseTimestamp: number;
}

const TIMES_WITHIN_MS = 10_000_000;
/** Told as "<name>" wherever there is one: differs by its nature. */
const DRAWN: ReadonlySet<string> = new Set([
  "controllerId",
  "nodeId",
  "producerId",
  "sessionId",
  "lastFetchTimestamp",
  "lastCaughtUpTimestamp",
  "logAppendTimeMs",
  "totalBytes",
  "usableBytes",
  "partitionSize",
  "replicaDirectoryId",
  "finalizedFeaturesEpoch",
]);
/** Only in answers of these APIs, where they describe the cluster and not the topic of a case. */
const DRAWN_IN: Partial<Record<ApiName, ReadonlySet<string>>> = {
  DescribeQuorum: new Set(["leaderId", "leaderEpoch", "highWatermark", "logEndOffset"]),
};
const TIMES: ReadonlySet<string> = new Set(["timestamp", "lastTimestamp", "maxTimestamp"]);

export function normalise(api: ApiName, answer: unknown, names: Names): Shape {
  const special = DRAWN_IN[api];

  function one(field: string, value: unknown): Shape {
    if (value === null || value === undefined) return null;
    if (value instanceof Uint8Array) return bytes(field, value);
    if (Array.isArray(value)) return value.map((item) => one(field, item));
    if (typeof value === "object") return struct(value as Record<string, unknown>);
    if (typeof value === "string") return string(field, value);
    if (typeof value === "number") return number(field, value);
    return value as boolean;
  }

  function struct(value: Record<string, unknown>): Shape {
    const out: Record<string, Shape> = {};
    for (const [field, item] of Object.entries(value)) {
      // Neither cluster has quotas.
      if (field !== "throttleTimeMs") out[field] = one(field, item);
    }
    return out;
  }

  function string(field: string, value: string): Shape {
    const id = names.ids.get(value);
    if (id !== undefined) return `<${id}>`;
    if (value === "" || value === ZERO_UUID) return value;
    if (/message$/i.test(field)) return "<text>";
    if (/^(host|clusterId|logDir|documentation)$/.test(field)) return `<${field}>`;
    if (DRAWN.has(field)) return `<${field}>`;
    if (field === "memberId" || field === "leader") return "<memberId>";
    if (field === "topicId") return "<topicId>";
    return value.replaceAll(names.token, "");
  }

  function number(field: string, value: number): Shape {
    if (value < 0) return value;
    if (field === "port" || DRAWN.has(field) || special?.has(field) === true) return `<${field}>`;
    return TIMES.has(field) ? time(value) : value;
  }

  function time(value: number): Shape {
    const since = value - names.baseTimestamp;
    return Math.abs(since) < TIMES_WITHIN_MS ? `<begin>+${since}` : value;
  }

  function bytes(field: string, value: Uint8Array): Shape {
    if (field !== "records") return `bytes ${Buffer.from(value).toString("hex")}`;
    return splitBatches(value).map(({ header }) => ({
      baseOffset: header.baseOffset,
      recordsCount: header.recordsCount,
      sizeBytes: header.sizeBytes,
      attributes: header.attributes,
      leaderEpoch: header.leaderEpoch,
      maxTimestamp: time(header.maxTimestamp),
      baseSequence: header.baseSequence,
    }));
  }

  return one("", answer);
}
