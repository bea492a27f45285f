import { expect, test } from "vitest";
import type { FetchedOne, ProduceResult } from "../../../src/broker/broker-api.ts";
import { readBatchHeader } from "../../../src/record/batch.ts";
import { DenseBatches } from "../../../src/record/dense-batches.ts";
import type { FetchRefusal } from "../../../src/replica/messages.ts";
import type { Fetching, ListCall, ProduceCall } from "../cluster/run-context.ts";
import { crc32c } from "../world/sim-codecs.ts";
import { noDuplicates } from "./i2-no-duplicates.ts";
import { retries } from "./i3-retries.ts";
import { producerState } from "./i5-producer-state.ts";
import { producerIds } from "./i7-producer-ids.ts";
import { noGrowth } from "./l10-no-growth.ts";
import { noAcknowledgedLoss } from "./p1-no-acknowledged-loss.ts";
import { committedImmutable } from "./p2-committed-immutable.ts";
import { logMatching } from "./p3-log-matching.ts";
import { servedHighWatermark } from "./p5-served-high-watermark.ts";
import { offsetsInOrder } from "./p6-offsets-in-order.ts";
import { maximalIsr } from "./p10-maximal-isr.ts";
import { leaderEpochs } from "./p11-leader-epochs.ts";
import { truncation } from "./p12-truncation.ts";
import { fencing } from "./p13-fencing.ts";
import { staleLeader } from "./p14-stale-leader.ts";
import { ackTruth } from "./p16-ack-truth.ts";
import { refusedNotAppended } from "./p18-refused-not-appended.ts";
import { compaction } from "./p20-compaction.ts";
import { storedBytes } from "./p21-bytes.ts";
import { timestamps } from "./p22-timestamps.ts";
import { oneFetcher } from "./p23-one-fetcher.ts";
import { writeFence } from "./p25-write-fence.ts";
import { recovery } from "./s1-recovery.ts";
import { durableReports } from "./s2-durable-reports.ts";
import { lostTail } from "./s3-lost-tail.ts";
import {
  bytesOf,
  KEY,
  type MadeBatch,
  partitionState,
  play,
  type Stage,
  TOPIC,
  TOPIC_ID,
} from "./stage.ts";

// Each statement about replicas, producers and storage is broken once on purpose, and once almost.

const where = (id: number) => ({ node: `broker-${id}`, life: 1 });

const shown = (id: number, highWatermark: number, leaderEpoch = 0) => ({
  ...where(id),
  key: KEY,
  leaderEpoch,
  highWatermark,
});

function fetching(
  follower: number,
  fields: Partial<Fetching["start"]> = {},
  stream = {},
): Fetching {
  return {
    follower: where(follower),
    followerId: follower,
    brokerEpoch: follower,
    leader: "broker-1",
    key: KEY,
    start: {
      handle: 1,
      topicId: TOPIC_ID,
      partition: 0,
      leaderEpoch: 0,
      fetchOffset: 0,
      lastFetchedEpoch: -1,
      logStartOffset: 0,
      ...fields,
    },
    stream,
  };
}

const fetched = (highWatermark: number, made: readonly MadeBatch[] = []): FetchedOne => ({
  handle: 1,
  error: undefined,
  highWatermark,
  lastStableOffset: highWatermark,
  logStartOffset: 0,
  batches: made.map(bytesOf).map((bytes) => ({ bytes, header: readBatchHeader(bytes) })),
  leader: undefined,
});

const started = (stage: Stage, id: number, currentLeaderEpoch = -1) => ({
  where: where(id),
  key: KEY,
  start: {
    handle: 1,
    topic: TOPIC,
    partition: 0,
    offset: 0,
    currentLeaderEpoch,
    maxBytes: 1_000,
  },
  image: stage.image,
});

