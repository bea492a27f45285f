/**
 * Group clients against the coordinator itself, both pure: `GroupCore`s, one `GroupShard` with its
 * log, brokers between which it moves, and a clock that goes when it is told to. Messages go through
 * the real encoding. Nothing else happens by itself: steps of a rebalance are done when `done` says so,
 * unless the world does them.
 */
import {
  commitFrom,
  fetchFrom,
  fetchMessage,
  heartbeatFrom,
  joinFrom,
  joinMessage,
  leaveFrom,
  leaveMessage,
  partitionsMessage,
  syncFrom,
  syncMessage,
} from "../../src/api/grpc/group-messages.ts";
import { errorMessage } from "../../src/api/grpc/status.ts";
import { GroupCore, type GroupCoreOptions } from "../../src/client/core/group-core.ts";
import type { GroupStep } from "../../src/client/core/group-member.ts";
import type { SendCallsEffect } from "../../src/client/core/session-calls.ts";
import type { GroupAnswer } from "../../src/client/group-messages.ts";
import { ottla } from "../../src/gen/ottla.js";
import { ASSIGNORS } from "../../src/group/assignors/all.ts";
import type { Answer, DescribedGroup } from "../../src/group/calls.ts";
import type { GroupRecord } from "../../src/group/records.ts";
import { GroupShard, type ShardConfig } from "../../src/group/shard.ts";
import { type ErrorCode, OttlaError } from "../../src/model/errors.ts";

const { v1 } = ottla;
type Response = ottla.v1.GroupResponse.$Properties;

const WALL_MS = 1_700_000_000_000;
const ROUNDS_MOST = 10_000;

const SHARD: ShardConfig = {
  initialRebalanceDelayMs: 0,
  minSessionTimeoutMs: 6_000,
  maxSessionTimeoutMs: 1_800_000,
  maxSize: 100,
  offsetMetadataMaxBytes: 4_096,
  offsetsRetentionMs: 604_800_000,
  commitTimeoutMs: 5_000,
};

const CORE: GroupCoreOptions = {
  groupId: "g",
  groupInstanceId: null,
  clientId: "c",
  sessionTimeoutMs: 10_000,
  heartbeatIntervalMs: 3_000,
  maxPollIntervalMs: 60_000,
  assignors: [],
  requestTimeoutMs: 30_000,
  stallMs: 2_000,
  retry: { minMs: 20, maxMs: 250 },
};

export interface WorldMember {
  readonly name: string;
  readonly core: GroupCore;
  /** Steps that the program has not done yet. */
  readonly steps: GroupStep[];
  /** The broker that it has a stream to. */
  link: number | undefined;
  /** A process that stands still: it drains nothing and hears nothing. */
  frozen: boolean;
  pulls: number;
  waiting: boolean;
}

interface Called {
  readonly member: WorldMember;
  readonly brokerId: number;
  readonly correlationId: number;
}

export interface WorldOptions {
  readonly shard?: Partial<ShardConfig>;
  /** What is worth telling, as it happens. */
  readonly log?: (line: string) => void;
}

export class GroupWorld {
  readonly counts = new Map<string, number>();
  readonly members = new Map<string, WorldMember>();
  nowMs = 0;
  /** Whether steps are done by the world, at once. */
  autoSteps = true;
  /** 0: nobody coordinates. */
  coordinator = 1;
  leaderEpoch = 1;
  readonly #config: ShardConfig;
  readonly #log: (line: string) => void;
  readonly #calls = new Map<number, Called>();
  readonly #describing = new Map<number, (described: DescribedGroup) => void>();
  #shard: GroupShard;
  #records: GroupRecord[] = [];
  #token = 0;
  #unique = 0;

  constructor(options: WorldOptions = {}) {
    this.#config = { ...SHARD, ...options.shard };
    this.#log = options.log ?? (() => undefined);
    this.#shard = new GroupShard(this.#config);
  }

  get shard(): GroupShard {
    return this.#shard;
  }

  add(
    name: string,
    options: Partial<GroupCoreOptions> & { readonly strategy: string },
  ): WorldMember {
    const { strategy, ...rest } = options;
    const assignors = strategy.split(",").map((each) => {
      const assignor = ASSIGNORS.get(each);
      if (assignor === undefined) throw new Error(`there is no assignor ${each}`);
      return assignor;
    });
    const member: WorldMember = {
      name,
      core: new GroupCore({ ...CORE, clientId: name, ...rest, assignors }),
      steps: [],
      link: undefined,
      frozen: false,
      pulls: 0,
      waiting: true,
    };
    this.members.set(name, member);
    return member;
  }

  /** The process is gone, and its connection with it. */
  kill(member: WorldMember): void {
    this.members.delete(member.name);
  }

  member(name: string): WorldMember {
    const member = this.members.get(name);
    if (member === undefined) throw new Error(`there is no member ${name}`);
    return member;
  }

