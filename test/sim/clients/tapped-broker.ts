/**
 * A broker's use cases with ears: what clients are told is reported to the invariants in the turn in
 * which the broker decides it, before the network can delay or lose it. An answer that nobody ever
 * hears binds the broker all the same.
 */
import type {
  BrokerApi,
  DoorApi,
  FetchedOne,
  FetchSession,
  FetchStartOne,
  ProduceOne,
  ProduceResult,
} from "../../../src/broker/broker-api.ts";
import { minIsrOf } from "../../../src/metadata/image-configs.ts";
import { NONE, type Offset, partitionKey } from "../../../src/model/ids.ts";
import { readBatchHeader } from "../../../src/record/batch.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { type HighWatermarkShown, type Invariant, partitionByKey } from "../cluster/run-context.ts";
import type { Incarnation } from "../world/sim-node.ts";

export interface Tap {
  readonly cluster: Cluster;
  readonly incarnation: Incarnation;
  /**
   * Where each acknowledged batch lies, by partition and CRC, which covers producer id, epoch and
   * sequence. One map for all brokers of a run: a retry may be answered by another one.
   */
  readonly placed: Map<string, Offset>;
  readonly shown: ShownWatermarks;
}

/** The highest that each process showed to anybody, by partition and leader epoch. */
export class ShownWatermarks implements Invariant {
  readonly #highest = new Map<string, Offset>();

  onHighWatermark(shown: HighWatermarkShown): void {
    const id = idOf(shown);
    this.#highest.set(id, Math.max(shown.highWatermark, this.#highest.get(id) ?? 0));
  }

