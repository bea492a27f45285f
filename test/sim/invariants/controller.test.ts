import { expect, test } from "vitest";
import type { ControllerRequestName } from "../../../src/metadata/commands.ts";
import type { MetadataRecord, PartitionState } from "../../../src/metadata/records.ts";
import type { ControllerRequest } from "../cluster/run-context.ts";
import { partitionMetadata } from "./c-partition-metadata.ts";
import { isrMembers } from "./c3-isr-members.ts";
import { cleanElection } from "./c7-clean-election.ts";
import { alterPartition } from "./c8-alter-partition.ts";
import { registration as registrationInvariant } from "./c10-registration.ts";
import { topicIdentity } from "./c14-topic-identity.ts";
import { activeController } from "./c16-active-controller.ts";
import { controllerHistory } from "./r20-controller-history.ts";
import { uniqueIds } from "./r21-unique-ids.ts";
import {
  entry,
  KEY,
  noOp,
  partitionState,
  play,
  raftNode,
  registration,
  type Stage,
  TOPIC,
  TOPIC_ID,
} from "./stage.ts";

// Each statement about the controller and its metadata is broken once on purpose, and once almost.

const change = (fields: object): MetadataRecord => ({
  type: "partition-change",
  topicId: TOPIC_ID,
  partition: 0,
  ...fields,
});

const fence = (brokerId: number, fenced: boolean): MetadataRecord => ({
  type: "broker-change",
  brokerId,
  brokerEpoch: brokerId,
  fenced,
});

function request(stage: Stage, name: ControllerRequestName, body: unknown): ControllerRequest {
  const from = { node: "broker-2", life: 1 };
  return { from, to: "broker-1", name, body, image: stage.image };
}

const changed =
  (before: Partial<PartitionState>, ...records: readonly object[]) =>
  async (stage: Stage) => {
    await stage.cluster3(partitionState(before));
    for (const fields of records) await stage.commit(change(fields));
  };

test("C1: ISR and ELR outside the replicas, overlapping, or without the leader", async () => {
  expect(await play(partitionMetadata, changed({}, { isr: [2, 3] }))).toMatch(/^C1/);
  expect(await play(partitionMetadata, changed({}, { isr: [1, 4] }))).toMatch(/^C1/);
  expect(await play(partitionMetadata, changed({}, { isr: [1], elr: [1] }))).toMatch(/^C1/);
  expect(await play(partitionMetadata, changed({}, { isr: [1], elr: [2] }))).toBeUndefined();
});

test("C2: nobody is known to hold the data", async () => {
  const empty = { isr: [], elr: [], leader: -1 };
  expect(await play(partitionMetadata, changed({}, empty))).toMatch(/^C2/);
  const known = { ...empty, lastKnownLeader: 1 };
  expect(await play(partitionMetadata, changed({}, known))).toBeUndefined();
});

test("C5: an epoch that falls", async () => {
  // The replay itself asserts this much; here the image is as if it did not.
  const again = (changes: Partial<PartitionState>) => async (stage: Stage) => {
    await stage.cluster3(partitionState({ leaderEpoch: 3, partitionEpoch: 5 }));
    const before = stage.image;
    const state = partitionState(changes);
    const topic = { id: TOPIC_ID, name: TOPIC, partitions: [state] };
    const after = { ...before, topics: new Map([[TOPIC_ID, topic]]) };
    const record = { type: "partition", topicId: TOPIC_ID, partition: 0, ...state } as const;
    const step = { index: 9, term: 1, records: [record], before, after };
    await stage.tell(1, "onMetadata", step);
  };
  const broken = [
    { leaderEpoch: 2, partitionEpoch: 6 },
    { leaderEpoch: 3, partitionEpoch: 5 },
    { leader: 2, leaderEpoch: 3, partitionEpoch: 6 },
  ];
  for (const each of broken) expect(await play(partitionMetadata, again(each))).toMatch(/^C5/);
  const lawful = { leader: 2, leaderEpoch: 4, partitionEpoch: 6 };
  expect(await play(partitionMetadata, again(lawful))).toBeUndefined();
});

