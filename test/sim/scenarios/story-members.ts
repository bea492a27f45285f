/**
 * Members of a consumer group in a story: the protocol alone, call by call, so that a story can stop
 * between any two of them. Each member joins, syncs, sends heartbeats and commits as it is let; calls
 * that nobody answers, because the coordinator has died, are made again at the next one.
 */
import type { DoorApi } from "../../../src/broker/broker-api.ts";
import type { GroupError } from "../../../src/group/calls.ts";
import {
  decodeAssignment,
  encodeAssignment,
  encodeSubscription,
} from "../../../src/group/consumer-protocol.ts";
import { OFFSETS_TOPIC, partitionOfGroup } from "../../../src/group/partition-of.ts";
import type { BrokerConfig } from "../../../src/model/broker-config.ts";
import { type BrokerId, NONE } from "../../../src/model/ids.ts";
import { type Story, TOPIC } from "./story.ts";
import type { Called } from "./story-clients.ts";

export const SESSION_MS = 2_000;
const HEARTBEAT_MS = 300;
const RETRY_MS = 100;
/** Longer than any answer but a join's takes. */
const ANSWER_MS = 5_000;

/** Brokers with one coordinator, and sessions short enough for a story. */
export const GROUP_OVERRIDES: Partial<BrokerConfig> = {
  properties: new Map([
    ["offsets.topic.num.partitions", "1"],
    ["group.initial.rebalance.delay.ms", "0"],
    ["group.min.session.timeout.ms", "300"],
    ["offsets.retention.check.interval.ms", "500"],
  ]),
};

interface Result {
  readonly error: GroupError | undefined;
}

interface Call {
  readonly called: Called<Result>;
  readonly process: object | undefined;
  readonly beganMs: number;
  readonly take: (result: Result) => void;
}

export class StoryMember {
  readonly #story: Story;
  readonly #groupId: string;
  readonly #name: string;
  #call: Call | undefined;
  #nextMs = 0;
  memberId = "";
  generation = NONE;
  state: "joining" | "syncing" | "stable" = "joining";
  /** Partitions of the story's topic. */
  owned: readonly number[] = [];
  /** Does nothing, as a process that is frozen. */
  asleep = false;
  /** Does not sync. */
  holdsBack = false;
  readonly #others: string[] = [];
  #leads = false;

  constructor(story: Story, groupId: string, name: string) {
    this.#story = story;
    this.#groupId = groupId;
    this.#name = name;
  }

  /** What it has asked and not heard of yet. */
  get waits(): boolean {
    return this.#call !== undefined;
  }

  /** Looks after its call, or makes the next one. */
  step(): void {
    const { nowMs } = this.#story.world;
    if (this.asleep) return;
    if (this.#call !== undefined) this.#look(this.#call, nowMs);
    if (this.#call !== undefined || nowMs < this.#nextMs) return;
    if (this.state === "joining") this.#join();
    else if (this.state === "syncing") {
      if (!this.holdsBack) this.#sync();
    } else this.#heartbeat();
  }

  #look(call: Call, nowMs: number): void {
    const { called, process, beganMs, take } = call;
    const { value } = called;
    if (value !== undefined) {
      this.#call = undefined;
      take(value);
      return;
    }
    const coordinator = coordinatorOf(this.#story, this.#groupId);
    const isGone = coordinator === NONE || this.#processOf(coordinator) !== process;
    if (called.settled || isGone || (this.state !== "joining" && nowMs > beganMs + ANSWER_MS)) {
      this.#call = undefined;
      this.#nextMs = nowMs + RETRY_MS;
    }
  }

  #processOf(id: BrokerId): object | undefined {
    return this.#story.broker(id).node.incarnation;
  }

  #ask<Answer extends Result>(
    what: string,
    run: (api: DoorApi) => Promise<Answer>,
    take: (result: Answer) => void,
  ): void {
    const { world } = this.#story;
    const coordinator = coordinatorOf(this.#story, this.#groupId);
    if (coordinator === NONE || this.#processOf(coordinator) === undefined) {
      this.#nextMs = world.nowMs + RETRY_MS;
      return;
    }
    const called = this.#story.clients.call(coordinator, `${this.#name} ${what}`, run);
    this.#call = {
      called: called as Called<Result>,
      process: this.#processOf(coordinator),
      beganMs: world.nowMs,
      take: (result) => {
        this.#nextMs = world.nowMs;
        if (result.error === undefined) take(result as Answer);
        else this.#refused(result as Answer, result.error);
      },
    };
  }

