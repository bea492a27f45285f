/**
 * Groups under any interleaving of members, zombies, time, slow logs and dying coordinators:
 * generations, ownership, fencing (G1 to G8) and offsets (O1 to O4). What the log holds is the truth
 * that everything is compared with.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { text, utf8 } from "../../src/base/bytes.ts";
import type { Answer, DescribedGroup, Now } from "../../src/group/calls.ts";
import { encodeSubscription } from "../../src/group/consumer-protocol.ts";
import {
  decodeGroupValue,
  decodeKey,
  decodeOffsetValue,
  encodeGroupKey,
  encodeGroupValue,
  encodeOffsetKey,
  encodeOffsetValue,
  type GroupRecord,
} from "../../src/group/records.ts";
import { GroupShard, type ShardConfig } from "../../src/group/shard.ts";

const GROUP = "g";
const PARTITIONS = 6;
const CLIENTS = 5;
const RUNS = 100;
const WALL_MS = 1_700_000_000_000;

const CONFIG: ShardConfig = {
  initialRebalanceDelayMs: 100,
  minSessionTimeoutMs: 100,
  maxSessionTimeoutMs: 60_000,
  maxSize: 4,
  offsetMetadataMaxBytes: 16,
  offsetsRetentionMs: 5_000,
  commitTimeoutMs: 1_000,
};

interface Client {
  readonly name: string;
  readonly instanceId: string | null;
  memberId: string;
  generation: number;
  /** Known to it because it leads its generation. */
  members: readonly string[];
  leads: boolean;
  /** Ids and generations that it had before: what a zombie would use. */
  readonly old: { readonly memberId: string; readonly generation: number }[];
}

type Step =
  | { readonly type: "join" | "sync" | "heartbeat" | "leave" | "restart"; readonly client: number }
  | { readonly type: "zombie"; readonly client: number; readonly what: number }
  | { readonly type: "commit"; readonly client: number; readonly partition: number }
  | { readonly type: "outside"; readonly partition: number }
  | { readonly type: "tick"; readonly ms: number }
  | { readonly type: "durable"; readonly part: number }
  | { readonly type: "fail-over"; readonly keeps: number }
  | { readonly type: "expire" | "delete" | "delete-offsets" | "topic-deleted" | "round" };

const client = fc.integer({ min: 0, max: CLIENTS - 1 });
const partition = fc.integer({ min: 0, max: PARTITIONS - 1 });
const withClient = (type: "join" | "sync" | "heartbeat" | "leave" | "restart") =>
  client.map((who): Step => ({ type, client: who }));
const only = (type: "expire" | "delete" | "delete-offsets" | "topic-deleted" | "round") =>
  fc.constant<Step>({ type });
const number = fc.nat(9);

/** Often what lets a group go on, seldom what ends it. */
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: withClient("join") },
  { weight: 8, arbitrary: withClient("sync") },
  { weight: 4, arbitrary: withClient("heartbeat") },
  { weight: 2, arbitrary: withClient("leave") },
  { weight: 2, arbitrary: withClient("restart") },
  { weight: 8, arbitrary: only("round") },
  {
    weight: 4,
    arbitrary: fc
      .tuple(client, number)
      .map(([who, what]): Step => ({ type: "zombie", client: who, what: what % 3 })),
  },
  {
    weight: 6,
    arbitrary: fc
      .tuple(client, partition)
      .map(([who, index]): Step => ({ type: "commit", client: who, partition: index })),
  },
  { weight: 1, arbitrary: partition.map((index): Step => ({ type: "outside", partition: index })) },
  {
    weight: 4,
    arbitrary: fc.constantFrom(1, 50, 100, 300, 1_000).map((ms): Step => ({ type: "tick", ms })),
  },
  { weight: 10, arbitrary: number.map((part): Step => ({ type: "durable", part: part % 4 })) },
  { weight: 2, arbitrary: number.map((keeps): Step => ({ type: "fail-over", keeps })) },
  { weight: 1, arbitrary: only("expire") },
  { weight: 1, arbitrary: only("delete-offsets") },
  { weight: 1, arbitrary: only("topic-deleted") },
  { weight: 1, arbitrary: only("delete") },
  { weight: 1, arbitrary: fc.constant<Step>({ type: "tick", ms: 6_000 }) },
);
const steps = fc.array(step, { minLength: 50, maxLength: 250, size: "max" });