  /**
   * Members that the coordinator knows, in the generation that it is in. A static member that slept
   * through a rebalance is known as well, but its generation is over.
   */
  present(): ReadonlySet<WorldMember> {
    const token = ++this.#token;
    const present = new Set<WorldMember>();
    this.#describing.set(token, ({ generationId, members }) => {
      const ids = new Set(members.map(({ memberId }) => memberId));
      for (const each of this.members.values()) {
        const { member } = each.core;
        if (ids.has(member.memberId) && member.generationId === generationId) present.add(each);
      }
    });
    this.#shard.describe(token, "g");
    this.#serve();
    return present;
  }

  /** The member's program has done its oldest step. */
  done(member: WorldMember): GroupStep | undefined {
    const step = member.steps.shift();
    if (step !== undefined) member.core.member.onStepDone(step.id, this.nowMs);
    return step;
  }

  /** Another broker reads the log and coordinates from now on; 0: none does. */
  move(brokerId: number): void {
    const old = this.coordinator;
    this.coordinator = brokerId;
    this.leaderEpoch++;
    this.#calls.clear();
    this.#shard = new GroupShard(this.#config);
    for (const { key, value } of this.#records) this.#shard.replay(key, value);
    this.#shard.loaded(this.#now);
    for (const member of this.members.values()) {
      if (member.link !== old) continue;
      member.link = undefined;
      const error = new OttlaError("NETWORK_EXCEPTION", `broker ${old} is gone`);
      member.core.onLinkLost(old, error, this.nowMs);
    }
  }

  /** Time passes, and whoever waited for it is woken. */
  pass(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const wakeAtMs = this.settle();
      if (wakeAtMs > untilMs) break;
      this.nowMs = Math.max(this.nowMs, wakeAtMs);
      this.#shard.tick(this.#now);
    }
    this.nowMs = untilMs;
    this.#shard.tick(this.#now);
    this.settle();
  }

  /** Until nothing more happens without time. Returns when the next thing does. */
  settle(): number {
    for (let round = 0; round < ROUNDS_MOST; round++) {
      let wakeAtMs = this.#shard.nextDeadlineMs;
      let moved = this.#serve();
      for (const member of [...this.members.values()]) {
        if (member.frozen) continue;
        const result = this.#drain(member);
        moved ||= result.moved;
        wakeAtMs = Math.min(wakeAtMs, result.wakeAtMs);
      }
      if (!moved && wakeAtMs > this.nowMs) return wakeAtMs;
      if (!moved) this.#shard.tick(this.#now);
    }
    throw new Error("the group never comes to rest");
  }

  get #now() {
    return { monotonicMs: this.nowMs, wallMs: WALL_MS + this.nowMs };
  }

  #drain(member: WorldMember): { readonly moved: boolean; readonly wakeAtMs: number } {
    const { core, name } = member;
    core.member.onProgress(member.pulls, member.waiting, this.nowMs);
    const effects = core.drain(this.nowMs);
    if (effects.drops.includes(member.link ?? -1)) member.link = undefined;
    for (const send of effects.sends) this.#send(member, send);
    for (const step of effects.steps) {
      const partitions = step.partitions.map(
        (each) => `${each.topic}-${each.partitions.join("+")}`,
      );
      this.#log(`${name} ${step.kind} ${partitions.join(" ") || "nothing"}`);
      member.steps.push(step);
    }
    if (effects.lookupWanted) this.#lookUp(member);
    if (effects.topics !== undefined) {
      core.onTopics(this.counts, effects.topics.request, this.nowMs);
    }
    const stepped = this.autoSteps && member.steps.length > 0;
    if (stepped) this.done(member);
    const moved =
      stepped ||
      effects.sends.length > 0 ||
      effects.steps.length > 0 ||
      effects.lookupWanted ||
      effects.topics !== undefined;
    return { moved, wakeAtMs: effects.wakeAtMs };
  }

  #lookUp({ core }: WorldMember): void {
    if (this.coordinator === 0) {
      const error = new OttlaError("COORDINATOR_NOT_AVAILABLE", "nobody leads");
      core.onLookupFailed(error, { final: false }, this.nowMs);
    } else {
      const found = { brokerId: this.coordinator, leaderEpoch: this.leaderEpoch };
      core.onCoordinator(found, this.nowMs);
    }
  }

  #send(member: WorldMember, { brokerId, calls }: SendCallsEffect): void {
    member.link = brokerId;
    const message = { calls: calls as unknown as ottla.v1.GroupRequest.$Properties[] };
    const decoded = v1.GroupCalls.decode(v1.GroupCalls.encode(message).finish());
    for (const call of decoded.calls ?? []) {
      const correlationId = call.correlationId ?? 0;
      const { commit, fetch, heartbeat, join, leave, sync } = call;
      if (!heartbeat) this.#log(`${member.name} > ${show(call)}`);
      if (brokerId !== this.coordinator) {
        this.#answer({ member, brokerId, correlationId }, "NOT_COORDINATOR", {});
        continue;
      }
      const token = ++this.#token;
      this.#calls.set(token, { member, brokerId, correlationId });
      const now = this.#now;
      if (join) {
        const unique = String(++this.#unique);
        this.#shard.join(token, { ...joinFrom(join, "host"), unique }, now);
      } else if (sync) this.#shard.sync(token, syncFrom(sync), now);
      else if (heartbeat) this.#shard.heartbeat(token, heartbeatFrom(heartbeat), now);
      else if (leave) this.#shard.leave(token, leaveFrom(leave), now);
      else if (commit) this.#shard.commit(token, commitFrom(commit), now);
      else if (fetch) {
        const answer = { fetch: fetchMessage(this.#shard.fetch(fetchFrom(fetch))) };
        this.#calls.delete(token);
        this.#answer({ member, brokerId, correlationId }, undefined, answer);
      }
    }
  }

  /** What the shard wants done, and has to say. */
  #serve(): boolean {
    let moved = false;
    for (;;) {
      const proposal = this.#shard.takeProposal();
      const answers = this.#shard.takeAnswers();
      const rebalancing = this.#shard.takeRebalancing();
      if (proposal === undefined && answers.length === 0 && rebalancing.length === 0) return moved;
      moved = true;
      if (proposal !== undefined) {
        this.#records.push(...proposal.records);
        this.#shard.onCommitted(proposal.sequence);
      }
      for (const groupId of rebalancing) this.#hint(groupId);
      for (const answer of answers) this.#onAnswer(answer);
    }
  }

  #hint(groupId: string): void {
    const notice = wire({ correlationId: 0, rebalancing: { groupId } });
    for (const { core, frozen, link } of this.members.values()) {
      if (link === this.coordinator && !frozen) core.onAnswers(link, [notice], this.nowMs);
    }
  }

  #onAnswer(answer: Answer): void {
    if (answer.call === "describe") {
      this.#describing.get(answer.token)?.(answer.result);
      this.#describing.delete(answer.token);
      return;
    }
    const called = this.#calls.get(answer.token);
    this.#calls.delete(answer.token);
    if (called === undefined) return;
    const { error } = answer.result;
    const message: Response =
      answer.call === "join"
        ? { join: joinMessage(answer.result) }
        : answer.call === "sync"
          ? { sync: syncMessage(answer.result) }
          : answer.call === "leave"
            ? { leave: leaveMessage(answer.result) }
            : answer.call === "commit"
              ? { commit: partitionsMessage(answer.result) }
              : { heartbeat: {} };
    const keeps = error === undefined || error.code === "MEMBER_ID_REQUIRED";
    this.#answer(called, error?.code, keeps ? message : {});
  }

  #answer(
    { brokerId, correlationId, member }: Called,
    code: ErrorCode | undefined,
    message: Response,
  ): void {
    // A process that stands still reads what came in the meantime when it goes on; one that is gone
    // reads nothing.
    if (this.members.get(member.name) !== member) return;
    const error = code === undefined ? null : errorMessage({ code, message: code });
    if (code !== undefined) this.#log(`${member.name} < ${code}`);
    const response = wire({ correlationId, error: error ?? null, ...message });
    if (code === undefined && (response.join !== null || response.sync !== null)) {
      this.#log(`${member.name} < ${showAnswer(response)}`);
    }
    member.core.onAnswers(brokerId, [response], this.nowMs);
  }
}

function wire(response: Response): GroupAnswer {
  return v1.GroupResponse.decode(
    v1.GroupResponse.encode(response).finish(),
  ) as unknown as GroupAnswer;
}

function show(call: ottla.v1.GroupRequest.$Properties): string {
  const { commit, fetch, join, leave, sync } = call;
  if (join) return `join member=${join.memberId || "none"}`;
  if (sync) {
    const many = sync.assignments?.length ?? 0;
    return `sync generation=${sync.generationId}${many > 0 ? ` divides among ${many}` : ""}`;
  }
  if (leave) return "leave";
  if (commit) {
    const offsets = commit.offsets?.map((each) => `${each.topic}-${each.partition}:${each.offset}`);
    return `commit generation=${commit.generationId} ${offsets?.join(" ")}`;
  }
  return fetch ? "fetch" : "heartbeat";
}

function showAnswer({ join }: GroupAnswer): string {
  if (join === null) return "synced";
  const leads = join.leader === join.memberId ? ` leads ${join.members.length}` : "";
  const skips = join.skipAssignment ? " skips" : "";
  return `joined generation=${join.generationId} ${join.protocolName}${leads}${skips}`;
}