test("C6: two leaders of one epoch", async () => {
  const story = (leaderEpoch: number) => async (stage: Stage) => {
    await stage.cluster3(partitionState());
    await stage.commit({ type: "remove-topic", topicId: TOPIC_ID });
    await stage.commit(
      { type: "topic", topicId: TOPIC_ID, name: TOPIC },
      {
        type: "partition",
        topicId: TOPIC_ID,
        partition: 0,
        ...partitionState({ leader: 2, leaderEpoch }),
      },
    );
  };
  expect(await play(partitionMetadata, story(0))).toMatch(/^C6/);
  expect(await play(partitionMetadata, story(1))).toBeUndefined();
});

test("C9: a life without a higher broker epoch", async () => {
  const story = (epoch: number) => async (stage: Stage) => {
    await stage.cluster3();
    const before = stage.image;
    const known = before.brokers.get(1);
    if (known === undefined) throw new Error("broker 1 is registered");
    const brokers = new Map(before.brokers).set(1, { ...known, epoch, incarnationId: "new" });
    const step = { index: 9, term: 1, records: [], before, after: { ...before, brokers } };
    await stage.tell(1, "onMetadata", step);
  };
  expect(await play(partitionMetadata, story(1))).toMatch(/^C9/);
  expect(await play(partitionMetadata, story(4))).toBeUndefined();
});

test("C11: an image that its records do not make", async () => {
  const story = (isr: readonly number[]) => async (stage: Stage) => {
    await stage.cluster3();
    const before = stage.image;
    const state = partitionState({ isr: [1, 2], partitionEpoch: 1 });
    const topic = { id: TOPIC_ID, name: TOPIC, partitions: [state] };
    const after = { ...before, topics: new Map([[TOPIC_ID, topic]]) };
    const step = { index: 9, term: 1, records: [change({ isr })], before, after };
    await stage.tell(1, "onMetadata", step);
  };
  expect(await play(partitionMetadata, story([1, 3]))).toMatch(/^C11/);
  expect(await play(partitionMetadata, story([1, 2]))).toBeUndefined();
});

test("C3: a fenced member of an ISR", async () => {
  const story = (isr: readonly number[]) => async (stage: Stage) => {
    await stage.cluster3();
    await stage.commit(change({ isr }));
    await stage.commit(fence(3, true));
  };
  expect(await play(isrMembers, story([1, 3]))).toMatch(/^C3/);
  expect(await play(isrMembers, story([1, 2]))).toBeUndefined();
});

test("C4: an ELR beside a large enough ISR", async () => {
  expect(await play(isrMembers, changed({}, { isr: [1, 2], elr: [3] }))).toMatch(/^C4/);
  expect(await play(isrMembers, changed({}, { isr: [1], elr: [3] }))).toBeUndefined();
});

test("C7: an election from outside ISR and ELR", async () => {
  const before = { isr: [1], elr: [2] };
  const elect = (fields: object) => changed(before, fields);
  expect(await play(cleanElection, elect({ leader: 3, isr: [3], elr: [] }))).toMatch(/^C7/);
  expect(await play(cleanElection, elect({ leader: 2, isr: [2], elr: [] }))).toBeUndefined();
  const unclean = { leader: 3, isr: [3], elr: [], unclean: true };
  expect(await play(cleanElection, elect(unclean))).toMatch(/^C7/);
  const asked = async (stage: Stage) => {
    await stage.cluster3(partitionState(before));
    const body = { type: "unclean", partitions: null };
    await stage.tell(2, "onControllerRequest", request(stage, "elect-leaders", body));
    await stage.commit(change(unclean));
  };
  expect(await play(cleanElection, asked)).toBeUndefined();
  const gone = { isr: [], elr: [], leader: -1, lastKnownLeader: 1 };
  const back = (leader: number) => changed(gone, { leader, isr: [leader], lastKnownLeader: -1 });
  expect(await play(cleanElection, back(2))).toMatch(/^C7/);
  expect(await play(cleanElection, back(1))).toBeUndefined();
});

