/**
 * What a compacted topic may lack (`cleanup.policy` with `compact`): a record whose key was written
 * again behind it, and a tombstone, which goes after its time. The last value of each key stays.
 */
import type { KeyOrder } from "./key-order.ts";
import { FAIL, type KeyTable } from "./tables.ts";

/** Whether a value that stood at an offset (-1: nobody knows where) may be gone. */
export type MayBeGone = (value: number, offset: number) => boolean;

/** Of a topic that is not compacted. */
export const ALL_STAYS: MayBeGone = () => false;

export function compactedAway({ sent }: KeyTable, order: KeyOrder): MayBeGone {
  /** By record key, the highest offset that is known to hold one of its records. */
  const last = new Map<string, number>();
  /** Record keys with a tombstone of which nobody knows where it stands, if it does. */
  const buried = new Set<string>();
  const sends = new Map<string, number>();
  const known = new Set<number>();
  for (let position = 0; position < order.count; position++) {
    const value = order.values[position] as number;
    known.add(value);
    const recordKey = sent.recordKey[value];
    if (recordKey !== undefined) last.set(recordKey, order.offsets[position] as number);
  }
  for (let value = 0; value < sent.count; value++) {
    const recordKey = sent.recordKey[value];
    if (recordKey === undefined || sent.outcome[value] === FAIL) continue;
    sends.set(recordKey, (sends.get(recordKey) ?? 0) + 1);
    if (sent.tombstone[value] === true && !known.has(value)) buried.add(recordKey);
  }
  return (value, offset) => {
    const recordKey = sent.recordKey[value];
    if (recordKey === undefined) return false;
    if (sent.tombstone[value] === true || buried.has(recordKey)) return true;
    if (offset < 0) return (sends.get(recordKey) ?? 0) > 1;
    return (last.get(recordKey) ?? -1) > offset;
  };
}
