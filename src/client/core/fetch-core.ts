/**
 * A consumer's decisions: where each partition is read from, what is asked of which broker, how
 * much may lie ready. No clock, no promise, no socket: time comes in as `nowMs` (monotonic), what
 * is to be done goes out as `FetchEffects`.
 *
 * Each offset is delivered once and in order whatever the connections do: fetching goes on where
 * the last received batch ended, and what belongs to an earlier fetch of a partition (before a
 * seek, a pause, a leader change) is recognised by its handle and dropped.
 */
import { assert } from "../../base/assert.ts";
import { type ErrorCode, OttlaError } from "../../model/errors.ts";
import { type BrokerId, type LeaderEpoch, NONE, type Offset } from "../../model/ids.ts";
import { type Batch, lastOffset, splitBatches } from "../../record/batch.ts";
import { type RetryLimits, retryDelayMs } from "./retry-delay.ts";

/** Where reading begins: an offset, an end of the log, or the first record that is not older. */
export type StartOffset = "beginning" | "end" | number | { readonly timestampMs: number };

export interface FetchCoreOptions {
  /** Most bytes of batches that may lie ready, over all brokers. */
  readonly prefetchBytes: number;
  /** Most bytes that one broker may send ahead. */
  readonly fetchMaxBytes: number;
  /** Most bytes of one partition in one response. */
  readonly maxPartitionFetchBytes: number;
  readonly autoOffsetReset: "earliest" | "latest" | "none";
  /** A stream silent for this long makes its leaders suspect. */
  readonly stallMs: number;
  readonly retry: RetryLimits;
}

export interface FetchStartEffect {
  readonly handle: number;
  readonly topic: string;
  readonly partition: number;
  readonly offset: Offset;
  readonly leaderEpoch: LeaderEpoch;
  /** Of the record before `offset`; -1: not known. */
  readonly lastFetchedEpoch: LeaderEpoch;
}

export interface FetchRequestEffect {
  readonly brokerId: BrokerId;
  readonly start: readonly FetchStartEffect[];
  readonly stop: readonly number[];
  readonly creditBytes: number;
}

/** An offset to be looked up; answered by `onOffset` with the same number. */
export interface LookupEffect {
  readonly brokerId: BrokerId;
  readonly topic: string;
  readonly partition: number;
  readonly lookup: number;
  /** Kafka's numbers: -1 end, -2 beginning, else milliseconds since 1970. */
  readonly timestamp: number;
}

export interface FetchEffects {
  readonly requests: readonly FetchRequestEffect[];
  readonly lookups: readonly LookupEffect[];
  readonly metadataWanted: boolean;
  readonly wakeAtMs: number;
}

export interface FetchedData {
  readonly handle: number;
  readonly error: { readonly code: ErrorCode; readonly message: string } | undefined;
  readonly highWatermark: Offset;
  readonly logStartOffset: Offset;
  /** Whole batches. */
  readonly batches: Uint8Array;
  /** With OFFSET_OUT_OF_RANGE: from here on the log is another one than was read. */
  readonly divergedAt?: Offset | undefined;
}

/** A batch to be delivered, valid as long as its partition's `version` has not changed. */
export interface ReadyBatch {
  readonly state: PartitionState;
  readonly version: number;
  readonly batch: Batch;
  readonly brokerId: BrokerId;
  readonly streamId: number;
}

interface Stream {
  readonly id: number;
  /** Bytes taken from the ready batches of this stream and not granted again yet. */
  freedBytes: number;
  /** Bytes of this stream's batches that lie ready. */
  readyBytes: number;
  readonly windowBytes: number;
  /** The first request of a stream grants the whole window. */
  opened: boolean;
  heardMs: number;
}