interface Proposed {
  readonly leaderEpoch?: number;
  readonly partitionEpoch?: number;
  readonly epochOf3?: number;
}

/** Broker 1 leads, broker 3 is to join; its fetch and its disk are as told. */
const joins =
  (proposed: Proposed, follower: { fetchEpoch?: number; durable?: number; held?: number } = {}) =>
  async (stage: Stage) => {
    await stage.cluster3(partitionState({ isr: [1, 2], leaderEpoch: 2, partitionEpoch: 4 }));
    const { fetchEpoch = 2, durable = 2, held = 2 } = follower;
    for (const id of [1, 2, 3]) {
      await stage.batch(id, { base: 0, epoch: 1 });
      if (id !== 3 || held > 1) await stage.batch(id, { base: 1, epoch: 2 });
    }
    const shown = { node: "broker-1", life: 1, key: KEY, leaderEpoch: 2, highWatermark: 2 };
    await stage.tell(1, "onHighWatermark", shown);
    const fetching = {
      follower: { node: "broker-3", life: 1 },
      followerId: 3,
      brokerEpoch: 3,
      leader: "broker-1",
      key: KEY,
      start: {
        handle: 1,
        topicId: TOPIC_ID,
        partition: 0,
        leaderEpoch: fetchEpoch,
        fetchOffset: 0,
        lastFetchedEpoch: -1,
        logStartOffset: 0,
      },
      stream: {},
    };
    await stage.tell(3, "onFetchStart", fetching);
    const progress = { handle: 1, receivedEnd: 2, durableEnd: durable, logStartOffset: 0 };
    await stage.tell(3, "onProgress", fetching, progress);
    const { leaderEpoch = 2, partitionEpoch = 4, epochOf3 = 3 } = proposed;
    const newIsr = [1, 2, 3].map((brokerId) => ({
      brokerId,
      brokerEpoch: brokerId === 3 ? epochOf3 : brokerId,
    }));
    const body = {
      brokerId: 1,
      brokerEpoch: 1,
      partitions: [{ topicId: TOPIC_ID, partition: 0, leaderEpoch, partitionEpoch, newIsr }],
    };
    await stage.tell(1, "onControllerRequest", {
      ...request(stage, "alter-partition", body),
      from: { node: "broker-1", life: 1 },
    });
    await stage.commit(change({ isr: [1, 2, 3] }));
  };

test("C8: an ISR that grows although nobody may have proposed it", async () => {
  const unasked = changed({ isr: [1, 2] }, { isr: [1, 2, 3] });
  expect(await play(alterPartition, unasked)).toMatch(/^C8/);
  expect(await play(alterPartition, joins({ leaderEpoch: 1 }))).toMatch(/^C8|^P8/);
  expect(await play(alterPartition, joins({ partitionEpoch: 3 }))).toMatch(/^C8/);
  expect(await play(alterPartition, joins({ epochOf3: 2 }))).toMatch(/^C8|^P8/);
  expect(await play(alterPartition, joins({}))).toBeUndefined();
  expect(await play(alterPartition, changed({}, { isr: [1, 2] }))).toBeUndefined();
});

test("P8: a member that is proposed before it has caught up", async () => {
  expect(await play(alterPartition, joins({}, { fetchEpoch: 1 }))).toMatch(/^P8/);
  expect(await play(alterPartition, joins({}, { durable: 1 }))).toMatch(/^P8/);
  expect(await play(alterPartition, joins({}, { held: 1 }))).toMatch(/^P8/);
});

