/**
 * A stage for the tests of invariants: a cluster whose brokers do nothing by themselves. A test
 * plays what an observer would see (messages, what disks take, what a broker tells) and asks which
 * statement was found broken. Everything goes the way it goes in a run, through the observation.
 */
import { concatBytes, utf8, writeInt32 } from "../../../src/base/bytes.ts";
import type { DoorApi } from "../../../src/broker/broker-api.ts";
import { MetadataDelta } from "../../../src/metadata/delta.ts";
import { EMPTY_IMAGE, type MetadataImage } from "../../../src/metadata/image.ts";
import { encodeRecords } from "../../../src/metadata/record-codec.ts";
import type { MetadataRecord, PartitionState } from "../../../src/metadata/records.ts";
import { encodeVoters } from "../../../src/raft/membership.ts";
import type { RaftEntry, RaftMessage, RaftNode } from "../../../src/raft/messages.ts";
import type { HardState } from "../../../src/raft/state.ts";
import { lastOffset, placeBatch, readBatchHeader } from "../../../src/record/batch.ts";
import { BatchBuilder } from "../../../src/record/records.ts";
import type { MetadataLogStatus } from "../../../src/runtime/metadata-log.ts";
import { encodeChecked } from "../../../src/storage/checked-value.ts";
import { encodeMarks } from "../../../src/storage/durable-marks.ts";
import {
  BASE_KEY,
  encodeEntry,
  encodeSealed,
  entryKey,
  HARD_STATE_KEY,
} from "../../../src/storage/raft-codec.ts";
import { encodeMark, type RaftMark } from "../../../src/storage/raft-mark.ts";
import type { ReplicaHead } from "../../../src/storage/replica-states.ts";
import { batchKey, segmentName } from "../../../src/storage/segment-keys.ts";
import { Cluster } from "../cluster/cluster.ts";
import type { ObservedBatch } from "../cluster/observed-logs.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";
import { microtasks } from "../world/microtasks.ts";
import { crc32c } from "../world/sim-codecs.ts";
import type { Incarnation } from "../world/sim-node.ts";
import type { StoreState } from "../world/store-state.ts";
import { World } from "../world/world.ts";

export const TOPIC_ID = "AAAAAAAAAAAAAAAAAAAAAA";
export const KEY = `${TOPIC_ID}-0`;
export const TOPIC = "orders";

export type Make = (context: RunContext) => Invariant;

export const raftNode = (id: number): RaftNode => ({ id, directoryId: `d${id}` });
export const VOTERS: readonly RaftNode[] = [1, 2, 3].map(raftNode);

export interface MadeBatch {
  readonly base: number;
  readonly epoch: number;
  /** Default 1. */
  readonly count?: number;
  /** Sets two batches of one place apart. */
  readonly value?: string;
  /** Of its records. Default none. */
  readonly key?: string;
  readonly producer?: { readonly id: number; readonly epoch: number; readonly sequence: number };
  readonly timestamp?: number;
}

/** The whole state of a partition, as most tests want it. */
export function partitionState(changes: Partial<PartitionState> = {}): PartitionState {
  return {
    replicas: [1, 2, 3],
    directories: ["D1", "D2", "D3"],
    isr: [1, 2, 3],
    elr: [],
    lastKnownLeader: -1,
    adding: [],
    removing: [],
    leader: 1,
    leaderEpoch: 0,
    partitionEpoch: 0,
    ...changes,
  };
}

export function bytesOf(made: MadeBatch): Uint8Array {
  const builder = new BatchBuilder(200);
  for (let index = 0; index < (made.count ?? 1); index++) {
    const value = utf8(made.value ?? `${made.base + index}`);
    const key = made.key === undefined ? null : utf8(made.key);
    builder.append({ timestamp: made.timestamp ?? 1_000, key, value, headers: [] });
  }
  const bytes = builder.seal({
    codec: "none",
    producerId: made.producer?.id ?? -1,
    producerEpoch: made.producer?.epoch ?? -1,
    baseSequence: made.producer?.sequence ?? -1,
    crc32c,
  });
  const batch = { bytes, header: readBatchHeader(bytes) };
  return placeBatch(batch, { baseOffset: made.base, leaderEpoch: made.epoch }).bytes;
}