export class PartitionState {
  readonly topic: string;
  readonly partition: number;
  /** Rises with each seek and pause: what was fetched before is void. */
  version = 0;
  /** Offset of the next record to be delivered; undefined until `start` is looked up. */
  position: Offset | undefined;
  /** Offset of the next record to be fetched. */
  fetchOffset: Offset = 0;
  /** Leader epoch of the record before that; -1: not known. */
  fetchedEpoch: LeaderEpoch = NONE;
  start: StartOffset | undefined;
  /** Number of the lookup under way; 0: none. */
  lookup = 0;
  lookedUpFrom: BrokerId = NONE;
  lookedUpMs = 0;
  paused = false;
  /** Nothing is fetched and delivered: of a group's partition that comes or goes. */
  held = false;
  /** Leader epoch of the last record delivered, or of the commit that reading began at. */
  consumedEpoch: LeaderEpoch = NONE;
  /** What the group is known to have committed. */
  committed: Offset | undefined;
  leader: BrokerId = NONE;
  leaderEpoch: LeaderEpoch = NONE;
  leaderSuspect = false;
  /** 0: not being fetched. */
  handle = 0;
  fetchedFrom: BrokerId = NONE;
  failingSinceMs: number | undefined;
  lastError: OttlaError | undefined;
  retryAtMs = 0;
  /** Nothing more comes before a seek. */
  failed = false;
  /** -1: not known yet. */
  highWatermark: Offset = -1;
  logStartOffset: Offset = -1;

  constructor(topic: string, partition: number) {
    this.topic = topic;
    this.partition = partition;
  }
}

/** Errors after which the same fetch succeeds later or elsewhere. */
const LEADER_ERRORS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "NOT_LEADER_OR_FOLLOWER",
  "LEADER_NOT_AVAILABLE",
  "FENCED_LEADER_EPOCH",
  "UNKNOWN_LEADER_EPOCH",
  "UNKNOWN_TOPIC_OR_PARTITION",
  "KAFKA_STORAGE_ERROR",
  "REPLICA_NOT_AVAILABLE",
  "SHUTTING_DOWN",
]);

export function timestampOf(start: Exclude<StartOffset, number>): number {
  if (start === "beginning") return -2;
  if (start === "end") return -1;
  return start.timestampMs;
}

export class FetchCore {
  readonly #options: FetchCoreOptions;
  readonly #states = new Map<string, Map<number, PartitionState>>();
  readonly #handles = new Map<number, PartitionState>();
  readonly #streams = new Map<BrokerId, Stream>();
  readonly #stops = new Map<BrokerId, number[]>();
  readonly #down = new Set<BrokerId>();
  readonly #errors: OttlaError[] = [];
  #ready: ReadyBatch[] = [];
  #nextHandle = 1;
  #nextLookup = 1;
  #nextStreamId = 1;

  constructor(options: FetchCoreOptions) {
    this.#options = options;
  }