function produceCall(
  stage: Stage,
  id: number,
  made: MadeBatch,
  acks: -1 | 0 | 1 = -1,
): ProduceCall {
  return {
    where: where(id),
    key: KEY,
    one: { topic: TOPIC, partition: 0, acks, timeoutMs: 1_000 },
    header: readBatchHeader(bytesOf(made)),
    image: stage.image,
  };
}

const produced = (baseOffset: number, code?: string): ProduceResult => ({
  error: code === undefined ? undefined : ({ code, message: code } as ProduceResult["error"]),
  baseOffset,
  logAppendTimeMs: -1,
  logStartOffset: 0,
  leader: undefined,
});

const acknowledged = (id: number, made: MadeBatch, acks: -1 | 1 = -1) => ({
  node: `broker-${id}`,
  key: KEY,
  baseOffset: made.base,
  recordsCount: made.count ?? 1,
  crc: readBatchHeader(bytesOf(made)).crc,
  acks,
  minIsr: 2,
});

const refusal = (fields: Partial<FetchRefusal>): FetchRefusal => ({
  handle: 1,
  error: undefined,
  diverging: undefined,
  logStartOffset: 0,
  logEndOffset: 0,
  ...fields,
});

const batch = (base: number, epoch = 0, value?: string): MadeBatch => ({
  base,
  epoch,
  ...(value === undefined ? {} : { value }),
});

test("P1: an acknowledged batch on too few disks, or not with a later leader", async () => {
  const acks = (holders: readonly number[]) => async (stage: Stage) => {
    await stage.cluster3();
    for (const id of holders) await stage.batch(id, batch(0));
    await stage.tell(1, "onAcknowledged", acknowledged(1, batch(0)));
  };
  expect(await play(noAcknowledgedLoss, acks([1]))).toMatch(/^P1/);
  expect(await play(noAcknowledgedLoss, acks([2, 3]))).toMatch(/^P1/);
  expect(await play(noAcknowledgedLoss, acks([1, 2]))).toBeUndefined();
  const elects = (leader: number) => async (stage: Stage) => {
    await acks([1, 2])(stage);
    await stage.commit({ type: "partition-change", topicId: TOPIC_ID, partition: 0, leader });
  };
  expect(await play(noAcknowledgedLoss, elects(3))).toMatch(/^P1/);
  expect(await play(noAcknowledgedLoss, elects(2))).toBeUndefined();
  const cuts = (last: number) => async (stage: Stage) => {
    await acks([1, 2])(stage);
    await stage.batch(2, batch(1));
    await stage.dropBatch(2, last);
  };
  expect(await play(noAcknowledgedLoss, cuts(0))).toMatch(/^P12/);
  expect(await play(noAcknowledgedLoss, cuts(1))).toBeUndefined();
});

/** Broker 1 shows two batches as committed that brokers 1 and 2 and the given ones hold. */
const commits =
  (also: readonly number[], highWatermark = 2) =>
  async (stage: Stage) => {
    await stage.cluster3(partitionState({ isr: [1, 2] }));
    for (const id of [1, 2, ...also]) {
      await stage.batch(id, batch(0));
      await stage.batch(id, batch(1));
    }
    await stage.tell(1, "onHighWatermark", shown(1, highWatermark));
  };

test("P2, P7: other bytes where something was committed, and reading too far", async () => {
  const serves = (made: MadeBatch, highWatermark: number) => async (stage: Stage) => {
    await commits([])(stage);
    const one = fetched(highWatermark, [made]);
    await stage.tell(1, "onServed", { node: "broker-1", key: KEY, fetched: one });
  };
  expect(await play(committedImmutable, serves(batch(1, 0, "other"), 2))).toMatch(/^P2/);
  expect(await play(committedImmutable, serves(batch(1), 1))).toMatch(/^P7/);
  expect(await play(committedImmutable, serves(batch(1), 2))).toBeUndefined();
});

