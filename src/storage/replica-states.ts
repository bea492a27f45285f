/**
 * `<log.dir>/broker`: what the replicas of one log directory remember beside their batches. Small,
 * rewritten, never trusted to be ahead of a log. Every value has a CRC of its own.
 *
 *   s/<topicId>-<partition>/head                 log start, clean flag, truncation intent
 *   s/<topicId>-<partition>/hw                   saved high watermark
 *   s/<topicId>-<partition>/segment/<base>       summary of a sealed segment
 *   s/<topicId>-<partition>/swap                 a cleaned segment that takes the place of others
 *   s/<topicId>-<partition>/cleaned              how far the log cleaner has come
 *   p/<topicId>-<partition>                      the producers' states there
 *   c/<topicId>-<partition>/<offset>             checkpoint
 *   clean-shutdown                               broker epoch of a clean stop
 */
import { text, utf8 } from "../base/bytes.ts";
import type { OttlaError } from "../model/errors.ts";
import type { BrokerEpoch, Offset } from "../model/ids.ts";
import type { Crc32c } from "../ports/codecs.ts";
import type { KeyValueStore, KeyValueStores, WriteOperation } from "../ports/key-value-store.ts";
import type { ProducerState } from "../replica/producer-states.ts";
import { decodeChecked, encodeChecked } from "./checked-value.ts";
import type { Checkpoint, SegmentSummary } from "./checkpoint.ts";
import type { PendingOperations } from "./pending-operations.ts";
import { segmentName } from "./segment-keys.ts";
import { Serial } from "./serial.ts";
import { storageError } from "./storage-error.ts";

/** `0` follows `/` in the order of bytes: the end of a range of keys under one prefix. */
const AFTER_SLASH = "0";
const CLEAN_SHUTDOWN_KEY = "clean-shutdown";
const WRITE_BUFFER_BYTES = 1024 * 1024;
const LOAD_ENTRIES_COUNT = 1_000;
const LOAD_BYTES = 1024 * 1024;

export interface ReplicaHead {
  /** In full: a directory's name may hold only the beginning of a very long one. */
  readonly topic: string;
  readonly logStartOffset: Offset;
  /** Log end of a log that was closed in order and not written since; else null. */
  readonly cleanEnd: Offset | null;
  /** A truncation that has begun: everything at and above `offset` is to be deleted. */
  readonly cut: { readonly offset: Offset; readonly reset: boolean } | null;
}

/** A cleaned segment is whole on disk, and the directories move; see `segment-swap.ts`. */
export interface SegmentSwap {
  /** Base offset of the cleaned segment, and of the first that it replaces. */
  readonly base: Offset;
  /** Base offsets of the segments that it replaces. */
  readonly replaced: readonly Offset[];
}

/** Everything below `offset` has been through the log cleaner once. */
export interface CleanedState {
  readonly offset: Offset;
  /** As folded from the log up to there. */
  readonly producers: readonly ProducerState[];
}

export interface ReplicaState {
  readonly head: ReplicaHead | undefined;
  readonly highWatermark: Offset;
  readonly segments: ReadonlyMap<Offset, SegmentSummary>;
  readonly swap: SegmentSwap | undefined;
  /** Undefined: never cleaned, or cut below what had been. */
  readonly cleanedOffset: Offset | undefined;
  /** A value failed its CRC: nothing here can be believed. */
  readonly damaged: boolean;
}

export type StateChange =
  | { readonly type: "head"; readonly replica: string; readonly head: ReplicaHead }
  | { readonly type: "high-watermark"; readonly replica: string; readonly offset: Offset }
  | { readonly type: "segment"; readonly replica: string; readonly segment: SegmentSummary }
  | { readonly type: "drop-segment"; readonly replica: string; readonly baseOffset: Offset }
  | { readonly type: "swap"; readonly replica: string; readonly swap: SegmentSwap }
  | { readonly type: "drop-swap"; readonly replica: string }
  | { readonly type: "cleaned"; readonly replica: string; readonly cleaned: CleanedState }
  | { readonly type: "drop-cleaned"; readonly replica: string }
  | { readonly type: "checkpoint"; readonly replica: string; readonly checkpoint: Checkpoint }
  | { readonly type: "drop-checkpoint"; readonly replica: string; readonly offset: Offset };

interface MutableState {
  head: ReplicaHead | undefined;
  highWatermark: Offset;
  segments: Map<Offset, SegmentSummary>;
  swap: SegmentSwap | undefined;
  cleanedOffset: Offset | undefined;
  damaged: boolean;
}

const NO_STATE: ReplicaState = {
  head: undefined,
  highWatermark: 0,
  segments: new Map(),
  swap: undefined,
  cleanedOffset: undefined,
  damaged: false,
};

export interface ReplicaStatesOptions {
  readonly stores: KeyValueStores;
  readonly crc32c: Crc32c;
  readonly pending: PendingOperations;
  readonly path: string;
  readonly createIfMissing: boolean;
}