test("C10: who lost a directory or a tail stays eligible", async () => {
  const story =
    (directories: readonly string[], lostReplicas: readonly object[], elr: readonly number[]) =>
    async (stage: Stage) => {
      await stage.cluster3(partitionState({ isr: [1] }));
      const body = { incarnationId: "life-4", lostReplicas };
      await stage.tell(3, "onControllerRequest", request(stage, "register-broker", body));
      await stage.commit(change({ elr }), registration(3, 4, directories));
    };
  const lost = [{ topicId: TOPIC_ID, partition: 0 }];
  expect(await play(registrationInvariant, story(["D3"], lost, [3]))).toMatch(/^C10/);
  expect(await play(registrationInvariant, story(["new"], [], [3]))).toMatch(/^C10/);
  expect(await play(registrationInvariant, story(["D3"], lost, [2]))).toBeUndefined();
  expect(await play(registrationInvariant, story(["D3"], [], [3]))).toBeUndefined();
  const unfenced = (joins: boolean) => async (stage: Stage) => {
    await story(["D3"], lost, [2])(stage);
    if (joins) await stage.commit(change({ isr: [1, 3], elr: [] }));
    await stage.commit(change({ isr: [1], elr: [3] }));
    await stage.commit({ ...fence(3, false), brokerEpoch: 4 } as MetadataRecord);
  };
  expect(await play(registrationInvariant, unfenced(false))).toMatch(/^C10/);
  expect(await play(registrationInvariant, unfenced(true))).toBeUndefined();
});

test("C14: a deleted topic id that returns", async () => {
  const story = (topicId: string) => async (stage: Stage) => {
    await stage.cluster3();
    await stage.commit({ type: "remove-topic", topicId: TOPIC_ID });
    await stage.commit(
      { type: "topic", topicId, name: TOPIC },
      { type: "partition", topicId, partition: 0, ...partitionState() },
    );
  };
  expect(await play(topicIdentity, story(TOPIC_ID))).toMatch(/^C14/);
  expect(await play(topicIdentity, story("BAAAAAAAAAAAAAAAAAAAAA"))).toBeUndefined();
});

test("C15: replicas that are not as many, or not distinct", async () => {
  const more = (replicas: readonly number[]) => async (stage: Stage) => {
    await stage.cluster3();
    const directories = replicas.map((id) => `D${id}`);
    await stage.commit({
      type: "partition",
      topicId: TOPIC_ID,
      partition: 1,
      ...partitionState({ replicas, directories, isr: [1] }),
    });
  };
  expect(await play(topicIdentity, more([1, 2]))).toMatch(/^C15/);
  expect(await play(topicIdentity, more([1, 2, 2]))).toMatch(/^C15/);
  expect(await play(topicIdentity, more([1, 3, 2]))).toBeUndefined();
  const answered = (replicationFactor: number) => async (stage: Stage) => {
    await stage.cluster3();
    const body = { topics: [{ name: TOPIC, replicationFactor }], validateOnly: false };
    const result = { name: TOPIC, error: null, topicId: TOPIC_ID, replicationFactor };
    await stage.tell(1, "onControllerReply", {
      request: request(stage, "create-topics", body),
      from: { node: "broker-1", life: 1 },
      body: { topics: [result] },
      error: null,
    });
  };
  expect(await play(topicIdentity, answered(2))).toMatch(/^C15/);
  expect(await play(topicIdentity, answered(3))).toBeUndefined();
});

test("C16: a record before the term's own entry is committed", async () => {
  const story = (commitIndex: number) => async (stage: Stage) => {
    const from = raftNode(1);
    const message = { type: "append-request", from, to: raftNode(2), term: 2 } as const;
    const rest = { previousIndex: 0, previousTerm: 0, commitIndex: 0 };
    await stage.status(1, { role: "leader", term: 2, commitIndex });
    await stage.send(1, { ...message, ...rest, entries: [noOp(1, 2)] });
    await stage.send(1, { ...message, ...rest, entries: [entry(2, 2)] });
  };
  expect(await play(activeController, story(0))).toMatch(/^C16/);
  expect(await play(activeController, story(1))).toBeUndefined();
});