test("P4, P5, P9: a high watermark beyond logs, that falls, or that a member lacks", async () => {
  expect(await play(committedImmutable, commits([], 3))).toMatch(/^P4/);
  expect(await play(committedImmutable, commits([], 2))).toBeUndefined();
  const then = (highWatermark: number) => async (stage: Stage) => {
    await commits([])(stage);
    await stage.tell(1, "onHighWatermark", shown(1, highWatermark));
  };
  expect(await play(committedImmutable, then(1))).toMatch(/^P5/);
  expect(await play(committedImmutable, then(2))).toBeUndefined();
  const joins = (also: readonly number[]) => async (stage: Stage) => {
    await commits(also)(stage);
    await stage.commit({
      type: "partition-change",
      topicId: TOPIC_ID,
      partition: 0,
      isr: [1, 2, 3],
    });
  };
  expect(await play(committedImmutable, joins([]))).toMatch(/^P9/);
  expect(await play(committedImmutable, joins([3]))).toBeUndefined();
});

test("P3, P15: logs that differ in one epoch, and holes", async () => {
  const story = (made: MadeBatch) => async (stage: Stage) => {
    await stage.batch(1, batch(0));
    await stage.batch(1, batch(1));
    await stage.batch(2, batch(0));
    await stage.batch(2, made);
  };
  expect(await play(logMatching, story(batch(1, 0, "other")))).toMatch(/^P3/);
  expect(await play(logMatching, story(batch(2)))).toMatch(/^P15/);
  expect(await play(logMatching, story(batch(1, 1, "other")))).toBeUndefined();
  expect(await play(logMatching, story(batch(1)))).toBeUndefined();
});

test("P5: a latest offset below what a client was shown", async () => {
  const story = (offset: number, leaderEpoch: number) => async (stage: Stage) => {
    await stage.cluster3(partitionState({ leaderEpoch: 1 }));
    await stage.tell(1, "onFetched", started(stage, 1), fetched(5));
    const item = { topic: TOPIC, partition: 0, timestamp: -1 };
    const call: ListCall = { where: where(2), key: KEY, item };
    await stage.tell(2, "onListCall", call);
    const result = { ...item, error: undefined, offset, leaderEpoch, leader: undefined };
    await stage.tell(2, "onListed", call, result);
  };
  expect(await play(servedHighWatermark, story(4, 1))).toMatch(/^P5/);
  expect(await play(servedHighWatermark, story(4, 2))).toMatch(/^P5/);
  expect(await play(servedHighWatermark, story(5, 2))).toBeUndefined();
  // A leader that does not know of its fall.
  expect(await play(servedHighWatermark, story(4, 0))).toBeUndefined();
});

test("P6, S6: a high watermark beyond the log, a start beyond the high watermark", async () => {
  const saves = (offset: number) => async (stage: Stage) => {
    await stage.cluster3();
    await stage.batch(1, batch(0));
    await stage.savedHighWatermark(1, offset);
  };
  expect(await play(offsetsInOrder, saves(2))).toMatch(/^S6/);
  expect(await play(offsetsInOrder, saves(1))).toBeUndefined();
  const sends = (logStartOffset: number, onDisk: number) => async (stage: Stage) => {
    await stage.cluster3();
    for (const id of [1, 2]) await stage.batch(id, { ...batch(0), count: 4 });
    await stage.head(1, { logStartOffset: onDisk });
    const one = { handle: 1, highWatermark: 3, logStartOffset, batches: new Uint8Array(0) };
    await stage.tell(1, "onFrame", { from: where(1), fetching: fetching(2), fetched: one });
  };
  expect(await play(offsetsInOrder, sends(4, 4))).toMatch(/^P6 offsets/);
  expect(await play(offsetsInOrder, sends(3, 3))).toBeUndefined();
  expect(await play(offsetsInOrder, sends(3, 2))).toMatch(/^P6 a log start is durable/);
});