class World {
  shard = new GroupShard(CONFIG);
  readonly clients: readonly Client[] = Array.from({ length: CLIENTS }, (_, index) => ({
    name: `c${index}`,
    instanceId: index < 2 ? `i${index}` : null,
    memberId: "",
    generation: -1,
    members: [],
    leads: false,
    old: [],
  }));
  log: GroupRecord[] = [];
  committedCount = 0;
  /** Proposals in the log and not committed: where each ends. */
  open: { readonly sequence: number; readonly end: number }[] = [];
  readonly calls = new Map<number, (answer: Answer) => void>();
  token = 0;
  unique = 0;
  nowMs = 0;
  nextOffset = 0;
  /** Highest generation that anybody was told; the group's deletion begins anew. */
  toldGeneration = 0;
  /** By generation and partition: whose it was, as its owner was told. */
  readonly owners = new Map<string, string>();

  get now(): Now {
    return { monotonicMs: this.nowMs, wallMs: WALL_MS + this.nowMs };
  }

  call(onAnswer: (answer: Answer) => void): number {
    const token = ++this.token;
    this.calls.set(token, onAnswer);
    return token;
  }

  step(step: Step): void {
    this.#act(step);
    this.drain();
    this.checkOffsets();
  }

  #act(step: Step): void {
    switch (step.type) {
      case "join":
        this.join(this.#client(step.client));
        return;
      case "sync":
        this.sync(this.#client(step.client));
        return;
      case "heartbeat":
        this.heartbeat(this.#client(step.client));
        return;
      case "leave": {
        const { memberId, instanceId, ...own } = this.#client(step.client);
        const members = [{ memberId, groupInstanceId: instanceId }];
        if (own.generation >= 0) {
          this.shard.leave(
            this.call(() => undefined),
            { groupId: GROUP, members },
            this.now,
          );
        }
        return;
      }
      case "restart": {
        const one = this.#client(step.client);
        one.old.push({ memberId: one.memberId, generation: one.generation });
        one.memberId = "";
        one.generation = -1;
        return;
      }
      case "zombie":
        this.zombie(this.#client(step.client), step.what);
        return;
      case "commit": {
        const { memberId, generation, instanceId } = this.#client(step.client);
        if (generation >= 0) this.commit(memberId, generation, instanceId, step.partition);
        return;
      }
      case "outside":
        this.commit("", -1, null, step.partition);
        return;
      case "tick":
        this.nowMs += step.ms;
        this.shard.tick(this.now);
        return;
      case "durable":
        this.durable(step.part === 0 ? 1 : this.open.length);
        return;
      case "fail-over":
        this.failOver(step.keeps);
        return;
      case "expire": {
        const listed = this.shard.list().find(({ groupId }) => groupId === GROUP);
        this.shard.expire(GROUP, this.now);
        // O4: nothing of a group that has members is ever expired.
        const proposal = this.takeProposal();
        if (listed !== undefined && listed.state !== "Empty") expect(proposal).toBe(0);
        return;
      }
      case "delete": {
        this.shard.deleteGroup(
          this.call(() => undefined),
          GROUP,
          this.now,
        );
        return;
      }
      case "delete-offsets": {
        const partitions = [{ topic: "t", partition: 0 }];
        const token = this.call(() => undefined);
        this.shard.deleteOffsets(token, { groupId: GROUP, partitions }, this.now);
        return;
      }
      case "round":
        this.round();
        return;
      case "topic-deleted":
        this.shard.onTopicDeleted("t");
        return;
    }
  }

  #client(index: number): Client {
    return this.clients[index] as Client;
  }

  /** Everybody is well, and the log is quick. */
  round(): void {
    for (const act of ["join", "join", "sync"] as const) {
      for (const one of this.clients) {
        this[act](one);
        this.drain();
      }
      this.nowMs += 100;
      this.shard.tick(this.now);
      this.drain();
      this.durable(this.open.length);
      this.drain();
    }
  }

  join(one: Client): void {
    const metadata = encodeSubscription({
      topics: ["u"],
      userData: null,
      ownedPartitions: [],
      generationId: -1,
      rackId: null,
    });
    const token = this.call(({ call, result }) => {
      if (call !== "join") throw new Error(`${call} answers a join`);
      if (result.error !== undefined) {
        if (result.error.code === "MEMBER_ID_REQUIRED") one.memberId = result.memberId;
        if (result.error.code === "UNKNOWN_MEMBER_ID") one.memberId = "";
        return;
      }
      // G2: a generation that somebody was told never comes again lower, whoever coordinates.
      expect(result.generationId).toBeGreaterThanOrEqual(this.toldGeneration);
      this.toldGeneration = result.generationId;
      if (one.memberId !== "" && one.memberId !== result.memberId) {
        one.old.push({ memberId: one.memberId, generation: one.generation });
      }
      one.memberId = result.memberId;
      one.generation = result.generationId;
      one.leads = result.leader === result.memberId && !result.skipAssignment;
      one.members = result.members.map(({ memberId }) => memberId);
    });
    this.shard.join(
      token,
      {
        groupId: GROUP,
        memberId: one.memberId,
        groupInstanceId: one.instanceId,
        clientId: one.name,
        clientHost: "host",
        sessionTimeoutMs: 500,
        rebalanceTimeoutMs: 400,
        protocolType: "consumer",
        protocols: [{ name: "range", metadata }],
        requireKnownMemberId: true,
        canSkipAssignment: true,
        unique: String(++this.unique),
      },
      this.now,
    );
  }

  /** The leader deals the partitions to the members that it was told of. */
  sync(one: Client): void {
    if (one.generation < 0) return;
    const { memberId, generation } = one;
    const assignments = one.leads
      ? one.members.map((id, index) => ({
          memberId: id,
          assignment: utf8(
            Array.from({ length: PARTITIONS }, (_, each) => each)
              .filter((each) => each % one.members.length === index)
              .join(","),
          ),
        }))
      : [];
    const token = this.call(({ call, result }) => {
      if (call !== "sync" || result.error !== undefined) return;
      // G1: no partition is told to two members in one generation; a restarted static one is the same.
      const owner = one.instanceId ?? memberId;
      for (const each of text(result.assignment).split(",")) {
        if (each === "") continue;
        const key = `${generation}/${each}`;
        expect(this.owners.get(key) ?? owner).toBe(owner);
        this.owners.set(key, owner);
      }
    });
    this.shard.sync(
      token,
      {
        groupId: GROUP,
        memberId,
        generationId: generation,
        groupInstanceId: one.instanceId,
        protocolType: null,
        protocolName: null,
        assignments,
      },
      this.now,
    );
  }

  heartbeat({ memberId, generation, instanceId }: Client): void {
    const call = {
      groupId: GROUP,
      memberId,
      generationId: generation,
      groupInstanceId: instanceId,
    };
    this.shard.heartbeat(
      this.call(() => undefined),
      call,
      this.now,
    );
  }

  /** G3, G6: an old id or generation is refused, and nothing changes by it. */
  zombie(one: Client, what: number): void {
    const old = one.old.at(-1);
    if (old === undefined || old.memberId === "" || old.generation < 0) return;
    const current = this.describe();
    if (current === undefined) return;
    const isLive =
      current.generationId === old.generation &&
      current.members.some(({ memberId }) => memberId === old.memberId);
    if (isLive) return;
    const before = this.projection();
    const generationId = old.generation;
    const identity = { memberId: old.memberId, generationId, groupInstanceId: one.instanceId };
    const refused = ({ result }: Answer): void => expect(result.error).toBeDefined();
    const token = this.call(refused);
    if (what === 0) this.shard.heartbeat(token, { groupId: GROUP, ...identity }, this.now);
    else if (what === 1) {
      const named = { protocolType: null, protocolName: null, assignments: [] };
      this.shard.sync(token, { groupId: GROUP, ...identity, ...named }, this.now);
    } else {
      const offsets = [commitOf(0, 1)];
      this.shard.commit(token, { groupId: GROUP, ...identity, offsets }, this.now);
    }
    expect(this.takeProposal()).toBe(0);
    expect(this.projection()).toEqual(before);
  }

  /** An answer means that the log has it, for good (O1, O2). */
  commit(
    memberId: string,
    generationId: number,
    groupInstanceId: string | null,
    index: number,
  ): void {
    const offset = this.nextOffset++;
    const token = this.call(({ call, result }) => {
      if (call !== "commit" || result.error !== undefined) return;
      const key = encodeOffsetKey(GROUP, "t", index);
      const found = this.log
        .slice(0, this.committedCount)
        .some(
          (record) =>
            text(record.key) === text(key) &&
            record.value !== null &&
            decodeOffsetValue(record.value).offset === offset,
        );
      expect(found).toBe(true);
    });
    const offsets = [commitOf(index, offset)];
    const call = { groupId: GROUP, memberId, generationId, groupInstanceId, offsets };
    this.shard.commit(token, call, this.now);
  }

  durable(count: number): void {
    const last = this.open[Math.min(count, this.open.length) - 1];
    if (last === undefined) return;
    this.open = this.open.filter(({ sequence }) => sequence > last.sequence);
    const removed = this.#commitTo(last.end);
    this.shard.onCommitted(last.sequence);
    this.drain();
    if (removed) this.#beginAnew();
  }

  /** Whether the group was removed by what is committed now. */
  #commitTo(end: number): boolean {
    const added = this.log.slice(this.committedCount, end);
    this.committedCount = end;
    return added.some(({ key, value }) => value === null && decodeKey(key)?.type === "group");
  }

  /** A group that was removed begins with the first generation again, with other members. */
  #beginAnew(): void {
    this.toldGeneration = 0;
    this.owners.clear();
  }