  #refused(result: Result & { readonly memberId?: string }, { code }: GroupError): void {
    if (code === "MEMBER_ID_REQUIRED") {
      this.memberId = result.memberId ?? "";
      return;
    }
    if (code === "UNKNOWN_MEMBER_ID") this.memberId = "";
    const isLost = code === "UNKNOWN_MEMBER_ID" || code === "ILLEGAL_GENERATION";
    if (isLost || code === "REBALANCE_IN_PROGRESS") this.state = "joining";
    else this.#nextMs = this.#story.world.nowMs + RETRY_MS;
  }

  #join(): void {
    const metadata = encodeSubscription({
      topics: [TOPIC],
      userData: null,
      ownedPartitions: [],
      generationId: NONE,
      rackId: null,
    });
    this.#ask(
      "joins",
      (api) =>
        api.joinGroup({
          groupId: this.#groupId,
          memberId: this.memberId,
          groupInstanceId: null,
          clientId: this.#name,
          clientHost: "/story",
          sessionTimeoutMs: SESSION_MS,
          rebalanceTimeoutMs: SESSION_MS,
          protocolType: "consumer",
          protocols: [{ name: "range", metadata }],
          requireKnownMemberId: true,
          canSkipAssignment: true,
        }),
      ({ memberId, generationId, leader, members }) => {
        this.memberId = memberId;
        this.generation = generationId;
        this.#leads = leader === memberId;
        this.#others.splice(0, Number.POSITIVE_INFINITY, ...members.map((each) => each.memberId));
        this.state = "syncing";
      },
    );
  }

  #sync(): void {
    const partitions = this.#story.image.topics.get(this.#story.topicId)?.partitions ?? [];
    const assignments = this.#others.map((memberId, index) => {
      const own = [...partitions.keys()].filter((each) => each % this.#others.length === index);
      const topics = own.length === 0 ? [] : [{ topic: TOPIC, partitions: own }];
      return { memberId, assignment: encodeAssignment({ partitions: topics, userData: null }) };
    });
    this.#ask(
      "syncs",
      (api) =>
        api.syncGroup({
          ...this.#identity,
          protocolType: null,
          protocolName: null,
          assignments: this.#leads ? assignments : [],
        }),
      ({ assignment }) => {
        this.owned = decodeAssignment(assignment).partitions.flatMap((each) => each.partitions);
        this.state = "stable";
      },
    );
  }

  #heartbeat(): void {
    this.#ask(
      "sends a heartbeat",
      (api) => api.heartbeat(this.#identity),
      () => {
        this.#nextMs = this.#story.world.nowMs + HEARTBEAT_MS;
      },
    );
  }

  get #identity() {
    const { generation: generationId, memberId } = this;
    return { groupId: this.#groupId, generationId, memberId, groupInstanceId: null };
  }
}

/** -1: nobody at the moment, or the topic does not exist yet. */
export function coordinatorOf({ image }: Story, groupId: string): BrokerId {
  const topic = image.topics.get(image.topicIds.get(OFFSETS_TOPIC) ?? "");
  if (topic === undefined) return NONE;
  return topic.partitions[partitionOfGroup(groupId, topic.partitions.length)]?.leader ?? NONE;
}

export class StoryGroup {
  readonly groupId: string;
  readonly members: StoryMember[] = [];
  readonly #story: Story;

  constructor(story: Story, groupId: string) {
    this.#story = story;
    this.groupId = groupId;
  }

  get coordinator(): BrokerId {
    return coordinatorOf(this.#story, this.groupId);
  }

  /** Of all who are awake. */
  get generation(): number {
    return Math.max(...this.members.map(({ generation }) => generation));
  }

  /** There is somebody to coordinate it. */
  async found(): Promise<void> {
    const found = this.#story.clients.call(1, "find the coordinator", (api) =>
      api.findCoordinator(this.groupId),
    );
    await this.#story.until("the coordinator is found", () => found.settled);
    await this.until("somebody coordinates", () => this.coordinator !== NONE);
  }

  add(name: string): StoryMember {
    const member = new StoryMember(this.#story, this.groupId, name);
    this.members.push(member);
    return member;
  }

  /** Meanwhile the members do what members do. */
  async until(what: string, condition: () => boolean, maxMs = 30_000): Promise<void> {
    await this.#story.until(
      what,
      () => {
        for (const member of this.members) member.step();
        return condition();
      },
      maxMs,
    );
  }

  async goOn(durationMs: number): Promise<void> {
    const endMs = this.#story.world.nowMs + durationMs;
    // Something happens all the time: members send heartbeats.
    await this.until("time passes", () => this.#story.world.nowMs >= endMs, 2 * durationMs + 5_000);
  }

  /** All who are awake are in one generation. */
  async untilStable(maxMs?: number): Promise<void> {
    const isStable = (): boolean => {
      const awake = this.members.filter(({ asleep }) => !asleep);
      return awake.every(
        ({ generation, state }) => state === "stable" && generation === awake[0]?.generation,
      );
    };
    await this.until("the group is stable", isStable, maxMs);
  }

  /** Answered by whoever coordinates, in the end. */
  async ask<Answer extends Result>(
    what: string,
    run: (api: DoorApi) => Promise<Answer>,
  ): Promise<Answer> {
    for (;;) {
      await this.until("somebody coordinates", () => this.#isUp(this.coordinator));
      const { coordinator } = this;
      const { incarnation } = this.#story.broker(coordinator).node;
      const called = this.#story.clients.call(coordinator, what, run);
      const isOver = (): boolean =>
        called.settled || this.#story.broker(coordinator).node.incarnation !== incarnation;
      await this.until(`${what} is answered`, isOver);
      const code = called.value?.error?.code ?? "";
      if (called.value !== undefined && !/COORDINATOR/.test(code)) return called.value;
      await this.goOn(RETRY_MS);
    }
  }

  commit(member: StoryMember, offset: number, generationId = member.generation) {
    const { memberId } = member;
    const place = {
      topic: TOPIC,
      partition: 0,
      leaderEpoch: NONE,
      metadata: "",
      retentionMs: NONE,
    };
    const offsets = [{ ...place, offset }];
    const request = {
      groupId: this.groupId,
      groupInstanceId: null,
      memberId,
      generationId,
      offsets,
    };
    return this.ask(`a commit of ${offset}`, (api) => api.offsetCommit(request));
  }

  async committed(): Promise<number> {
    const partitions = [{ topic: TOPIC, partition: 0 }];
    const { groupId } = this;
    const fetched = await this.ask("a fetch of the offset", (api) =>
      api.offsetFetch({ groupId, partitions, requireStable: false }),
    );
    return fetched.partitions[0]?.offset ?? NONE;
  }

  #isUp(id: BrokerId): boolean {
    return id !== NONE && this.#story.broker(id).running !== undefined;
  }
}