test("P19: a log start above what enough replicas hold", async () => {
  const story = (holders: readonly number[]) => async (stage: Stage) => {
    await stage.cluster3();
    for (const id of holders) await stage.batch(id, batch(0));
    await stage.head(1, { logStartOffset: 1 });
  };
  expect(await play(offsetsInOrder, story([1]))).toMatch(/^P19/);
  expect(await play(offsetsInOrder, story([1, 2]))).toBeUndefined();
  const later = (logStartOffset: number) => async (stage: Stage) => {
    await story([1, 2])(stage);
    await stage.dropBatch(2, 0);
    await stage.head(1, { logStartOffset, cleanEnd: 1 });
  };
  // Its log is said to be clean, and nothing is deleted by that.
  expect(await play(offsetsInOrder, later(1))).toBeUndefined();
  expect(await play(offsetsInOrder, later(2))).toMatch(/^P19/);
});

test("P10: a high watermark that does not wait for a proposed member", async () => {
  const story = (also: readonly number[], code?: string) => async (stage: Stage) => {
    await stage.cluster3(partitionState({ isr: [1, 2] }));
    for (const id of [1, 2, ...also]) await stage.batch(id, batch(0));
    const newIsr = [1, 2, 3].map((brokerId) => ({ brokerId, brokerEpoch: brokerId }));
    const item = { topicId: TOPIC_ID, partition: 0, leaderEpoch: 0, partitionEpoch: 0, newIsr };
    const request = {
      from: where(1),
      to: "broker-2",
      name: "alter-partition" as const,
      body: { brokerId: 1, brokerEpoch: 1, partitions: [item] },
      image: stage.image,
    };
    await stage.tell(1, "onControllerRequest", request);
    const body = { partitions: [{ error: { code, message: "" } }] };
    const reply = { request, from: where(2), body, error: null };
    if (code !== undefined) await stage.tell(2, "onControllerReply", reply);
    await stage.tell(1, "onHighWatermark", shown(1, 1));
  };
  expect(await play(maximalIsr, story([]))).toMatch(/^P10/);
  expect(await play(maximalIsr, story([3]))).toBeUndefined();
  expect(await play(maximalIsr, story([], "INELIGIBLE_REPLICA"))).toBeUndefined();
  // Its first copy may have been granted.
  expect(await play(maximalIsr, story([], "INVALID_UPDATE_VERSION"))).toMatch(/^P10/);
});

test("P11: an epoch that nobody leads, and remembered epochs that are not the log's", async () => {
  const writes = (epoch: number) => async (stage: Stage) => {
    await stage.cluster3();
    await stage.batch(1, batch(0, epoch));
  };
  expect(await play(leaderEpochs, writes(1))).toMatch(/^P11/);
  expect(await play(leaderEpochs, writes(0))).toBeUndefined();
  const remembers = (startOffset: number) => async (stage: Stage) => {
    await stage.cluster3();
    await stage.commit({ type: "partition-change", topicId: TOPIC_ID, partition: 0, leader: 2 });
    await stage.batch(1, batch(0, 0));
    await stage.batch(1, batch(1, 1));
    const epochs = [
      { epoch: 0, startOffset: 0 },
      { epoch: 1, startOffset },
    ];
    await stage.checkpoint(1, 2, { epochs, producers: [] });
  };
  expect(await play(leaderEpochs, remembers(2))).toMatch(/^P11/);
  expect(await play(leaderEpochs, remembers(1))).toBeUndefined();
});

test("P12: a truncation that nobody asked for, and one below what was committed", async () => {
  const story = (told: boolean, saved: number) => async (stage: Stage) => {
    await stage.cluster3();
    await stage.batch(2, batch(0));
    await stage.batch(2, batch(1));
    await stage.savedHighWatermark(2, saved);
    const diverging = { epoch: 0, endOffset: 1 };
    if (told) await stage.tell(1, "onRefusal", fetching(2), refusal({ diverging }));
    await stage.dropBatch(2, 1);
  };
  expect(await play(truncation, story(false, 1))).toMatch(/^P12/);
  expect(await play(truncation, story(true, 2))).toMatch(/^P12/);
  expect(await play(truncation, story(true, 1))).toBeUndefined();
});

