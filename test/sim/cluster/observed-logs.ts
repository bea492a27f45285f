/**
 * Every replica's log as it lies on its disk, kept in step with each write, truncation and crash
 * by watching the stores themselves: what an invariant compares is what a restart would find, not
 * what a process believes. Of a compacted log it is what it stands for: see `observed-compaction.ts`.
 */
import type { Offset, PartitionIndex, TopicId } from "../../../src/model/ids.ts";
import { partitionKey } from "../../../src/model/ids.ts";
import { lastOffset, readBatchHeader } from "../../../src/record/batch.ts";
import { isBatchKey, keyOffset, segmentBase } from "../../../src/storage/segment-keys.ts";
import { crc32c } from "../world/sim-codecs.ts";
import type { SimNode } from "../world/sim-node.ts";
import { type CompactedBatch, isSwappedOut, Originals } from "./observed-compaction.ts";

export interface ObservedBatch {
  readonly baseOffset: Offset;
  /** One past the last record. */
  readonly endOffset: Offset;
  readonly leaderEpoch: number;
  readonly crc: number;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly recordsCount: number;
  readonly bytes: Uint8Array;
  /** Path of the store that it lies in. Only the observer changes it. */
  store: string;
  /** What the log cleaner has left of it there, and perhaps of its neighbours. As `store`. */
  compacted: CompactedBatch | undefined;
}

/** By its process, entry by entry or with a whole segment's directory; or by a loss of power. */
export type Removal = "truncated" | "directory" | "lost";

export interface LogObserver {
  /**
   * A batch reached the disk; `index` is its place among the replica's batches. `restored`: it was
   * there before, and is what a power loss left; a hole before it is for recovery to find.
   */
  onWritten?(log: ObservedLog, batch: ObservedBatch, index: number, restored: boolean): void;
  onRemoved?(log: ObservedLog, batch: ObservedBatch, how: Removal): void;
  /** What a cleaner left reached the disk: of the replica's own, or copied from its leader. */
  onCompacted?(log: ObservedLog, written: CompactedWrite): void;
}

export interface CompactedWrite {
  readonly batch: CompactedBatch;
  /** The batches that it stands for. */
  readonly covered: readonly ObservedBatch[];
  /** What stood for them on this disk before; empty if the replica did not have them. */
  readonly before: ReadonlyMap<Offset, CompactedBatch | undefined>;
}

export class ObservedLog {
  readonly node: string;
  readonly topicId: TopicId;
  readonly partition: PartitionIndex;
  /** `<topicId>-<partition>` */
  readonly key: string;
  /** In offset order. Only the observer changes it. */
  readonly batches: ObservedBatch[] = [];
  /** Of a topic with `cleanup.policy=compact`: what its batches were. */
  readonly originals: Originals | undefined;

  constructor(
    node: string,
    place: { readonly topicId: TopicId; readonly partition: PartitionIndex },
    originals: Originals | undefined,
  ) {
    const { topicId, partition } = place;
    this.node = node;
    this.topicId = topicId;
    this.partition = partition;
    this.key = partitionKey(topicId, partition);
    this.originals = originals;
  }

  get startOffset(): Offset {
    return this.batches[0]?.baseOffset ?? 0;
  }

  get endOffset(): Offset {
    return this.batches.at(-1)?.endOffset ?? 0;
  }

  /** Index of the first batch that ends after `offset`. */
  indexOf(offset: Offset): number {
    let low = 0;
    let high = this.batches.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.batches[middle] as ObservedBatch).endOffset <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The batch that begins at `offset`. */
  at(offset: Offset): ObservedBatch | undefined {
    const batch = this.batches[this.indexOf(offset)];
    return batch?.baseOffset === offset ? batch : undefined;
  }
}

/** `<log.dir>/logs/<topic>-<partition>.<topicId>/<base offset>` */
const SEGMENT_PATH = /\/logs\/[^/]+-(\d+)\.([A-Za-z0-9_-]+)\/(\d{20})$/;

export class ObservedLogs {
  readonly observers: LogObserver[] = [];
  /** Whether a topic is compacted; asked once, as its first replica's log begins. */
  isCompacted: (topicId: TopicId) => boolean = () => false;
  readonly #logs = new Map<string, ObservedLog>();
  readonly #originals = new Map<string, Originals | undefined>();
  readonly #replicas = new Map<string, ObservedLog[]>();
  /** By the path of a store; undefined where it is no segment. */
  readonly #keys = new Map<string, readonly [TopicId, PartitionIndex] | undefined>();

