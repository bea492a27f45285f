/**
 * P2, committed is immutable: once a leader showed a high watermark above an offset, what lies
 * there is fixed for ever; P4 and P9 with it: whoever shows a high watermark, and every member of
 * the ISR and ELR then in force, has the log up to it on disk; P5: within one leader epoch it never
 * falls; P7: a fetch returns nothing at or above it. Sources: KIP-101, KIP-207, KIP-966; Vanlightly's
 * TLA+ model of Kafka replication.
 */
import type { Offset } from "../../../src/model/ids.ts";
import { type BatchHeader, lastOffset } from "../../../src/record/batch.ts";
import type { ObservedBatch, ObservedLog } from "../cluster/observed-logs.ts";
import {
  describeBatch,
  type HighWatermarkShown,
  type Invariant,
  logEnd,
  logStart,
  partitionByKey,
  partitionsOf,
  type RunContext,
} from "../cluster/run-context.ts";

interface Shadow {
  /** Committed batches, append only. */
  readonly batches: ObservedBatch[];
  readonly byBase: Map<Offset, ObservedBatch>;
  end: Offset;
}

/** Whether it is what a log cleaner left of the batches whose place it takes. */
function isLeft(context: RunContext, node: string, key: string, header: BatchHeader): boolean {
  const left = context.logs.log(node, key)?.originals?.leftOf(header) ?? [];
  return left.some(({ crc }) => crc === header.crc);
}

export function committedImmutable(context: RunContext): Invariant {
  const shadows = new Map<string, Shadow>();
  const shownBy = new Map<string, Offset>();

  function shadowOf(key: string): Shadow {
    let shadow = shadows.get(key);
    if (shadow === undefined) {
      shadow = { batches: [], byBase: new Map(), end: 0 };
      shadows.set(key, shadow);
    }
    return shadow;
  }

  /** Extends the shadow by what the leader has up to its high watermark. */
  function extend(shadow: Shadow, log: ObservedLog | undefined, highWatermark: Offset): void {
    if (log === undefined) return;
    for (let index = log.indexOf(shadow.end); index < log.batches.length; index++) {
      const batch = log.batches[index] as ObservedBatch;
      if (batch.endOffset > highWatermark) break;
      // What lay between was deleted before anybody was shown that it was committed.
      if (logStart(context, log.node, log.key) > shadow.end) shadow.end = batch.baseOffset;
      if (batch.baseOffset !== shadow.end) {
        context.fail(
          "P2 committed is immutable",
          `${log.node} has ${describeBatch(batch)} where ${log.key} is committed up to ${shadow.end}`,
        );
        return;
      }
      shadow.batches.push(batch);
      shadow.byBase.set(batch.baseOffset, batch);
      shadow.end = batch.endOffset;
    }
  }

  /** Its log begins above also where nothing of it is left to look at. */
  function checkPrefix(shadow: Shadow, node: string, key: string, upTo: Offset): void {
    const log = context.logs.log(node, key);
    const start = logStart(context, node, key);
    for (const committed of shadow.batches) {
      if (committed.endOffset > upTo) break;
      if (committed.baseOffset < start) continue;
      const found = log?.at(committed.baseOffset);
      if (found?.crc === committed.crc && found.leaderEpoch === committed.leaderEpoch) continue;
      context.fail(
        "P2 committed is immutable",
        `${node} has ${found === undefined ? "nothing" : describeBatch(found)} at ${key}:${committed.baseOffset}, committed is ${describeBatch(committed)}`,
      );
      return;
    }
  }

  function checkHolders(shown: HighWatermarkShown): void {
    const partition = partitionByKey(context.newestImage(), shown.key);
    if (partition === undefined || partition.leaderEpoch !== shown.leaderEpoch) return;
    for (const id of [...partition.isr, ...partition.elr]) {
      const node = context.nodeOf(id);
      if (context.wasWiped(node)) continue;
      const end = logEnd(context, node, shown.key);
      if (end >= shown.highWatermark) continue;
      context.fail(
        "P9 the ISR holds what is committed",
        `${shown.node} shows high watermark ${shown.highWatermark} of ${shown.key}, broker ${id} of ISR ${partition.isr.join(",")} and ELR ${partition.elr.join(",")} has ${end}`,
      );
    }
  }

  return {
    onHighWatermark(shown) {
      const { node, life, key, leaderEpoch, highWatermark } = shown;
      const log = context.logs.log(node, key);
      const end = logEnd(context, node, key);
      if (end < highWatermark) {
        context.fail(
          "P4 high watermark within the log",
          `${node} shows ${highWatermark} of ${key}, on its disk are ${end}`,
        );
        return;
      }
      const shower = `${node} life ${life} ${key} epoch ${leaderEpoch}`;
      const last = shownBy.get(shower);
      if (last !== undefined && highWatermark < last) {
        context.fail("P5 high watermark never falls", `${shower}: ${last} to ${highWatermark}`);
      }
      const shadow = shadowOf(key);
      if (last === undefined) checkPrefix(shadow, node, key, highWatermark);
      if (last === undefined || highWatermark > last) {
        shownBy.set(shower, highWatermark);
        extend(shadow, log, highWatermark);
        checkHolders(shown);
      }
    },
    onPartition({ key, after }) {
      const shadow = shadows.get(key);
      if (shadow === undefined) return;
      for (const id of [...after.isr, ...after.elr]) {
        const node = context.nodeOf(id);
        const end = logEnd(context, node, key);
        if (context.wasWiped(node) || end >= shadow.end) continue;
        context.fail(
          "P9 the ISR holds what is committed",
          `broker ${id} is in ISR ${after.isr.join(",")} or ELR ${after.elr.join(",")} of ${key} with ${end} of ${shadow.end} committed`,
        );
      }
    },
    onServed({ node, key, fetched }) {
      const shadow = shadowOf(key);
      // Who serves shows as well: a reader that outlived a leader is not told of as showing one.
      extend(shadow, context.logs.log(node, key), fetched.highWatermark);
      for (const { header } of fetched.batches) {
        if (lastOffset(header) >= fetched.highWatermark) {
          context.fail(
            "P7 read bound",
            `${node} served ${key}:${lastOffset(header)} at high watermark ${fetched.highWatermark}`,
          );
        }
        const committed = shadow.byBase.get(header.baseOffset);
        if (committed?.crc === header.crc && committed.leaderEpoch === header.leaderEpoch) continue;
        // What a cleaner left of committed batches is for P20 to judge.
        if (committed?.leaderEpoch === header.leaderEpoch && isLeft(context, node, key, header))
          continue;
        context.fail(
          "P2 committed is immutable",
          `${node} served ${key}:${header.baseOffset} epoch ${header.leaderEpoch}, committed is ${committed === undefined ? "nothing" : describeBatch(committed)}`,
        );
      }
    },
    atEnd() {
      for (const [key, partition] of partitionsOf(context.newestImage())) {
        const shadow = shadowOf(key);
        for (const id of partition.replicas) {
          checkPrefix(shadow, context.nodeOf(id), key, shadow.end);
        }
      }
    },
  };
}