test("P13: data in an epoch that the leader does not lead, or to who named another", async () => {
  const sends = (leaderEpoch: number) => async (stage: Stage) => {
    await stage.cluster3(partitionState({ leaderEpoch: 2 }));
    const one = { handle: 1, highWatermark: 0, logStartOffset: 0, batches: new Uint8Array(0) };
    const frame = { from: where(1), fetching: fetching(2, { leaderEpoch }), fetched: one };
    await stage.tell(1, "onFrame", frame);
  };
  expect(await play(fencing, sends(1))).toMatch(/^P13/);
  expect(await play(fencing, sends(2))).toBeUndefined();
  const serves = (epoch: number) => async (stage: Stage) => {
    await stage.cluster3(partitionState({ leaderEpoch: 2 }));
    await stage.tell(1, "onFetched", started(stage, 1, epoch), fetched(1));
  };
  expect(await play(fencing, serves(1))).toMatch(/^P13/);
  expect(await play(fencing, serves(3))).toMatch(/^P13/);
  expect(await play(fencing, serves(2))).toBeUndefined();
});

test("P14: a stale leader acknowledges what its successor lacks", async () => {
  const story = (holders: readonly number[]) => async (stage: Stage) => {
    await stage.cluster3();
    for (const id of holders) await stage.batch(id, batch(0));
    await stage.commit({ type: "partition-change", topicId: TOPIC_ID, partition: 0, leader: 2 });
    await stage.tell(1, "onAcknowledged", acknowledged(1, batch(0)));
  };
  expect(await play(staleLeader, story([1, 3]))).toMatch(/^P14/);
  expect(await play(staleLeader, story([1, 2]))).toBeUndefined();
});

test("P16, P17: an acknowledgement of another place, or before the sync", async () => {
  const story = (acked: MadeBatch, sync: boolean) => async (stage: Stage) => {
    await stage.cluster3();
    await stage.batch(1, batch(0), sync);
    await stage.tell(1, "onAcknowledged", acknowledged(1, acked, 1));
  };
  expect(await play(ackTruth, story(batch(1), true))).toMatch(/^P16/);
  expect(await play(ackTruth, story(batch(0, 0, "other"), true))).toMatch(/^P16/);
  expect(await play(ackTruth, story(batch(0), false))).toMatch(/^P17/);
  expect(await play(ackTruth, story(batch(0), true))).toBeUndefined();
});

test("P18: a small ISR that takes a batch, and a large one that refuses it as small", async () => {
  const story = (isr: readonly number[], code?: string) => async (stage: Stage) => {
    await stage.cluster3(partitionState({ isr }));
    const call = produceCall(stage, 1, batch(0));
    await stage.tell(1, "onProduceCall", call);
    await stage.tell(1, "onProduced", call, produced(0, code));
  };
  expect(await play(refusedNotAppended, story([1]))).toMatch(/^P18/);
  expect(await play(refusedNotAppended, story([1, 2], "NOT_ENOUGH_REPLICAS"))).toMatch(/^P18/);
  expect(await play(refusedNotAppended, story([1, 2]))).toBeUndefined();
  expect(await play(refusedNotAppended, story([1], "NOT_ENOUGH_REPLICAS"))).toBeUndefined();
});

test("S8: a refused batch that lies in the log later", async () => {
  const story = (code: string, again: boolean) => async (stage: Stage) => {
    await stage.cluster3();
    const call = produceCall(stage, 1, batch(0));
    await stage.tell(1, "onProduceCall", call);
    await stage.tell(1, "onProduced", call, produced(-1, code));
    if (again) await stage.tell(1, "onProduceCall", produceCall(stage, 1, batch(0)));
    await stage.batch(1, batch(0));
  };
  expect(await play(refusedNotAppended, story("DISK_FULL", false))).toMatch(/^S8/);
  expect(await play(refusedNotAppended, story("DISK_FULL", true))).toBeUndefined();
  expect(await play(refusedNotAppended, story("REQUEST_TIMED_OUT", false))).toBeUndefined();
});