  states(): PartitionState[] {
    return [...this.#states.values()].flatMap((partitions) => [...partitions.values()]);
  }

  topics(): string[] {
    return [...this.#states.keys()];
  }

  state(topic: string, partition: number): PartitionState | undefined {
    return this.#states.get(topic)?.get(partition);
  }

  /** The partition of a fetch that is under way. */
  stateOf(handle: number): PartitionState | undefined {
    return this.#handles.get(handle);
  }

  /** Begins to read a partition. `epochBefore`: of the record before an offset, if it is known. */
  add(
    topic: string,
    partition: number,
    start: StartOffset,
    epochBefore: LeaderEpoch = NONE,
  ): PartitionState {
    let partitions = this.#states.get(topic);
    if (partitions === undefined) {
      partitions = new Map();
      this.#states.set(topic, partitions);
    }
    assert(!partitions.has(partition), "a partition is assigned once");
    const state = new PartitionState(topic, partition);
    partitions.set(partition, state);
    this.seek(state, start);
    state.consumedEpoch = epochBefore;
    state.fetchedEpoch = epochBefore;
    return state;
  }

  /** Ends the reading of one partition. */
  remove(state: PartitionState): void {
    this.#invalidate(state);
    const partitions = this.#states.get(state.topic);
    if (partitions?.get(state.partition) !== state) return;
    partitions.delete(state.partition);
    if (partitions.size === 0) this.#states.delete(state.topic);
  }

  /** Ends the reading of all partitions. */
  clear(): void {
    for (const state of this.states()) this.#invalidate(state);
    this.#states.clear();
    this.#errors.length = 0;
  }

  /** What was fetched is dropped; reading goes on at `start`. */
  seek(state: PartitionState, start: StartOffset): void {
    this.#invalidate(state);
    state.failed = false;
    state.retryAtMs = 0;
    this.#startAt(state, start);
  }

  /** What lies ready is dropped too: it would hold memory that other partitions could use. */
  pause(state: PartitionState): void {
    if (state.paused) return;
    this.#invalidate(state);
    state.paused = true;
  }

  resume(state: PartitionState): void {
    state.paused = false;
  }

  /** As `pause`, but not the user's: what is paused stays so after `release`. */
  hold(state: PartitionState): void {
    if (state.held) return;
    this.#invalidate(state);
    state.held = true;
  }

  release(state: PartitionState): void {
    state.held = false;
  }

  updateLeaders(
    topic: string,
    leaders: readonly {
      readonly partition: number;
      readonly leader: BrokerId;
      readonly leaderEpoch: LeaderEpoch;
    }[],
    nowMs: number,
  ): void {
    const partitions = this.#states.get(topic);
    if (partitions === undefined) return;
    for (const { leader, leaderEpoch, partition } of leaders) {
      const state = partitions.get(partition);
      if (state === undefined) continue;
      if (state.leader === leader && state.leaderEpoch === leaderEpoch) {
        // Confirmed by somebody who may not have heard yet: the next answer decides.
        continue;
      }
      state.leader = leader;
      state.leaderEpoch = leaderEpoch;
      state.leaderSuspect = false;
      state.retryAtMs = nowMs;
      if (state.handle !== 0 && state.fetchedFrom !== leader) this.#stop(state);
      // A frozen broker keeps its connection and never answers: the new leader is asked instead.
      if (state.lookedUpFrom !== leader) state.lookup = 0;
    }
  }

  onBrokerLost(brokerId: BrokerId, error: OttlaError, nowMs: number): void {
    this.#down.add(brokerId);
    this.#streams.delete(brokerId);
    this.#stops.delete(brokerId);
    for (const state of this.states()) {
      if (state.handle === 0 || state.fetchedFrom !== brokerId) continue;
      this.#forget(state);
      this.#retryLater(state, error, nowMs);
    }
  }

  onBrokerUp(brokerId: BrokerId): void {
    this.#down.delete(brokerId);
  }

  /** The answer to a lookup. */
  onOffset(
    topic: string,
    partition: number,
    lookup: number,
    result: { readonly offset: Offset } | { readonly error: OttlaError },
    nowMs: number,
  ): void {
    const state = this.state(topic, partition);
    if (state === undefined || state.lookup !== lookup) return;
    state.lookup = 0;
    if ("error" in result) {
      const { error } = result;
      if (error.retriable) this.#retryLater(state, error, nowMs);
      else this.#fail(state, error);
      return;
    }
    this.#succeeded(state);
    const { start } = state;
    if (result.offset < 0 && typeof start === "object") {
      // No record is that late: what is still to come is later than all.
      state.start = "end";
      return;
    }
    state.start = undefined;
    state.position = result.offset;
    state.fetchOffset = result.offset;
  }

  onFetched(brokerId: BrokerId, fetched: readonly FetchedData[], nowMs: number): void {
    const stream = this.#streams.get(brokerId);
    if (stream === undefined) return;
    stream.heardMs = nowMs;
    for (const data of fetched) {
      const state = this.#handles.get(data.handle);
      if (state === undefined) stream.freedBytes += data.batches.length;
      else if (data.error === undefined) this.#take(state, data, brokerId, stream);
      else this.#onFetchError(state, data.error, data.divergedAt, nowMs);
    }
  }

  /** The oldest batch that lies ready. Throws an error of a partition, once. */
  next(): ReadyBatch | undefined {
    const error = this.#errors.shift();
    if (error !== undefined) throw error;
    const ready = this.#ready.shift();
    if (ready !== undefined) this.#free(ready);
    return ready;
  }

  /** The batch after the one that `next` returns, to prepare it meanwhile. */
  peek(): ReadyBatch | undefined {
    return this.#ready[0];
  }

  get hasNext(): boolean {
    return this.#ready.length > 0 || this.#errors.length > 0;
  }

  /** The batch cannot be decoded: its partition stops until a seek. */
  failBatch(ready: ReadyBatch, error: OttlaError): void {
    if (ready.state.version === ready.version) this.#fail(ready.state, error);
  }

  /** There is no place to read from: the partition stops until a seek. */
  failPartition(state: PartitionState, error: OttlaError): void {
    this.#fail(state, error);
  }

  /** The topic is not there: its partitions stop until a seek. */
  failTopic(topic: string, error: OttlaError): void {
    for (const state of this.#states.get(topic)?.values() ?? []) {
      if (!state.failed) this.#fail(state, error);
    }
  }

  failAll(error: OttlaError): void {
    for (const topic of this.topics()) this.failTopic(topic, error);
  }

  /** Whether a partition is read of which metadata with `count` partitions knows nothing. */
  readsBeyond(topic: string, count: number): boolean {
    const partitions = this.#states.get(topic)?.values() ?? [];
    return [...partitions].some((state) => !state.failed && state.partition >= count);
  }

  /** Partitions from `count` on do not exist. */
  failBeyond(topic: string, count: number): void {
    for (const state of this.#states.get(topic)?.values() ?? []) {
      if (state.failed || state.partition < count) continue;
      const message = `topic ${topic} has no partition ${state.partition}, allowed are 0 to ${count - 1}`;
      this.#fail(
        state,
        new OttlaError("UNKNOWN_TOPIC_OR_PARTITION", message, { field: "partition" }),
      );
    }
  }

  drain(nowMs: number): FetchEffects {
    const starts = new Map<BrokerId, FetchStartEffect[]>();
    const lookups: LookupEffect[] = [];
    let metadataWanted = false;
    let wakeAtMs = Number.POSITIVE_INFINITY;
    for (const state of this.states()) {
      if (state.failed) continue;
      const wantsLookup = state.start !== undefined && state.lookup === 0;
      const wantsFetch =
        state.start === undefined && state.handle === 0 && !state.paused && !state.held;
      if (state.leaderSuspect) metadataWanted = true;
      if (state.lookup !== 0) {
        const suspectAtMs = state.lookedUpMs + this.#options.stallMs;
        if (suspectAtMs <= nowMs) metadataWanted = true;
        else wakeAtMs = Math.min(wakeAtMs, suspectAtMs);
      }
      if (!wantsLookup && !wantsFetch) continue;
      if (state.leader === NONE || this.#down.has(state.leader)) {
        metadataWanted = true;
        continue;
      }
      if (state.retryAtMs > nowMs) {
        wakeAtMs = Math.min(wakeAtMs, state.retryAtMs);
        continue;
      }
      if (wantsLookup) {
        lookups.push(this.#lookup(state, nowMs));
        wakeAtMs = Math.min(wakeAtMs, nowMs + this.#options.stallMs);
      } else {
        const list = starts.get(state.leader);
        if (list === undefined) starts.set(state.leader, [this.#begin(state)]);
        else list.push(this.#begin(state));
      }
    }
    const requests = this.#requests(starts, nowMs);
    for (const [brokerId, stream] of this.#streams) {
      const silentUntilMs = stream.heardMs + this.#options.stallMs;
      if (silentUntilMs <= nowMs) {
        // Silence is usual where nothing is written; only metadata tells it from a frozen leader.
        stream.heardMs = nowMs;
        metadataWanted ||= this.states().some((state) => state.fetchedFrom === brokerId);
      }
      wakeAtMs = Math.min(wakeAtMs, stream.heardMs + this.#options.stallMs);
    }
    return { requests, lookups, metadataWanted, wakeAtMs };
  }

  #startAt(state: PartitionState, start: StartOffset): void {
    state.consumedEpoch = NONE;
    state.fetchedEpoch = NONE;
    if (typeof start === "number") {
      state.start = undefined;
      state.position = start;
      state.fetchOffset = start;
    } else {
      state.start = start;
      state.position = undefined;
    }
  }

  #lookup(state: PartitionState, nowMs: number): LookupEffect {
    const { leader: brokerId, partition, start, topic } = state;
    assert(start !== undefined && typeof start !== "number", "only these are looked up");
    const lookup = this.#nextLookup++;
    state.lookup = lookup;
    state.lookedUpFrom = brokerId;
    state.lookedUpMs = nowMs;
    return { brokerId, topic, partition, lookup, timestamp: timestampOf(start) };
  }

  #begin(state: PartitionState): FetchStartEffect {
    const handle = this.#nextHandle++;
    this.#handles.set(handle, state);
    state.handle = handle;
    state.fetchedFrom = state.leader;
    const { fetchedEpoch: lastFetchedEpoch, fetchOffset: offset } = state;
    const { leaderEpoch, partition, topic } = state;
    return { handle, topic, partition, offset, leaderEpoch, lastFetchedEpoch };
  }

  #requests(starts: Map<BrokerId, FetchStartEffect[]>, nowMs: number): FetchRequestEffect[] {
    const requests: FetchRequestEffect[] = [];
    for (const brokerId of starts.keys()) {
      if (this.#streams.has(brokerId)) continue;
      this.#streams.set(brokerId, {
        id: this.#nextStreamId++,
        freedBytes: 0,
        readyBytes: 0,
        windowBytes: this.#windowBytes(),
        opened: false,
        heardMs: nowMs,
      });
    }
    for (const [brokerId, stream] of this.#streams) {
      const start = starts.get(brokerId) ?? [];
      const stop = this.#stops.get(brokerId) ?? [];
      const creditBytes = this.#creditOf(stream);
      if (start.length === 0 && stop.length === 0 && creditBytes === 0) continue;
      requests.push({ brokerId, start, stop, creditBytes });
    }
    this.#stops.clear();
    return requests;
  }

  #windowBytes(): number {
    const leaders = new Set(this.states().map(({ leader }) => leader));
    const { fetchMaxBytes, maxPartitionFetchBytes, prefetchBytes } = this.#options;
    const share = Math.floor(prefetchBytes / Math.max(1, leaders.size));
    return Math.max(maxPartitionFetchBytes, Math.min(fetchMaxBytes, share));
  }

  /** Credit is granted in quarters of the window, or when nothing else keeps the broker sending. */
  #creditOf(stream: Stream): number {
    if (!stream.opened) {
      stream.opened = true;
      return stream.windowBytes;
    }
    if (stream.freedBytes < stream.windowBytes / 4 && stream.readyBytes > 0) return 0;
    const credit = stream.freedBytes;
    stream.freedBytes = 0;
    return credit;
  }

