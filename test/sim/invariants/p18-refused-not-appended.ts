/**
 * P18: with acks=all a batch is refused, before it is appended, while the ISR that the leader knows
 * is smaller than `min.insync.replicas`; a retry of what the log has is answered all the same. S8
 * with it: a batch that was refused for certain (for lack of replicas, of space, by its sequence)
 * is not found in the log later. Sources: KIP-966 (the strict minimum), KIP-98.
 */
import { minIsrOf } from "../../../src/metadata/image-configs.ts";
import type { ErrorCode } from "../../../src/model/errors.ts";
import {
  type Invariant,
  type ProduceCall,
  partitionByKey,
  type RunContext,
} from "../cluster/run-context.ts";

/** With any other error the batch may have been appended. */
const CERTAIN: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "NOT_ENOUGH_REPLICAS",
  "DISK_FULL",
  "THROTTLING_QUOTA_EXCEEDED",
  "OUT_OF_ORDER_SEQUENCE_NUMBER",
  "UNKNOWN_PRODUCER_ID",
  "INVALID_PRODUCER_EPOCH",
  "INVALID_TIMESTAMP",
  "CORRUPT_MESSAGE",
]);

export function refusedNotAppended(context: RunContext): Invariant {
  /** By batch: how often it was sent. */
  const sent = new Map<string, number>();
  const first = new WeakSet<ProduceCall>();
  /** By machine and batch: the leader epoch in which it was refused. */
  const refused = new Map<string, number>();

  const idOf = (key: string, crc: number): string => `${key} ${crc}`;

  function isShort({ key, one, image }: ProduceCall): boolean {
    const state = key === undefined ? undefined : partitionByKey(image, key);
    return (
      state !== undefined && state.isr.length < minIsrOf(image, one.topic, state.replicas.length)
    );
  }

  return {
    onProduceCall(call) {
      const { key, header, where } = call;
      if (key === undefined || header === undefined) return;
      const id = idOf(key, header.crc);
      const count = (sent.get(id) ?? 0) + 1;
      sent.set(id, count);
      if (count === 1) first.add(call);
      refused.delete(`${where.node} ${id}`);
    },
    onProduced(call, { error, baseOffset }) {
      const { key, header, where, one, image } = call;
      if (key === undefined || header === undefined) return;
      if (error === undefined) {
        if (one.acks !== -1 || !first.has(call) || !isShort(call)) return;
        context.fail(
          "P18 a small ISR takes nothing",
          `${where.node} acknowledged ${key}:${baseOffset}, which it was sent when its ISR was too small`,
        );
        return;
      }
      const state = partitionByKey(image, key);
      if (error.code === "NOT_ENOUGH_REPLICAS" && !isShort(call)) {
        context.fail(
          "P18 a small ISR takes nothing",
          `${where.node} refused a batch of ${key} with ISR ${state?.isr.join(",") ?? "?"}: ${error.message}`,
        );
      }
      // Sent twice: the other one may be under way.
      const id = idOf(key, header.crc);
      if (!CERTAIN.has(error.code as ErrorCode) || sent.get(id) !== 1 || state === undefined)
        return;
      refused.set(`${where.node} ${id}`, state.leaderEpoch);
    },
    onWritten(log, batch, _index, restored) {
      if (restored || refused.size === 0) return;
      const epoch = refused.get(`${log.node} ${idOf(log.key, batch.crc)}`);
      if (epoch !== batch.leaderEpoch) return;
      context.fail(
        "S8 what was refused is not in the log",
        `${log.node} wrote ${log.key}:${batch.baseOffset}, which it had refused in epoch ${epoch}`,
      );
    },
  };
}