test("P21, S5: bytes that nobody sent, that differ, or that were not stored", async () => {
  const story = (sent: MadeBatch, second: MadeBatch, served: MadeBatch) => async (stage: Stage) => {
    await stage.tell(1, "onProduceCall", produceCall(stage, 1, sent));
    await stage.batch(1, batch(0));
    await stage.batch(2, second);
    await stage.tell(1, "onFetched", started(stage, 1), fetched(1, [served]));
  };
  const other = batch(0, 0, "other");
  expect(await play(storedBytes, story(other, batch(0), batch(0)))).toMatch(/^P21 only/);
  expect(await play(storedBytes, story(batch(0), other, batch(0)))).toMatch(/^P21 replicas/);
  expect(await play(storedBytes, story(batch(0), batch(0), other))).toMatch(/^S5/);
  expect(await play(storedBytes, story(batch(0), batch(0), batch(0)))).toBeUndefined();
});

test("P20: a cleaner that removes what nobody wrote again, or changes what is left", async () => {
  const made: readonly MadeBatch[] = [
    { base: 0, epoch: 0, key: "a" },
    { base: 1, epoch: 0, key: "b" },
    { base: 2, epoch: 0, key: "a" },
  ];
  const cleaned = (removed: readonly number[], changed: Partial<MadeBatch>): Uint8Array[] => {
    const dense = new DenseBatches({ crc32c, isReferenced: () => false });
    const left = made.map((each) => {
      const bytes = bytesOf(each.base === 2 ? { ...each, ...changed } : each);
      const header = readBatchHeader(bytes);
      return removed.includes(each.base) ? dense.remove(header) : dense.keep({ header, bytes });
    });
    return [...left, dense.finish()].flatMap((batch) => (batch === undefined ? [] : [batch.bytes]));
  };
  const story =
    (removed: readonly number[], changed: Partial<MadeBatch> = {}) =>
    async (stage: Stage) => {
      await stage.cluster3();
      const policy = { key: "cleanup.policy", value: "compact" };
      await stage.commit({ type: "config", resource: "topic", name: TOPIC, ...policy });
      for (const id of [1, 3]) for (const each of made) await stage.batch(id, each);
      for (const bytes of cleaned(removed, changed)) await stage.stored(2, bytes);
      await stage.tell(1, "atEnd");
    };
  expect(await play(compaction, story([]))).toBeUndefined();
  expect(await play(compaction, story([0]))).toBeUndefined();
  expect(await play(compaction, story([1]))).toMatch(/^P20 .* the last of its key/);
  expect(await play(compaction, story([2]))).toMatch(/^P20 .* the last of its key/);
  expect(await play(compaction, story([0], { value: "x" }))).toMatch(
    /^P20 .* not what was written/,
  );
});

test("P22: another offset than the first of a timestamp", async () => {
  const story = (offset: number, timestamp: number) => async (stage: Stage) => {
    await stage.batch(1, { base: 0, epoch: 0, timestamp: 1_000 });
    await stage.batch(1, { base: 1, epoch: 0, timestamp: 2_000 });
    await stage.savedHighWatermark(1, 2);
    const item = { topic: TOPIC, partition: 0, timestamp };
    const call: ListCall = { where: where(1), key: KEY, item };
    await stage.tell(1, "onListCall", call);
    const result = { ...item, error: undefined, offset, leaderEpoch: 0, leader: undefined };
    await stage.tell(1, "onListed", call, result);
  };
  expect(await play(timestamps, story(0, 1_500))).toMatch(/^P22/);
  expect(await play(timestamps, story(-1, 1_500))).toMatch(/^P22/);
  expect(await play(timestamps, story(1, 1_500))).toBeUndefined();
  expect(await play(timestamps, story(-1, 2_500))).toBeUndefined();
});