const replied = (asked: ControllerRequest, body: unknown) => ({
  request: asked,
  from: { node: "broker-1", life: 1 },
  body,
  error: null,
});

test("R20: an answer that the log does not bear out", async () => {
  const created = (topicId: string, early: boolean) => async (stage: Stage) => {
    const before = request(stage, "create-topics", { topics: [], validateOnly: false });
    await stage.cluster3();
    const after = request(stage, "create-topics", { topics: [], validateOnly: false });
    const result = { name: TOPIC, error: null, topicId };
    const reply = replied(early ? before : after, { topics: [result] });
    await stage.tell(1, "onControllerReply", reply);
  };
  expect(await play(controllerHistory, created("other", true))).toMatch(/^R20/);
  expect(await play(controllerHistory, created(TOPIC_ID, false))).toMatch(/^R20/);
  expect(await play(controllerHistory, created(TOPIC_ID, true))).toBeUndefined();
  const exists = (name: string) => async (stage: Stage) => {
    await stage.cluster3();
    const asked = request(stage, "create-topics", { topics: [], validateOnly: false });
    const error = { code: "TOPIC_ALREADY_EXISTS", message: "" };
    const body = { topics: [{ name, error, topicId: "" }] };
    await stage.tell(1, "onControllerReply", replied(asked, body));
  };
  expect(await play(controllerHistory, exists("other"))).toMatch(/^R20/);
  expect(await play(controllerHistory, exists(TOPIC))).toBeUndefined();
  const deleted = (really: boolean) => async (stage: Stage) => {
    await stage.cluster3();
    const asked = request(stage, "delete-topics", { topics: [{ name: TOPIC }] });
    if (really) await stage.commit({ type: "remove-topic", topicId: TOPIC_ID });
    const body = { topics: [{ name: TOPIC, topicId: TOPIC_ID, error: null }] };
    await stage.tell(1, "onControllerReply", replied(asked, body));
  };
  expect(await play(controllerHistory, deleted(false))).toMatch(/^R20/);
  expect(await play(controllerHistory, deleted(true))).toBeUndefined();
  const altered = (value: string) => async (stage: Stage) => {
    await stage.cluster3();
    const operations = [{ key: "min.insync.replicas", operation: "set", value }];
    const resources = [{ resource: "topic", name: TOPIC, operations }];
    const asked = request(stage, "alter-configs", { resources, validateOnly: false });
    const body = { resources: [{ resource: "topic", name: TOPIC, error: null }] };
    await stage.tell(1, "onControllerReply", replied(asked, body));
  };
  expect(await play(controllerHistory, altered("1"))).toMatch(/^R20/);
  expect(await play(controllerHistory, altered("2"))).toBeUndefined();
});

test("R21: ids that are given out twice", async () => {
  const blocks = (start: number) => async (stage: Stage) => {
    const asked = request(stage, "allocate-producer-ids", {});
    for (const first of [0, start]) {
      const reply = replied(asked, { start: first, count: 1_000 });
      await stage.tell(1, "onControllerReply", reply);
    }
  };
  expect(await play(uniqueIds, blocks(999))).toMatch(/^R21/);
  expect(await play(uniqueIds, blocks(1_000))).toBeUndefined();
  const epochs = (incarnationId: string, brokerEpoch: number) => async (stage: Stage) => {
    await stage.cluster3();
    const asked = request(stage, "register-broker", { incarnationId });
    await stage.tell(1, "onControllerReply", replied(asked, { brokerEpoch }));
  };
  expect(await play(uniqueIds, epochs("another", 3))).toMatch(/^R21/);
  expect(await play(uniqueIds, epochs("life-3", 4))).toMatch(/^C9/);
  expect(await play(uniqueIds, epochs("life-3", 3))).toBeUndefined();
});