  isNews(shown: HighWatermarkShown): boolean {
    return shown.highWatermark >= (this.#highest.get(idOf(shown)) ?? 0);
  }
}

function idOf({ key, leaderEpoch, life, node }: HighWatermarkShown): string {
  return `${node} ${life} ${key} ${leaderEpoch}`;
}

export function tappedBroker(api: DoorApi, tap: Tap): DoorApi {
  return {
    findCoordinator: (groupId) => api.findCoordinator(groupId),
    joinGroup: (request) => api.joinGroup(request),
    syncGroup: (request) => api.syncGroup(request),
    heartbeat: (request) => api.heartbeat(request),
    leaveGroup: (request) => api.leaveGroup(request),
    offsetCommit: (request) => api.offsetCommit(request),
    offsetFetch: (request) => api.offsetFetch(request),
    listGroups: (request) => api.listGroups(request),
    describeGroups: (groupIds) => api.describeGroups(groupIds),
    deleteGroups: (groupIds) => api.deleteGroups(groupIds),
    deleteOffsets: (request) => api.deleteOffsets(request),
    watchGroup: (groupId, listener) => api.watchGroup(groupId, listener),
    brokerId: api.brokerId,
    image: () => api.image(),
    controllerId: () => api.controllerId(),
    liveBrokers: () => api.liveBrokers(),
    topics: (names, allowAutoCreate) => api.topics(names, allowAutoCreate),
    produce: (one) => produce(api, tap, one),
    openFetch: (sink) => {
      const keys = new Map<number, Started>();
      const session = api.openFetch((fetched) => {
        if (tap.incarnation.alive) for (const one of fetched) tellServed(api, tap, keys, one);
        return sink(fetched);
      });
      return tappedSession(api, session, keys);
    },
    // Not reached yet: the simulated clients fetch over streams.
    fetchOnce: (ones, options) => api.fetchOnce(ones, options),
    leaderEpochEnds: (items) => api.leaderEpochEnds(items),
    listOffsets: (items) => api.listOffsets(items),
    deleteRecords: (items, timeoutMs) => api.deleteRecords(items, timeoutMs),
    describeConfigs: (resources) => api.describeConfigs(resources),
    describeProducers: (items) => api.describeProducers(items),
    describeLogDirectories: () => api.describeLogDirectories(),
    initProducerId: () => api.initProducerId(),
    describeQuorum: () => api.describeQuorum(),
    controller: (name, request, timeoutMs) => api.controller(name, request, timeoutMs),
    health: () => api.health(),
  };
}

function keyOf(api: BrokerApi, topic: string, partition: number): string | undefined {
  const topicId = api.image().topicIds.get(topic);
  return topicId === undefined ? undefined : partitionKey(topicId, partition);
}

function produce(api: BrokerApi, tap: Tap, one: ProduceOne): Promise<ProduceResult> {
  // Now: once it is answered the name may be another topic's.
  const key = keyOf(api, one.topic, one.partition);
  const head = one.acks !== 0 && isWhole(one.batch) ? readBatchHeader(one.batch) : undefined;
  const produced = api.produce(one);
  if (key === undefined || head === undefined) return produced;
  return produced.then((result) => {
    if (result.error === undefined && tap.incarnation.alive && one.acks !== 0) {
      const image = api.image();
      const partition = partitionByKey(image, key);
      const acknowledged = {
        node: tap.incarnation.node.name,
        key,
        baseOffset: result.baseOffset,
        recordsCount: head.recordsCount,
        // As it lies in the log: a topic that stamps LogAppendTime changes it.
        crc: readBatchHeader(one.batch).crc,
        acks: one.acks,
        minIsr: minIsrOf(image, one.topic, partition?.replicas.length ?? 1),
      };
      tap.cluster.tell("onAcknowledged", acknowledged);
      if (head.producerId !== NONE) checkPlace(tap, key, head.crc, result.baseOffset);
    }
    return result;
  });
}

/** I3: whoever answers a retry, and however late, names the offsets of the first time. */
function checkPlace(tap: Tap, key: string, crc: number, baseOffset: Offset): void {
  const id = `${key} ${crc}`;
  const known = tap.placed.get(id);
  if (known === undefined) tap.placed.set(id, baseOffset);
  else if (known !== baseOffset) {
    tap.cluster.fail(
      "I3 a retry is answered with the same offsets",
      `${key}: the batch with CRC ${crc} was at ${known}, now at ${baseOffset}`,
    );
  }
}

const HEADER_BYTES = 61;

function isWhole(batch: Uint8Array): boolean {
  return batch.length >= HEADER_BYTES;
}

function tappedSession(
  api: BrokerApi,
  session: FetchSession,
  keys: Map<number, Started>,
): FetchSession {
  return {
    start: (one: FetchStartOne) => {
      const key = keyOf(api, one.topic, one.partition);
      if (key === undefined) keys.delete(one.handle);
      else keys.set(one.handle, { key, leaderEpoch: epochOf(api, key), highWatermark: 0 });
      session.start(one);
    },
    // What is on its way for a stopped handle is not sent any more; the number is never used again.
    stop: (handle) => session.stop(handle),
    credit: (bytes) => session.credit(bytes),
    close: () => session.close(),
  };
}

/** What a handle reads, and the leader's epoch as it began to. */
interface Started {
  readonly key: string;
  readonly leaderEpoch: number;
  /** As it was told last. */
  highWatermark: Offset;
}

function epochOf(api: BrokerApi, key: string): number {
  return partitionByKey(api.image(), key)?.leaderEpoch ?? NONE;
}

/**
 * P5 for one reader. Of several, followers among them, one may be told later what was read from the
 * disk earlier, so only what is news for all of them is a high watermark that the leader shows now.
 */
function tellWatermark(tap: Tap, started: Started, highWatermark: Offset): void {
  const { cluster, incarnation, shown } = tap;
  const { key, leaderEpoch } = started;
  const node = incarnation.node.name;
  if (highWatermark < started.highWatermark) {
    const told = `${node} told one reader of ${key} ${started.highWatermark}, then ${highWatermark}`;
    cluster.fail("P5 high watermark never falls", told);
  }
  started.highWatermark = highWatermark;
  const watermark = { node, life: incarnation.life, key, leaderEpoch, highWatermark };
  if (!shown.isNews(watermark)) return;
  cluster.tell("onHighWatermark", watermark);
}

function tellServed(
  api: BrokerApi,
  tap: Tap,
  keys: ReadonlyMap<number, Started>,
  fetched: FetchedOne,
): void {
  const started = keys.get(fetched.handle);
  if (started === undefined || fetched.error !== undefined) return;
  const { cluster, incarnation } = tap;
  const { key, leaderEpoch } = started;
  const node = incarnation.node.name;
  // A handle outlives its leader if the next one is elected here too. What was read from the first
  // may leave after the metadata has changed, and an answer does not say which one it is from.
  if (epochOf(api, key) === leaderEpoch) tellWatermark(tap, started, fetched.highWatermark);
  cluster.tell("onServed", { node, key, fetched });
}