  attach(node: SimNode): void {
    node.disk.onStoreChange = (path, key, before, after) => {
      if (!isBatchKey(key)) return;
      const log = this.#logOfPath(node.name, path);
      if (log === undefined) return;
      const alive = node.incarnation !== undefined;
      const end = keyOffset(key) + 1;
      if (log.originals !== undefined && before === undefined && after !== undefined) {
        if (this.#place(log, log.originals, { path, bytes: after, restored: !alive })) return;
      }
      this.#remove(log, this.#firstEnd(log, end), end, alive ? "truncated" : "lost");
      if (after !== undefined) this.#insert(log, path, after, !alive);
    };
    node.disk.onStoreGone = (path) => {
      const log = this.#logOfPath(node.name, path);
      const base = segmentBase(path.slice(path.lastIndexOf("/") + 1));
      if (log === undefined || base === undefined) return;
      if (log.originals !== undefined && isSwappedOut(node, log.key, path, base)) return;
      const next = this.#nextSegment(node, path, base);
      this.#remove(log, base + 1, next, "directory");
    };
  }

  log(node: string, key: string): ObservedLog | undefined {
    return this.#logs.get(`${node} ${key}`);
  }

  all(): IterableIterator<ObservedLog> {
    return this.#logs.values();
  }

  /** All replicas of one partition that have ever had a batch. */
  replicas(key: string): readonly ObservedLog[] {
    return this.#replicas.get(key) ?? [];
  }

  #logOfPath(node: string, path: string): ObservedLog | undefined {
    if (!this.#keys.has(path)) this.#keys.set(path, partitionOfSegment(path));
    const of = this.#keys.get(path);
    if (of === undefined) return undefined;
    const id = `${node} ${partitionKey(...of)}`;
    const existing = this.#logs.get(id);
    if (existing !== undefined) return existing;
    const [topicId, partition] = of;
    const place = { topicId, partition };
    const log = new ObservedLog(node, place, this.#originalsOf(topicId, partition));
    this.#logs.set(id, log);
    const replicas = this.#replicas.get(log.key);
    if (replicas === undefined) this.#replicas.set(log.key, [log]);
    else replicas.push(log);
    return log;
  }

  #originalsOf(topicId: TopicId, partition: PartitionIndex): Originals | undefined {
    const key = partitionKey(topicId, partition);
    if (!this.#originals.has(key)) {
      this.#originals.set(key, this.isCompacted(topicId) ? new Originals() : undefined);
    }
    return this.#originals.get(key);
  }

  #nextSegment(node: SimNode, path: string, base: Offset): Offset {
    const directory = path.slice(0, path.lastIndexOf("/"));
    const bases = node.disk
      .list(directory)
      .map((name) => segmentBase(name))
      .filter((other): other is Offset => other !== undefined && other > base);
    return bases.length === 0 ? Number.MAX_SAFE_INTEGER : Math.min(...bases);
  }

  /** Where the first of the batches ends that lie under the key of one that ends at `end`. */
  #firstEnd(log: ObservedLog, end: Offset): Offset {
    const compacted = log.batches[log.indexOf(end - 1)]?.compacted;
    if (compacted?.endOffset !== end) return end;
    return compacted.baseOffset + 1;
  }

  /** A compacted topic's batch; false if it is none that can be told from those written before. */
  #place(
    log: ObservedLog,
    originals: Originals,
    { path, bytes, restored }: { path: string; bytes: Uint8Array; restored: boolean },
  ): boolean {
    const batch = observed(path, bytes);
    const covered = originals.coveredBy(batch);
    const original = originals.find(batch) ?? covered?.[0];
    if (original === undefined) {
      originals.add(batch);
      return false;
    }
    if (original.crc === batch.crc && original.endOffset === batch.endOffset) {
      const present = log.at(batch.baseOffset);
      if (present?.leaderEpoch !== batch.leaderEpoch) return false;
      present.store = path;
      present.compacted = undefined;
      return true;
    }
    if (covered === undefined || !isSound(batch)) return false;
    const compacted = originals.remember(batch);
    const before = new Map<Offset, CompactedBatch | undefined>();
    for (const { baseOffset, leaderEpoch } of covered) {
      const present = log.at(baseOffset);
      if (present?.leaderEpoch !== leaderEpoch) continue;
      before.set(baseOffset, present.compacted);
      present.store = path;
      present.compacted = compacted;
    }
    for (const each of covered) {
      if (before.has(each.baseOffset)) continue;
      this.#add(log, { ...each, store: path, compacted }, restored);
    }
    const written = { batch: compacted, covered, before };
    if (restored) return true;
    for (const observer of this.observers) observer.onCompacted?.(log, written);
    return true;
  }

  #insert(log: ObservedLog, store: string, bytes: Uint8Array, restored: boolean): void {
    this.#add(log, observed(store, bytes), restored);
  }

  #add(log: ObservedLog, batch: ObservedBatch, restored: boolean): void {
    const index = log.indexOf(batch.baseOffset);
    log.batches.splice(index, 0, batch);
    for (const observer of this.observers) observer.onWritten?.(log, batch, index, restored);
  }

  /** Removes batches whose end lies in `[fromEnd, toEnd]`. */
  #remove(log: ObservedLog, fromEnd: Offset, toEnd: Offset, how: Removal): void {
    const from = log.indexOf(fromEnd - 1);
    let to = from;
    while (to < log.batches.length && (log.batches[to] as ObservedBatch).endOffset <= toEnd) to++;
    for (const batch of log.batches.splice(from, to - from)) {
      for (const observer of this.observers) observer.onRemoved?.(log, batch, how);
    }
  }
}

function observed(store: string, bytes: Uint8Array): ObservedBatch {
  const header = readBatchHeader(bytes);
  return {
    baseOffset: header.baseOffset,
    endOffset: lastOffset(header) + 1,
    leaderEpoch: header.leaderEpoch,
    crc: header.crc,
    producerId: header.producerId,
    producerEpoch: header.producerEpoch,
    baseSequence: header.baseSequence,
    recordsCount: header.recordsCount,
    bytes,
    store,
    compacted: undefined,
  };
}

const CRC_FROM = 21;

function isSound({ bytes, crc }: ObservedBatch): boolean {
  return crc32c(bytes.subarray(CRC_FROM)) >>> 0 === crc >>> 0;
}

function partitionOfSegment(path: string): readonly [TopicId, PartitionIndex] | undefined {
  const [, partition, topicId] = SEGMENT_PATH.exec(path) ?? [];
  return topicId === undefined ? undefined : [topicId, Number(partition)];
}