export class ReplicaStates {
  readonly #options: ReplicaStatesOptions;
  readonly #store: KeyValueStore;
  readonly #serial = new Serial();
  readonly #states = new Map<string, MutableState>();
  readonly #unsavedHighWatermarks = new Map<string, Offset>();
  #queued: WriteOperation[] = [];
  /** What changes in memory once the queued is on disk. */
  #whenWritten: (() => void)[] = [];
  #scheduled: Promise<void> | undefined;
  #failure: OttlaError | undefined;

  private constructor(options: ReplicaStatesOptions, store: KeyValueStore) {
    this.#options = options;
    this.#store = store;
  }

  /** Opens and reads everything but the checkpoints. Rejects as `KeyValueStores.open`. */
  static async open(options: ReplicaStatesOptions): Promise<ReplicaStates> {
    const store = await options.pending.watch(
      options.stores.open(options.path, {
        writeBufferBytes: WRITE_BUFFER_BYTES,
        createIfMissing: options.createIfMissing,
      }),
    );
    const states = new ReplicaStates(options, store);
    try {
      await states.#load();
    } catch (error) {
      await store.close().catch(() => undefined);
      throw storageError(error, options.path);
    }
    return states;
  }

  /** Set for ever once any write failed: what it held is then unknown until it is opened anew. */
  get failure(): OttlaError | undefined {
    return this.#failure;
  }

  get(replica: string): ReplicaState {
    return this.#states.get(replica) ?? NO_STATE;
  }

  /** Every replica that something is remembered of. */
  replicas(): readonly string[] {
    return [...this.#states.keys()];
  }

  /**
   * Writes the changes, in one atomic and fsynced write together with whatever else waits.
   * Rejects with the storage error that took the directory's state offline.
   */
  commit(changes: readonly StateChange[]): Promise<void> {
    for (const change of changes) {
      this.#queue(change);
      this.#whenWritten.push(() => this.#apply(change));
    }
    return this.#schedule();
  }

  /**
   * Forgets a replica: it is deleted, or what lay here is quarantined. All of it or, if it rejects,
   * nothing, in memory as on disk: a log that is made anew under what is left of the old one's would
   * take it for its own.
   */
  async forget(replica: string): Promise<void> {
    const checkpoints = await this.checkpointOffsets(replica);
    this.#unsavedHighWatermarks.delete(replica);
    this.#queued.push({ type: "delete", key: utf8(`s/${replica}/head`) });
    this.#queued.push({ type: "delete", key: utf8(`s/${replica}/hw`) });
    this.#queue({ type: "drop-swap", replica });
    this.#queue({ type: "drop-cleaned", replica });
    for (const baseOffset of this.get(replica).segments.keys()) {
      this.#queue({ type: "drop-segment", replica, baseOffset });
    }
    for (const offset of checkpoints) this.#queue({ type: "drop-checkpoint", replica, offset });
    this.#whenWritten.push(() => this.#states.delete(replica));
    await this.#schedule();
  }

  /** Remembered until `flushHighWatermarks`. */
  saveHighWatermark(replica: string, offset: Offset): void {
    if (this.get(replica).highWatermark === offset) {
      this.#unsavedHighWatermarks.delete(replica);
      return;
    }
    this.#unsavedHighWatermarks.set(replica, offset);
  }

  async flushHighWatermarks(): Promise<void> {
    if (this.#unsavedHighWatermarks.size === 0) return;
    const changes: StateChange[] = [];
    for (const [replica, offset] of this.#unsavedHighWatermarks) {
      changes.push({ type: "high-watermark", replica, offset });
    }
    this.#unsavedHighWatermarks.clear();
    await this.commit(changes);
  }

  /** Ascending. */
  async checkpointOffsets(replica: string): Promise<Offset[]> {
    const prefix = `c/${replica}/`;
    const offsets: Offset[] = [];
    await this.#visit(prefix, (key) => {
      offsets.push(Number(key.slice(prefix.length)));
    });
    return offsets;
  }

  /** Undefined if it is missing or damaged. */
  async checkpoint(replica: string, offset: Offset): Promise<Checkpoint | undefined> {
    const key = utf8(`c/${replica}/${segmentName(offset)}`);
    const value = await this.#watched(this.#store.get(key));
    if (value === undefined) return undefined;
    return decodeChecked(value, this.#options.crc32c) as Checkpoint | undefined;
  }

  /** Undefined if the log was never cleaned, or if that is damaged. */
  async cleaned(replica: string): Promise<CleanedState | undefined> {
    const value = await this.#watched(this.#store.get(utf8(`p/${replica}`)));
    if (value === undefined) return undefined;
    return decodeChecked(value, this.#options.crc32c) as CleanedState | undefined;
  }

  /** The broker epoch of a clean stop, -1 for none; removed durably, for a crash must not find it. */
  async takeCleanShutdown(): Promise<BrokerEpoch> {
    const key = utf8(CLEAN_SHUTDOWN_KEY);
    const value = await this.#watched(this.#store.get(key));
    if (value === undefined) return -1;
    this.#queued.push({ type: "delete", key });
    await this.#schedule();
    const decoded = decodeChecked(value, this.#options.crc32c);
    return typeof decoded === "number" ? decoded : -1;
  }

  async putCleanShutdown(epoch: BrokerEpoch): Promise<void> {
    const value = encodeChecked(epoch, this.#options.crc32c);
    this.#queued.push({ type: "put", key: utf8(CLEAN_SHUTDOWN_KEY), value });
    await this.#schedule();
  }

  async close(): Promise<void> {
    await this.#serial.run(() => this.#watched(this.#store.close()));
  }

  #watched<Result>(work: Promise<Result>): Promise<Result> {
    return this.#options.pending.watch(work);
  }

  #schedule(): Promise<void> {
    this.#scheduled ??= this.#serial.run(() => {
      this.#scheduled = undefined;
      return this.#write();
    });
    return this.#scheduled;
  }