test("P23: two fetches of one partition", async () => {
  const story = (end: "stop" | "refuse" | "stream" | undefined) => async (stage: Stage) => {
    const first = fetching(2);
    await stage.tell(2, "onFetchStart", first);
    const { stream } = first;
    const ended = {
      incarnation: stage.process(2),
      peer: "broker-1",
      channel: "replication",
      stream,
    } as const;
    if (end === "stop") await stage.tell(2, "onFetchStop", first);
    if (end === "refuse") await stage.tell(1, "onRefusal", first, refusal({}));
    if (end === "stream") await stage.tell(2, "onStreamEnd", ended);
    await stage.tell(2, "onFetchStart", { ...fetching(2), leader: "broker-3" });
  };
  expect(await play(oneFetcher, story(undefined))).toMatch(/^P23/);
  for (const end of ["stop", "refuse", "stream"] as const) {
    expect(await play(oneFetcher, story(end))).toBeUndefined();
  }
});

test("P25: a write to a store that has refused one", async () => {
  const story = (again: boolean) => async (stage: Stage) => {
    if (again) stage.cluster.broker(1).node.disk.onWriteAfterFailure("/data/broker");
    await stage.at(1);
  };
  expect(await play(writeFence, story(true))).toMatch(/^P25/);
  expect(await play(writeFence, story(false))).toBeUndefined();
});

const of = (id: number, epoch: number, base: number, sequence: number): MadeBatch => ({
  base,
  epoch: 0,
  producer: { id, epoch, sequence },
});

test("I1, I2, I4: sequences with a gap, twice, or of a fenced epoch", async () => {
  const story = (second: MadeBatch) => async (stage: Stage) => {
    await stage.batch(1, of(7, 1, 0, 0));
    await stage.batch(1, second);
  };
  expect(await play(noDuplicates, story(of(7, 1, 1, 2)))).toMatch(/^I2/);
  expect(await play(noDuplicates, story(of(7, 1, 1, 0)))).toMatch(/^I2/);
  expect(await play(noDuplicates, story(of(7, 0, 1, 0)))).toMatch(/^I4/);
  expect(await play(noDuplicates, story(of(7, 1, 1, 1)))).toBeUndefined();
  expect(await play(noDuplicates, story(of(7, 2, 1, 0)))).toBeUndefined();
});

test("I3: a retry with other offsets, or refused while it is known", async () => {
  const story =
    (second: ProduceResult, laterCount = 0) =>
    async (stage: Stage) => {
      await stage.batch(1, of(7, 0, 0, 0));
      for (let at = 1; at <= laterCount; at++) await stage.batch(1, of(7, 0, at, at));
      const call = produceCall(stage, 1, of(7, 0, 0, 0));
      await stage.tell(1, "onProduced", call, produced(0));
      await stage.tell(1, "onProduced", { ...call }, second);
    };
  expect(await play(retries, story(produced(1)))).toMatch(/^I3/);
  expect(await play(retries, story(produced(-1, "OUT_OF_ORDER_SEQUENCE_NUMBER")))).toMatch(/^I3/);
  expect(await play(retries, story(produced(0)))).toBeUndefined();
  const forgotten = story(produced(-1, "DUPLICATE_SEQUENCE_NUMBER"), 5);
  expect(await play(retries, forgotten)).toBeUndefined();
});

test("I6: a producer that the log knows is unknown", async () => {
  const story = (timestamp: number, id: number) => async (stage: Stage) => {
    await stage.batch(1, { ...of(7, 0, 0, 0), timestamp });
    const call = produceCall(stage, 1, of(id, 0, 1, 1));
    await stage.tell(1, "onProduced", call, produced(-1, "UNKNOWN_PRODUCER_ID"));
  };
  const now = Date.UTC(2026, 0, 1);
  expect(await play(retries, story(now, 7))).toMatch(/^I6/);
  expect(await play(retries, story(now - 2 * 86_400_000, 7))).toBeUndefined();
  expect(await play(retries, story(now, 8))).toBeUndefined();
});

