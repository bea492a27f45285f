/**
 * Every replica's log as it lies on its disk, kept in step with each write, truncation and crash
 * by watching the stores themselves: what an invariant compares is what a restart would find, not
 * what a process believes.
 */
import type { Offset, PartitionIndex, TopicId } from "../../../src/model/ids.ts";
import { partitionKey } from "../../../src/model/ids.ts";
import { lastOffset, readBatchHeader } from "../../../src/record/batch.ts";
import { isBatchKey, keyOffset, segmentBase } from "../../../src/storage/segment-keys.ts";
import type { SimNode } from "../world/sim-node.ts";

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
  /** Path of the store that it lies in. */
  readonly store: string;
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
}

export class ObservedLog {
  readonly node: string;
  readonly topicId: TopicId;
  readonly partition: PartitionIndex;
  /** `<topicId>-<partition>` */
  readonly key: string;
  /** In offset order. Only the observer changes it. */
  readonly batches: ObservedBatch[] = [];

  constructor(node: string, topicId: TopicId, partition: PartitionIndex) {
    this.node = node;
    this.topicId = topicId;
    this.partition = partition;
    this.key = partitionKey(topicId, partition);
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
  readonly #logs = new Map<string, ObservedLog>();

  attach(node: SimNode): void {
    node.disk.onStoreChange = (path, key, _before, after) => {
      if (!isBatchKey(key)) return;
      const log = this.#logOfPath(node.name, path);
      if (log === undefined) return;
      const alive = node.incarnation !== undefined;
      this.#remove(log, keyOffset(key) + 1, keyOffset(key) + 1, alive ? "truncated" : "lost");
      if (after !== undefined) this.#insert(log, path, after, !alive);
    };
    node.disk.onStoreGone = (path) => {
      const log = this.#logOfPath(node.name, path);
      const base = segmentBase(path.slice(path.lastIndexOf("/") + 1));
      if (log === undefined || base === undefined) return;
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
  *replicas(key: string): IterableIterator<ObservedLog> {
    for (const log of this.#logs.values()) if (log.key === key) yield log;
  }

  #logOfPath(node: string, path: string): ObservedLog | undefined {
    const match = SEGMENT_PATH.exec(path);
    if (match === null) return undefined;
    const [, partition, topicId] = match as unknown as readonly [string, string, string];
    const id = `${node} ${partitionKey(topicId, Number(partition))}`;
    const existing = this.#logs.get(id);
    if (existing !== undefined) return existing;
    const log = new ObservedLog(node, topicId, Number(partition));
    this.#logs.set(id, log);
    return log;
  }

  #nextSegment(node: SimNode, path: string, base: Offset): Offset {
    const directory = path.slice(0, path.lastIndexOf("/"));
    const bases = node.disk
      .list(directory)
      .map((name) => segmentBase(name))
      .filter((other): other is Offset => other !== undefined && other > base);
    return bases.length === 0 ? Number.MAX_SAFE_INTEGER : Math.min(...bases);
  }

  #insert(log: ObservedLog, store: string, bytes: Uint8Array, restored: boolean): void {
    const header = readBatchHeader(bytes);
    const batch: ObservedBatch = {
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
    };
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