  async #write(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const operations = this.#queued;
    const changes = this.#whenWritten;
    this.#queued = [];
    this.#whenWritten = [];
    if (operations.length === 0) return;
    try {
      await this.#watched(this.#store.write(operations, { sync: true }));
    } catch (error) {
      this.#failure = storageError(error, this.#options.path);
      throw this.#failure;
    }
    for (const change of changes) change();
  }

  #queue(change: StateChange): void {
    this.#queued.push(...this.#operations(change));
  }

  #operations(change: StateChange): readonly WriteOperation[] {
    const { replica } = change;
    const state = `s/${replica}/`;
    const remove = (key: string): WriteOperation => ({ type: "delete", key: utf8(key) });
    switch (change.type) {
      case "head":
        return [this.#put(`${state}head`, change.head)];
      case "high-watermark":
        return [this.#put(`${state}hw`, change.offset)];
      case "segment": {
        const { segment } = change;
        return [this.#put(`${state}segment/${segmentName(segment.baseOffset)}`, segment)];
      }
      case "drop-segment":
        return [remove(`${state}segment/${segmentName(change.baseOffset)}`)];
      case "swap":
        return [this.#put(`${state}swap`, change.swap)];
      case "drop-swap":
        return [remove(`${state}swap`)];
      case "cleaned": {
        const { cleaned } = change;
        return [this.#put(`${state}cleaned`, cleaned.offset), this.#put(`p/${replica}`, cleaned)];
      }
      case "drop-cleaned":
        return [remove(`${state}cleaned`), remove(`p/${replica}`)];
      case "checkpoint": {
        const { checkpoint } = change;
        return [this.#put(`c/${replica}/${segmentName(checkpoint.offset)}`, checkpoint)];
      }
      case "drop-checkpoint":
        return [remove(`c/${replica}/${segmentName(change.offset)}`)];
    }
  }

  #put(key: string, value: unknown): WriteOperation {
    return { type: "put", key: utf8(key), value: encodeChecked(value, this.#options.crc32c) };
  }

  #apply(change: StateChange): void {
    const state = this.#mutable(change.replica);
    switch (change.type) {
      case "head":
        state.head = change.head;
        break;
      case "high-watermark":
        state.highWatermark = change.offset;
        break;
      case "segment":
        state.segments.set(change.segment.baseOffset, change.segment);
        break;
      case "drop-segment":
        state.segments.delete(change.baseOffset);
        break;
      case "swap":
        state.swap = change.swap;
        break;
      case "drop-swap":
        state.swap = undefined;
        break;
      case "cleaned":
        state.cleanedOffset = change.cleaned.offset;
        break;
      case "drop-cleaned":
        state.cleanedOffset = undefined;
        break;
      case "checkpoint":
      case "drop-checkpoint":
        break;
    }
  }

  #mutable(replica: string): MutableState {
    let state = this.#states.get(replica);
    if (state === undefined) {
      state = { ...NO_STATE, segments: new Map() };
      this.#states.set(replica, state);
    }
    return state;
  }

  async #load(): Promise<void> {
    await this.#visit("s/", (key, value) => {
      const [, replica, kind] = key.split("/") as [string, string, string];
      const state = this.#mutable(replica);
      const decoded = decodeChecked(value, this.#options.crc32c);
      if (decoded === undefined) state.damaged = true;
      else if (kind === "head") state.head = decoded as ReplicaHead;
      else if (kind === "hw") state.highWatermark = decoded as Offset;
      else if (kind === "swap") state.swap = decoded as SegmentSwap;
      else if (kind === "cleaned") state.cleanedOffset = decoded as Offset;
      else {
        const segment = decoded as SegmentSummary;
        state.segments.set(segment.baseOffset, segment);
      }
    });
  }

  async #visit(prefix: string, visit: (key: string, value: Uint8Array) => void): Promise<void> {
    const end = utf8(prefix.slice(0, -1) + AFTER_SLASH);
    const iterator = this.#store.iterate({ gte: utf8(prefix), lt: end });
    try {
      for (;;) {
        const entries = await this.#watched(iterator.next(LOAD_ENTRIES_COUNT, LOAD_BYTES));
        if (entries.length === 0) return;
        for (const { key, value } of entries) visit(text(key), value);
      }
    } finally {
      await iterator.close();
    }
  }
}
