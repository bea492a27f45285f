/**
 * What was acknowledged with acks=all, or read once, stays.
 *
 * - lost-write: an acknowledged value was never read, though a value behind it was, and either the
 *   final read is complete or a reader passed over it.
 * - unseen: the same at the tail: nothing behind it was read either, after a complete final read.
 * - vanished: a value that was read before is missing in a complete final read.
 *
 * Not judged is what may have been removed, or compacted away. Retention removes when it likes, but only a beginning:
 * of such keys everything is judged from where the final read found the log's start, provided that
 * it came to the end.
 */
import { isCommitted } from "../key-order.ts";
import { ACKS_ALL, type FinalRead, FROM_START, OK } from "../tables.ts";
import { type KeyCheck, nameOf } from "./key-check.ts";
import { lineOfPosition } from "./values.ts";

/** Returns why the final read is not what it says, if so. */
export function checkLosses(check: KeyCheck): string | undefined {
  const { key, order, final } = check;
  const lastRead = order.firstRead.findLastIndex((read) => read !== -1);
  const read = new Uint8Array(key.sent.count);
  for (const value of key.readValues) read[value] = 1;
  if (final === undefined) {
    for (let value = 0; value < key.sent.count; value++) {
      if (read[value] === 1 || !isCommitted(key, value)) continue;
      const position = order.lowerBound(key.sent.offset[value] as number);
      if (check.passed[position] === 1) lost(check, value, lastRead);
    }
    return undefined;
  }
  const end = final.ends.get(key.name) as number;
  const seen = readDuring(check, final);
  const removed = removedBy(check, final);
  checkAcknowledged(check, { final, removed, read, lastRead });
  for (let position = 0; position < order.count; position++) {
    const offset = order.offsets[position] as number;
    const first = order.firstRead[position] as number;
    if (offset < removed || first === -1 || seen[position] === 1) continue;
    if (check.mayBeGone(order.values[position] as number, offset)) continue;
    // At the log's end a record may be appended while the final read goes on.
    const at = order.lineOfRead(first);
    if (offset < end || at < final.invokedAt) vanished(check, position, { at, final });
  }
  const last = seen.lastIndexOf(1);
  const reached = last === -1 ? removed : (order.offsets[last] as number) + 1;
  if (reached >= end || removed >= end || check.isCompacted) return undefined;
  return `the final read of ${key.name} stopped at offset ${reached}, before its end ${end}`;
}

interface FinalState {
  readonly final: FinalRead;
  /** Offsets below are not judged. */
  readonly removed: number;
  /** By value: some poll gave it. */
  readonly read: Uint8Array;
  /** The last position that was read, -1 for none. */
  readonly lastRead: number;
}

function checkAcknowledged(check: KeyCheck, { final, removed, read, lastRead }: FinalState): void {
  const { key, findings, allowed } = check;
  const { sent } = key;
  const end = final.ends.get(key.name) as number;
  for (let value = 0; value < sent.count; value++) {
    if (sent.outcome[value] !== OK || read[value] === 1) continue;
    const completedAt = sent.completedAt[value] as number;
    const offset = sent.offset[value] as number;
    const early = completedAt < final.invokedAt;
    if (check.mayBeGone(value, offset)) continue;
    if (sent.acks[value] !== ACKS_ALL) {
      if (early && removed === 0) allowed.lostWithWeakAcks++;
    } else if (offset >= 0) {
      if (offset >= removed && (early || offset < end)) lost(check, value, lastRead);
    } else if (early && removed === 0) {
      findings.add("unseen", () => ({
        key: key.name,
        text: `${nameOf(check, value)} was acknowledged, without an offset, and never read`,
        lines: [sent.invokedAt[value] as number, completedAt, final.completedAt],
      }));
    }
  }
}

/** By position: a poll during the final read gave it. */
function readDuring({ key, order }: KeyCheck, { invokedAt, completedAt }: FinalRead): Uint8Array {
  const seen = new Uint8Array(order.count);
  const { deliveries } = key;
  let delivery = 0;
  order.forEachRead((read, position) => {
    while ((deliveries.end[delivery] as number) <= read) delivery++;
    const at = deliveries.completedAt[delivery] as number;
    if (at > invokedAt && at < completedAt) seen[position] = 1;
  });
  return seen;
}

/** Offsets below are not judged. */
function removedBy({ key, removals }: KeyCheck, final: FinalRead): number {
  if (removals.topicDeleted) return Number.POSITIVE_INFINITY;
  if (!removals.byRetention) return removals.reachAt(final.completedAt);
  // Readers of before may still bring what was removed by then.
  const { deliveries, readOffsets } = key;
  const end = final.ends.get(key.name) as number;
  let removed = -1;
  let reached = -1;
  for (let delivery = 0; delivery < deliveries.start.length; delivery++) {
    if ((deliveries.assignedAt[delivery] as number) < final.invokedAt) continue;
    if ((deliveries.completedAt[delivery] as number) > final.completedAt) break;
    removed = Math.max(removed, deliveries.reset[delivery] as number);
    const start = deliveries.start[delivery] as number;
    const stop = deliveries.end[delivery] as number;
    if (stop === start) continue;
    if (deliveries.from[delivery] === FROM_START) {
      removed = Math.max(removed, readOffsets[start] as number);
    }
    reached = Math.max(reached, readOffsets[stop - 1] as number);
  }
  // The rest up to the end may have been removed as it was read.
  return removed === -1 || reached + 1 < end ? end : removed;
}

function lost(check: KeyCheck, value: number, lastRead: number): void {
  const { key, order, findings } = check;
  const { sent } = key;
  const offset = sent.offset[value] as number;
  const overtaken = lastRead !== -1 && (order.offsets[lastRead] as number) >= offset;
  findings.add(overtaken ? "lost-write" : "unseen", () => ({
    key: key.name,
    text: `${nameOf(check, value)} was acknowledged at offset ${offset} and never read${
      overtaken ? `, though the log was read up to offset ${order.offsets[lastRead]}` : ""
    }`,
    lines: [
      sent.invokedAt[value] as number,
      sent.completedAt[value] as number,
      overtaken ? lineOfPosition(check, lastRead) : -1,
    ],
  }));
}

function vanished(
  check: KeyCheck,
  position: number,
  { at, final }: { readonly at: number; readonly final: FinalRead },
): void {
  const { key, order, findings } = check;
  findings.add("vanished", () => ({
    key: key.name,
    text: `${nameOf(check, order.values[position] as number)} was read at offset ${order.offsets[position]}, and is missing in the final read`,
    lines: [at, final.completedAt],
  }));
}