  /** Another coordinator has what is committed, and perhaps some of the rest. */
  failOver(keeps: number): void {
    const rest = this.log.length - this.committedCount;
    this.log = this.log.slice(0, this.committedCount + Math.min(rest, keeps));
    if (this.#commitTo(this.log.length)) this.#beginAnew();
    this.open = [];
    this.calls.clear();
    this.shard = this.replayed();
  }

  replayed(): GroupShard {
    const shard = new GroupShard(CONFIG);
    for (const { key, value } of this.log) shard.replay(key, value);
    shard.loaded(this.now);
    return shard;
  }

  /** How many records it had. */
  takeProposal(): number {
    const proposal = this.shard.takeProposal();
    if (proposal === undefined) return 0;
    this.log.push(...proposal.records);
    this.open.push({ sequence: proposal.sequence, end: this.log.length });
    return proposal.records.length;
  }

  drain(): void {
    for (;;) {
      this.takeProposal();
      this.shard.takeRebalancing();
      const answers = this.shard.takeAnswers();
      if (answers.length === 0) return;
      for (const answer of answers) {
        const onAnswer = this.calls.get(answer.token);
        // Nobody is answered twice.
        expect(onAnswer).toBeDefined();
        this.calls.delete(answer.token);
        onAnswer?.(answer);
      }
    }
  }

  /** What is shown is what the log's committed part says, no more and no less. */
  checkOffsets(): void {
    const expected = new Map<number, number>();
    for (const { key, value } of this.log.slice(0, this.committedCount)) {
      const decoded = decodeKey(key);
      if (decoded?.type !== "offset") continue;
      if (value === null) expected.delete(decoded.partition);
      else expected.set(decoded.partition, decodeOffsetValue(value).offset);
    }
    const fetched = this.shard.fetch({ groupId: GROUP, partitions: null, requireStable: false });
    const shown = new Map(
      fetched.partitions.map(({ partition: index, offset }) => [index, offset]),
    );
    expect(shown).toEqual(expected);
  }

  /** Of the group as it is in memory. */
  describe(shard = this.shard): DescribedGroup | undefined {
    let described: DescribedGroup | undefined;
    const token = this.call(({ call, result }) => {
      if (call === "describe" && result.error === undefined) described = result;
    });
    if (shard === this.shard) {
      shard.describe(token, GROUP);
      this.drain();
      // It waits for the log: nothing is known for certain.
      this.calls.set(token, () => undefined);
      if (described !== undefined) this.calls.delete(token);
      return described;
    }
    shard.describe(token, GROUP);
    for (const answer of shard.takeAnswers()) this.calls.get(answer.token)?.(answer);
    this.calls.delete(token);
    return described;
  }

  projection(shard = this.shard): unknown {
    const described = this.describe(shard);
    if (described === undefined) return undefined;
    // G6: an instance has one member.
    const instances = described.members.flatMap(({ groupInstanceId }) => groupInstanceId ?? []);
    expect(new Set(instances).size).toBe(instances.length);
    return {
      ...described,
      members: described.members.map((member) => ({ ...member, waitsFor: undefined })),
    };
  }

  /** G7: a coordinator that reads the log has the same groups as the one that wrote it. */
  checkReplay(): void {
    this.durable(this.open.length);
    this.drain();
    const described = this.describe();
    if (described?.state === "PreparingRebalance" || this.open.length > 0) return;
    // One that was never recorded is not there; an empty one that was is.
    const replayed = this.replayed();
    if (described === undefined || described.generationId === 0) return;
    // With silent static members it may have more than the limit; who takes it over rebalances.
    if (described.members.length > CONFIG.maxSize) return;
    expect(this.projection(replayed)).toEqual(this.projection());
  }
}

function commitOf(index: number, offset: number) {
  return { topic: "t", partition: index, offset, leaderEpoch: 3, metadata: "", retentionMs: -1 };
}

test("generations, ownership, fencing and offsets hold under any interleaving", () => {
  let joined = 0;
  let assigned = 0;
  fc.assert(
    fc.property(steps, (all) => {
      const world = new World();
      for (const step of all) world.step(step);
      world.checkReplay();
      joined += world.toldGeneration;
      assigned += world.owners.size;
    }),
    { numRuns: RUNS },
  );
  // The steps do come to something.
  expect(joined).toBeGreaterThan(RUNS);
  expect(assigned).toBeGreaterThan(RUNS);
});

test("records are read as they were written, in every version", () => {
  const name = fc.string({ maxLength: 80 });
  const bytes = fc.uint8Array({ maxLength: 40 });
  const int32 = fc.integer({ min: 0, max: 0x7fff_ffff });
  const time = fc.integer({ min: -1, max: 4_000_000_000_000 });
  const group = fc.record({
    protocolType: name,
    generation: int32,
    protocol: fc.option(name),
    leader: fc.option(name),
    stateTimestampMs: time,
    completing: fc.boolean(),
    members: fc.array(
      fc.record({
        memberId: name,
        instanceId: fc.option(name),
        clientId: name,
        clientHost: name,
        rebalanceTimeoutMs: int32,
        sessionTimeoutMs: int32,
        subscription: bytes,
        assignment: bytes,
      }),
      { maxLength: 20 },
    ),
  });
  fc.assert(
    fc.property(group, (value) => {
      expect(decodeGroupValue(encodeGroupValue(value))).toEqual(value);
    }),
  );
  const offset = fc.record({
    offset: fc.maxSafeNat(),
    leaderEpoch: fc.integer({ min: -1, max: 1_000_000 }),
    metadata: fc.string({ unit: "grapheme", maxLength: 100 }),
    commitTimestampMs: time,
    expireTimestampMs: fc.constant(-1),
    topicId: fc.option(name, { nil: undefined }),
  });
  fc.assert(
    fc.property(offset, (value) => {
      expect(decodeOffsetValue(encodeOffsetValue(value))).toEqual(value);
    }),
  );
  fc.assert(
    fc.property(offset, time, (value, expireTimestampMs) => {
      const old = { ...value, expireTimestampMs, leaderEpoch: -1, topicId: undefined };
      expect(decodeOffsetValue(encodeOffsetValue(old))).toEqual(old);
    }),
  );
  fc.assert(
    fc.property(name, name, int32, (groupId, topic, index) => {
      const key = decodeKey(encodeOffsetKey(groupId, topic, index));
      expect(key).toEqual({ type: "offset", groupId, topic, partition: index });
      expect(decodeKey(encodeGroupKey(groupId))).toEqual({ type: "group", groupId });
    }),
  );
});

test("bytes that are no record are refused, never misread beyond their end", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      for (const decode of [decodeKey, decodeOffsetValue, decodeGroupValue]) {
        try {
          decode(bytes);
        } catch (error) {
          expect((error as { code?: string }).code).toMatch(
            /^(CORRUPT_MESSAGE|UNSUPPORTED_FOR_MESSAGE_FORMAT)$/,
          );
        }
      }
    }),
    { numRuns: 1_000 },
  );
});