export class Stage {
  readonly world = new World(1);
  readonly cluster: Cluster;
  readonly #invariant: Invariant;
  readonly #images = new Map<number, MetadataImage>();
  readonly #statuses = new Map<number, MetadataLogStatus>();
  readonly #neverUp = new Set<number>();
  #image: MetadataImage = EMPTY_IMAGE;

  constructor(make: Make) {
    this.cluster = new Cluster({
      world: this.world,
      shape: { brokersCount: 3, votersCount: 3, properties: new Map(), snapshotBytes: 1_000 },
      startBroker: (_ports, { nodeId }) => {
        const image = (): MetadataImage => this.#images.get(nodeId) ?? EMPTY_IMAGE;
        const quorum = (): MetadataLogStatus => this.statusOf(nodeId);
        const api = { image } as DoorApi;
        if (this.#neverUp.has(nodeId)) return new Promise(() => {});
        return Promise.resolve({ api, quorum, stop: () => Promise.resolve() });
      },
    });
    this.#invariant = make(this.cluster);
    this.cluster.watch([this.#invariant]);
  }

  /** Which statement was found broken, with what was found. */
  get broken(): string | undefined {
    return this.world.failure?.message;
  }

  async start(): Promise<void> {
    for (const { id } of this.cluster.brokers) await this.life(id);
  }

  /** The process of a broker starts, and is up at once. */
  async life(id: number): Promise<void> {
    this.cluster.start(this.cluster.broker(id));
    await microtasks();
  }

  /** From the next life on its start does not come to an end. */
  neverUp(id: number): void {
    this.#neverUp.add(id);
  }

  crash(id: number, how: "crash" | "power loss" = "crash"): void {
    this.cluster.kill(this.cluster.broker(id), how);
  }

  process(id: number): Incarnation {
    const { incarnation } = this.cluster.broker(id).node;
    if (incarnation === undefined) throw new Error(`broker ${id} is down`);
    return incarnation;
  }

  /** In an event of the broker's process, after which everybody looks. */
  async at(id: number, play: () => void = () => {}, afterMs = 1): Promise<void> {
    let played = false;
    this.process(id).later(afterMs, "compute", "play", () => {
      play();
      played = true;
    });
    try {
      await this.world.runUntil(() => played, afterMs + 1);
      // The observers are asked once the event is over.
      await this.world.runFor(0);
    } catch (thrown) {
      if (this.world.failure === undefined) throw thrown;
    }
  }

  /** What no disk and no network shows goes straight to the invariant. */
  async tell<Hook extends keyof Invariant>(
    id: number,
    hook: Hook,
    ...told: Parameters<NonNullable<Invariant[Hook]>>
  ): Promise<void> {
    await this.at(id, () => {
      (this.#invariant[hook] as ((...told: unknown[]) => void) | undefined)?.(...told);
    });
  }

  // ---- The metadata quorum ----

  statusOf(id: number): MetadataLogStatus {
    const known = this.#statuses.get(id);
    if (known !== undefined) return known;
    return {
      self: raftNode(id),
      clusterId: "cluster",
      role: "follower",
      leaderId: -1,
      term: 0,
      commitIndex: 0,
      appliedIndex: 0,
      votedForId: -1,
      lastIndex: 0,
      voters: VOTERS,
      followers: [],
    };
  }

  async status(id: number, changes: Partial<MetadataLogStatus>): Promise<void> {
    await this.at(id, () => this.setStatus(id, changes));
  }

  /** Within an event that is played already. */
  setStatus(id: number, changes: Partial<MetadataLogStatus>): void {
    this.#statuses.set(id, { ...this.statusOf(id), ...changes });
  }

  send(id: number, message: RaftMessage): Promise<void> {
    return this.at(id, () => {
      const { network } = this.cluster;
      const to = this.cluster.nodeOf(message.to.id);
      network.sent({ from: this.process(id), to, channel: "raft", message, stream: this });
    });
  }

  deliver(id: number, message: RaftMessage, then: () => void = () => {}): Promise<void> {
    return this.at(id, () => {
      const from = this.cluster.nodeOf(message.from.id);
      const to = this.process(id);
      this.cluster.network.delivered({ to, from, channel: "raft", message, stream: this });
      then();
    });
  }

  hardState(id: number, hardState: Partial<HardState>, sync = true): Promise<void> {
    const whole = { term: 0, votedFor: undefined, commitIndex: 0, ...hardState };
    const value = encodeSealed(whole, HARD_STATE_KEY, crc32c);
    return this.#write(id, "/data/raft", [[HARD_STATE_KEY, value]], sync);
  }

  entries(id: number, entries: readonly RaftEntry[], sync = true): Promise<void> {
    const pairs = entries.map((entry): readonly [Uint8Array, Uint8Array] => {
      const key = entryKey(entry.index);
      return [key, encodeEntry(entry, key, crc32c)];
    });
    return this.#write(id, "/data/raft", pairs, sync);
  }

  dropEntry(id: number, index: number): Promise<void> {
    return this.#write(id, "/data/raft", [[entryKey(index), undefined]], true);
  }

  base(id: number, index: number, term: number): Promise<void> {
    const value = encodeSealed({ index, term }, BASE_KEY, crc32c);
    return this.#write(id, "/data/raft", [[BASE_KEY, value]], true);
  }

  mark(id: number, mark: Partial<RaftMark>): void {
    const whole = {
      brokerId: id,
      directoryId: `d${id}`,
      renewed: false,
      term: 0,
      votedFor: undefined,
      lastIndex: 0,
      lastTerm: undefined,
      ...mark,
    };
    this.cluster.broker(id).node.disk.slot("/data/raft-mark").value = encodeMark(whole);
  }

  /** As `SnapshotStore` writes it, but for the checksum. */
  snapshot(id: number, index: number, term: number, content: string): void {
    const header = utf8(JSON.stringify({ index, term, voters: VOTERS }));
    const preamble = new Uint8Array(12);
    writeInt32(preamble, 8, header.length);
    const name = `${String(index).padStart(16, "0")}-${term}.snapshot`;
    const file = concatBytes([preamble, header, utf8(content)]);
    this.cluster.broker(id).node.disk.putFile(`/data/snapshots/${name}`, file);
  }

  /** Records, as one entry that broker 1 has in its log and applies; then everybody knows them. */
  async commit(...records: readonly MetadataRecord[]): Promise<void> {
    const index = this.#image.index + 1;
    await this.entries(1, [{ index, term: 1, kind: "data", payload: encodeRecords(records) }]);
    const delta = new MetadataDelta(this.#image);
    delta.replayAll(records);
    this.#image = delta.apply(index, 1);
    for (const { id } of this.cluster.brokers) this.#images.set(id, this.#image);
    await this.status(1, { term: 1, commitIndex: index, appliedIndex: index, lastIndex: index });
    for (const { id } of this.cluster.brokers) if (id !== 1) await this.at(id);
  }

  get image(): MetadataImage {
    return this.#image;
  }

  /** What the broker alone has applied. */
  knows(id: number, image: MetadataImage): void {
    this.#images.set(id, image);
  }

  /** Three registered brokers, and a topic of one partition. */
  async cluster3(state: PartitionState = partitionState(), minIsr = 2): Promise<void> {
    await this.commit({ type: "feature-level", name: "metadata.version", level: 1 });
    for (const id of [1, 2, 3]) {
      await this.commit(registration(id, id), {
        type: "broker-change",
        brokerId: id,
        brokerEpoch: id,
        fenced: false,
      });
    }
    await this.commit(
      { type: "topic", topicId: TOPIC_ID, name: TOPIC },
      { type: "partition", topicId: TOPIC_ID, partition: 0, ...state },
      {
        type: "config",
        resource: "topic",
        name: TOPIC,
        key: "min.insync.replicas",
        value: String(minIsr),
      },
    );
  }

  // ---- Replicas ----

  /** A batch reaches a replica's disk. */
  async batch(id: number, made: MadeBatch, sync = true): Promise<ObservedBatch> {
    const bytes = bytesOf(made);
    const key = batchKey(made.base + (made.count ?? 1) - 1);
    await this.#write(id, segmentPath(0), [[key, bytes]], sync);
    const node = this.cluster.nodeOf(id);
    return this.cluster.logs.log(node, KEY)?.at(made.base) as ObservedBatch;
  }

  /** As it is, whatever it is. */
  stored(id: number, bytes: Uint8Array): Promise<void> {
    const key = batchKey(lastOffset(readBatchHeader(bytes)));
    return this.#write(id, segmentPath(0), [[key, bytes]], true);
  }

  dropBatch(id: number, lastOffset: number, sync = true): Promise<void> {
    return this.#write(id, segmentPath(0), [[batchKey(lastOffset), undefined]], sync);
  }

  savedHighWatermark(id: number, offset: number): Promise<void> {
    return this.#remember(id, `s/${KEY}/hw`, offset);
  }

  head(id: number, head: Partial<ReplicaHead>): Promise<void> {
    const whole = { topic: TOPIC, logStartOffset: 0, cleanEnd: null, cut: null, ...head };
    return this.#remember(id, `s/${KEY}/head`, whole);
  }

  checkpoint(id: number, offset: number, value: object): Promise<void> {
    return this.#remember(id, `c/${KEY}/${segmentName(offset)}`, { offset, ...value });
  }

  /** How far the replica was known to be durable. */
  durableMark(id: number, end: number): void {
    const content = encodeMarks(new Map([[KEY, { end, epoch: -1 }]]), crc32c);
    this.cluster.broker(id).node.disk.putFile("/data/marks", content);
  }

  store(id: number, path: string): StoreState {
    return this.cluster.broker(id).node.disk.store(path, true);
  }

  #remember(id: number, key: string, value: unknown): Promise<void> {
    return this.#write(id, "/data/broker", [[utf8(key), encodeChecked(value, crc32c)]], true);
  }

  #write(
    id: number,
    path: string,
    pairs: readonly (readonly [Uint8Array, Uint8Array | undefined])[],
    sync: boolean,
  ): Promise<void> {
    return this.at(id, () => {
      const store = this.store(id, path);
      const operations = pairs.map(([key, value]) =>
        value === undefined
          ? ({ type: "delete", key } as const)
          : ({ type: "put", key, value } as const),
      );
      store.begin(operations);
      store.perform(operations, sync);
    });
  }
}

export function registration(
  brokerId: number,
  brokerEpoch: number,
  directories: readonly string[] = [`D${brokerId}`],
): MetadataRecord {
  return {
    type: "register-broker",
    brokerId,
    brokerEpoch,
    incarnationId: `life-${brokerEpoch}`,
    endpoints: [],
    rack: null,
    directories,
    features: [1, 1],
  };
}

export function segmentPath(base: number): string {
  return `/data/logs/${TOPIC}-0.${TOPIC_ID}/${segmentName(base)}`;
}

export const noOp = (index: number, term: number): RaftEntry => ({
  index,
  term,
  kind: "no-op",
  payload: new Uint8Array(0),
});

export const entry = (index: number, term: number, content = "x"): RaftEntry => ({
  index,
  term,
  kind: "data",
  payload: utf8(content),
});

export const config = (index: number, term: number, voters: readonly RaftNode[]): RaftEntry => ({
  index,
  term,
  kind: "config",
  payload: encodeVoters(voters),
});

/** Plays a story and gives the statement that it breaks. */
export async function play(
  make: Make,
  story: (stage: Stage) => Promise<void>,
): Promise<string | undefined> {
  const stage = new Stage(make);
  await stage.start();
  await story(stage);
  return stage.broken;
}
