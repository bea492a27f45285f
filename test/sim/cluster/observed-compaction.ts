/**
 * What a compacted log stands for. An observed log keeps its batches as they were written first,
 * whatever the cleaner has left of them, so that everything that is said of logs can be said of
 * compacted ones: a batch that the cleaner wrote stands for all those whose offsets it covers, and
 * is remembered beside them. What it may leave out is judged by P20 alone.
 */
import { utf8 } from "../../../src/base/bytes.ts";
import type { LeaderEpoch, Offset, ProducerId } from "../../../src/model/ids.ts";
import { decodeChecked } from "../../../src/storage/checked-value.ts";
import type { SegmentSwap } from "../../../src/storage/replica-states.ts";
import { segmentName } from "../../../src/storage/segment-keys.ts";
import { CLEANED_SUFFIX } from "../../../src/storage/segment-swap.ts";
import { crc32c } from "../world/sim-codecs.ts";
import type { SimNode } from "../world/sim-node.ts";
import { LOG_DIR } from "./cluster-config.ts";
import type { ObservedBatch } from "./observed-logs.ts";

/** A batch as the log cleaner left it. */
export interface CompactedBatch {
  readonly baseOffset: Offset;
  /** One past the last offset that it covers. */
  readonly endOffset: Offset;
  readonly leaderEpoch: LeaderEpoch;
  readonly crc: number;
  /** -1 once nobody's state rests on it. */
  readonly producerId: ProducerId;
  readonly recordsCount: number;
  readonly bytes: Uint8Array;
}

/** Of one partition, on whichever machine. */
export class Originals {
  /** In the order in which they were seen first. */
  readonly batches: ObservedBatch[] = [];
  readonly #byEpoch = new Map<LeaderEpoch, Map<Offset, ObservedBatch>>();
  /** What was ever left of batches, by epoch and base offset. */
  readonly #compacted = new Map<string, CompactedBatch[]>();

  find({
    leaderEpoch,
    baseOffset,
  }: Pick<ObservedBatch, "leaderEpoch" | "baseOffset">): ObservedBatch | undefined {
    return this.#byEpoch.get(leaderEpoch)?.get(baseOffset);
  }

  add(batch: ObservedBatch): void {
    const ofEpoch = this.#byEpoch.get(batch.leaderEpoch) ?? new Map<Offset, ObservedBatch>();
    this.#byEpoch.set(batch.leaderEpoch, ofEpoch);
    ofEpoch.set(batch.baseOffset, batch);
    this.batches.push(batch);
  }

  /** What a batch of the cleaner stands for; undefined if batches of its epoch do not end where it ends. */
  coveredBy({
    baseOffset,
    endOffset,
    leaderEpoch,
    recordsCount,
  }: ObservedBatch): readonly ObservedBatch[] | undefined {
    const covered: ObservedBatch[] = [];
    for (let at = this.#beginning({ baseOffset, leaderEpoch, recordsCount }); at < endOffset; ) {
      const batch = this.find({ leaderEpoch, baseOffset: at });
      if (batch === undefined || batch.endOffset > endOffset) return undefined;
      covered.push(batch);
      at = batch.endOffset;
    }
    return covered;
  }

  /**
   * A replica that begins at a log start amid a batch gets of what has grown over it the rest, an
   * empty batch: that stands for the whole of the one in which it begins.
   */
  #beginning({
    baseOffset,
    leaderEpoch,
    recordsCount,
  }: Pick<ObservedBatch, "baseOffset" | "leaderEpoch" | "recordsCount">): Offset {
    if (recordsCount > 0 || this.find({ baseOffset, leaderEpoch }) !== undefined) return baseOffset;
    for (const original of this.#byEpoch.get(leaderEpoch)?.values() ?? []) {
      if (original.baseOffset < baseOffset && baseOffset < original.endOffset) {
        return original.baseOffset;
      }
    }
    return baseOffset;
  }

  /** The same object for equal bytes. */
  remember(compacted: CompactedBatch): CompactedBatch {
    const id = `${compacted.leaderEpoch} ${compacted.baseOffset}`;
    const known = this.#compacted.get(id) ?? [];
    this.#compacted.set(id, known);
    const same = known.find(({ bytes }) => Buffer.compare(bytes, compacted.bytes) === 0);
    if (same !== undefined) return same;
    known.push(compacted);
    return compacted;
  }

  /** What the cleaners of all replicas ever left of the batch that begins there. */
  leftOf({
    leaderEpoch,
    baseOffset,
  }: Pick<ObservedBatch, "leaderEpoch" | "baseOffset">): readonly CompactedBatch[] {
    return this.#compacted.get(`${leaderEpoch} ${baseOffset}`) ?? [];
  }
}

/** Whether what is left still says of which producer it was, and begins where it began. */
export function saysItsProducer({ baseOffset, compacted, producerId }: ObservedBatch): boolean {
  if (producerId < 0) return false;
  if (compacted === undefined) return true;
  return compacted.producerId === producerId && compacted.baseOffset === baseOffset;
}

/** The swap that the replica has committed to, as its state on disk says. */
export function swapOf({ disk }: Pick<SimNode, "disk">, key: string): SegmentSwap | undefined {
  const states = disk.node(`${LOG_DIR}/broker`);
  if (states?.type !== "store") return undefined;
  const value = states.state.get(utf8(`s/${key}/swap`));
  if (value === undefined) return undefined;
  return decodeChecked(value, crc32c) as SegmentSwap | undefined;
}

/**
 * Whether a segment goes from its path because a cleaned one takes its place. Once that has become
 * the segment, its directory may go for other reasons; but nobody removes anything while the process
 * is down: then it is a rename that a loss of power undoes.
 */
export function isSwappedOut(node: SimNode, key: string, path: string, base: Offset): boolean {
  const swap = swapOf(node, key);
  if (swap === undefined || !swap.replaced.includes(base)) return false;
  const replica = path.slice(0, path.lastIndexOf("/"));
  const cleaned = node.disk.node(`${replica}/${segmentName(swap.base)}${CLEANED_SUFFIX}`);
  return cleaned?.type === "store" || node.incarnation === undefined;
}