  #take(state: PartitionState, data: FetchedData, brokerId: BrokerId, stream: Stream): void {
    this.#succeeded(state);
    state.highWatermark = data.highWatermark;
    state.logStartOffset = data.logStartOffset;
    if (data.batches.length === 0) return;
    const { version } = state;
    let batches: Batch[];
    try {
      batches = splitBatches(data.batches);
    } catch (thrown) {
      stream.freedBytes += data.batches.length;
      this.#stop(state);
      this.#fail(state, corruptAt(state, thrown));
      return;
    }
    for (const batch of batches) {
      const end = lastOffset(batch.header) + 1;
      if (end <= state.fetchOffset) {
        stream.freedBytes += batch.bytes.length;
        continue;
      }
      state.fetchOffset = end;
      state.fetchedEpoch = batch.header.leaderEpoch;
      stream.readyBytes += batch.bytes.length;
      this.#ready.push({ state, version, batch, brokerId, streamId: stream.id });
    }
  }

  #onFetchError(
    state: PartitionState,
    error: { readonly code: ErrorCode; readonly message: string },
    divergedAt: Offset | undefined,
    nowMs: number,
  ): void {
    this.#forget(state);
    const { partition, topic } = state;
    const refusal = new OttlaError(error.code, `${topic}-${partition}: ${error.message}`);
    if (error.code === "OFFSET_OUT_OF_RANGE") {
      const { autoOffsetReset } = this.#options;
      // What lies ready goes too: the log it came from was cut at one end or the other.
      if (autoOffsetReset === "none") this.#fail(state, refusal);
      else {
        this.#invalidate(state);
        const reset = autoOffsetReset === "earliest" ? "beginning" : "end";
        // Of a log that was cut, what comes in place of what was read is new (KIP-320).
        this.#startAt(state, divergedAt ?? reset);
      }
    } else if (refusal.retriable) this.#retryLater(state, refusal, nowMs);
    else this.#fail(state, refusal);
  }

  #retryLater(state: PartitionState, error: OttlaError, nowMs: number): void {
    state.failingSinceMs ??= nowMs;
    state.lastError = error;
    state.retryAtMs = nowMs + retryDelayMs(nowMs - state.failingSinceMs, this.#options.retry);
    if (LEADER_ERRORS.has(error.code)) state.leaderSuspect = true;
  }

  #succeeded(state: PartitionState): void {
    state.failingSinceMs = undefined;
    state.lastError = undefined;
    state.leaderSuspect = false;
  }

  #fail(state: PartitionState, error: OttlaError): void {
    if (state.handle !== 0) this.#stop(state);
    state.failed = true;
    state.lastError = error;
    this.#errors.push(error);
  }

  /** Voids what was fetched or asked for and was not delivered yet. */
  #invalidate(state: PartitionState): void {
    state.version++;
    state.lookup = 0;
    if (state.handle !== 0) this.#stop(state);
    const kept: ReadyBatch[] = [];
    for (const ready of this.#ready) {
      if (ready.state === state) this.#free(ready);
      else kept.push(ready);
    }
    this.#ready = kept;
    if (state.position !== undefined) {
      state.fetchOffset = state.position;
      state.fetchedEpoch = state.consumedEpoch;
    }
  }

  /** Ends the fetch of a partition at the broker. */
  #stop(state: PartitionState): void {
    const stops = this.#stops.get(state.fetchedFrom);
    if (stops === undefined) this.#stops.set(state.fetchedFrom, [state.handle]);
    else stops.push(state.handle);
    this.#forget(state);
  }

  /** The fetch of a partition has ended at the broker. */
  #forget(state: PartitionState): void {
    this.#handles.delete(state.handle);
    state.handle = 0;
    state.fetchedFrom = NONE;
  }

  #free({ batch, brokerId, streamId }: ReadyBatch): void {
    const stream = this.#streams.get(brokerId);
    if (stream === undefined || stream.id !== streamId) return;
    stream.readyBytes -= batch.bytes.length;
    stream.freedBytes += batch.bytes.length;
  }
}

function corruptAt(state: PartitionState, thrown: unknown): OttlaError {
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  return new OttlaError(
    "CORRUPT_MESSAGE",
    `${state.topic}-${state.partition} at offset ${state.fetchOffset}: ${why}`,
    { cause: thrown },
  );
}
