/** Rare paths of what clients are told. */
import type { ErrorCode } from "../../../src/model/errors.ts";
import { NONE } from "../../../src/model/ids.ts";
import type { Hit } from "./probe-taps.ts";
import type { ProbeName } from "./probes.ts";
import { type Invariant, partitionByKey, type RunContext } from "./run-context.ts";

const PRODUCE: Partial<Record<ErrorCode, ProbeName>> = {
  NOT_ENOUGH_REPLICAS: "not-enough-replicas",
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: "not-enough-replicas-after-append",
  REQUEST_TIMED_OUT: "produce-timed-out",
  NOT_LEADER_OR_FOLLOWER: "produce-to-a-former-leader",
  KAFKA_STORAGE_ERROR: "produce-refused-by-storage",
  DISK_FULL: "produce-refused-by-storage",
  OUT_OF_ORDER_SEQUENCE_NUMBER: "out-of-order-sequence-refused",
  UNKNOWN_PRODUCER_ID: "unknown-producer-refused",
  INVALID_PRODUCER_EPOCH: "old-producer-epoch-refused",
};
const FETCH: Partial<Record<ErrorCode, ProbeName>> = {
  OFFSET_OUT_OF_RANGE: "consumer-out-of-range",
  FENCED_LEADER_EPOCH: "consumer-fenced-by-epoch",
  UNKNOWN_LEADER_EPOCH: "consumer-ahead-of-the-leader",
  NOT_LEADER_OR_FOLLOWER: "consumer-at-a-former-leader",
};

export function clientProbes(context: RunContext, hit: Hit): Invariant {
  /** Idempotent batches by partition, producer, epoch and sequence: who answered them first. */
  const answered = new Map<string, string>();
  return {
    onProduced({ where, key, one, header }, { error }) {
      const name = error === undefined ? undefined : PRODUCE[error.code];
      if (name !== undefined) hit(name);
      if (error !== undefined || key === undefined) return;
      if (one.acks === -1) {
        const { isr = [], replicas = [] } = partitionByKey(context.newestImage(), key) ?? {};
        if (isr.length === 2 && replicas.length > 2) hit("acknowledged-with-the-minimum-in-sync");
      }
      if (header === undefined || header.producerId === NONE) return;
      const { producerId, producerEpoch, baseSequence } = header;
      const batch = `${key} ${producerId}/${producerEpoch}/${baseSequence}`;
      const first = answered.get(batch);
      if (first === undefined) answered.set(batch, where.node);
      else {
        hit("retry-answered-from-producer-state");
        if (first !== where.node) hit("retry-answered-by-another-leader");
      }
    },
    onFetched(_started, { error }) {
      const name = error === undefined ? undefined : FETCH[error.code];
      if (name !== undefined) hit(name);
      if (error?.code === "OFFSET_NOT_AVAILABLE") hit("offset-not-available");
    },
    onListed({ item }, { error, offset }) {
      if (error?.code === "OFFSET_NOT_AVAILABLE") hit("offset-not-available");
      if (item.timestamp >= 0 && error === undefined && offset >= 0) {
        hit("offset-found-by-timestamp");
      }
    },
    onRecordsDeleted(_where, _one, { error }) {
      if (error === undefined) hit("records-deleted");
    },
  };
}