test("I5: remembered producers that are not those of the log", async () => {
  const story = (baseSequence: number, baseOffset: number) => async (stage: Stage) => {
    await stage.batch(1, of(7, 0, 0, 0));
    await stage.batch(1, of(7, 0, 1, 1));
    const last = { baseSequence, lastSequence: baseSequence, baseOffset, lastOffset: baseOffset };
    const producers = [{ producerId: 7, epoch: 0, batches: [{ ...last, timestamp: 0 }] }];
    await stage.checkpoint(1, 2, { epochs: [], producers });
  };
  expect(await play(producerState, story(0, 0))).toMatch(/^I5/);
  expect(await play(producerState, story(1, 1))).toBeUndefined();
});

test("I7: a producer id for two callers", async () => {
  const story = (producerId: number) => async (stage: Stage) => {
    await stage.tell(1, "onProducerId", where(1), { producerId: 7, producerEpoch: 0 });
    await stage.tell(2, "onProducerId", where(2), { producerId, producerEpoch: 0 });
  };
  expect(await play(producerIds, story(7))).toMatch(/^I7/);
  expect(await play(producerIds, story(8))).toBeUndefined();
});

test("S1, S2: a start that removes what is whole", async () => {
  const story = (second: number) => async (stage: Stage) => {
    await stage.cluster3();
    await stage.batch(1, batch(0));
    await stage.batch(1, batch(second));
    stage.crash(1);
    stage.neverUp(1);
    await stage.life(1);
    await stage.dropBatch(1, second);
  };
  expect(await play(recovery, story(1))).toMatch(/^S2/);
  expect(await play(recovery, story(2))).toBeUndefined();
});

test("S2, S7: reports of what is not durable, and cuts that may come back", async () => {
  const reports = (durableEnd: number, sync: boolean) => async (stage: Stage) => {
    await stage.cluster3();
    await stage.batch(2, batch(0), sync);
    const progress = { handle: 1, receivedEnd: 2, durableEnd, logStartOffset: 0 };
    await stage.tell(2, "onProgress", fetching(2), progress);
  };
  expect(await play(durableReports, reports(2, true))).toMatch(/^S2/);
  expect(await play(durableReports, reports(1, false))).toMatch(/^S2/);
  expect(await play(durableReports, reports(1, true))).toBeUndefined();
  const cuts = (sync: boolean) => async (stage: Stage) => {
    await stage.cluster3();
    await stage.batch(2, batch(0));
    await stage.batch(2, batch(1));
    await stage.dropBatch(2, 1, sync);
    await stage.tell(2, "onFetchStart", fetching(2, { fetchOffset: 1 }));
  };
  expect(await play(durableReports, cuts(false))).toMatch(/^S7/);
  expect(await play(durableReports, cuts(true))).toBeUndefined();
});

test("S3: a lost tail that is not reported", async () => {
  const story = (mark: number, told: boolean) => async (stage: Stage) => {
    await stage.cluster3();
    await stage.batch(2, batch(0));
    stage.durableMark(2, mark);
    stage.crash(2);
    await stage.life(2);
    const lostReplicas = told ? [{ topicId: TOPIC_ID, partition: 0 }] : [];
    await stage.tell(2, "onControllerRequest", {
      from: { node: "broker-2", life: 2 },
      to: "broker-1",
      name: "register-broker",
      body: { incarnationId: "x", lostReplicas },
      image: stage.image,
    });
  };
  expect(await play(lostTail, story(2, false))).toMatch(/^S3/);
  expect(await play(lostTail, story(2, true))).toBeUndefined();
  expect(await play(lostTail, story(1, false))).toBeUndefined();
});

test("L10: timers that nobody cancels", async () => {
  const story = (count: number) => async (stage: Stage) => {
    stage.process(1).timersCount = count;
    stage.cluster.rest();
    await stage.at(1);
  };
  expect(await play(noGrowth, story(2_000))).toMatch(/^L10/);
  expect(await play(noGrowth, story(20))).toBeUndefined();
});
