/**
 * The world of the group coordinator's golden scripts: one shard, its log, and clients that remember
 * the id and the generation that they were given. Nothing is durable and no time passes unless the
 * script says so.
 *
 *   config delay=0 size=2 ...     before the first call: delay, size, min, max, metadata, retention, wait
 *   auto | manual                 whether what is proposed is committed at once (default: auto)
 *   join A [group=g] [member=x|none] [instance=i] [session=ms] [rebalance=ms] [type=consumer]
 *        [protocols=range:topic+topic,roundrobin:topic] [old-wire]
 *   sync A [assign=A:text,B:text] [generation=n] [member=x] [type=] [protocol=]
 *   heartbeat A [generation=n] [member=x] [instance=i]
 *   leave A [B] [instance=i]      with an instance and no client: as an administrator
 *   commit A|outside topic-0:5 [metadata=text] [epoch=n] [generation=n] [retention=ms]
 *   fetch [topic-0] [stable]
 *   describe, list, delete, delete-offsets topic-0, topic-deleted topic, expire
 *   tick ms=100                   time passes, and the shard is told
 *   pass ms=100                   time passes
 *   durable                       all that is proposed is committed
 *   fail-over [lose]              another coordinator reads what is committed (or all there is)
 *   log                           what the log holds, oldest first
 */
import { text, utf8 } from "../../../src/base/bytes.ts";
import type { Answer, GroupError, JoinProtocol, Now } from "../../../src/group/calls.ts";
import { decodeSubscription, encodeSubscription } from "../../../src/group/consumer-protocol.ts";
import {
  decodeGroupValue,
  decodeKey,
  decodeOffsetValue,
  type GroupRecord,
} from "../../../src/group/records.ts";
import { GroupShard, type ShardConfig } from "../../../src/group/shard.ts";
import type { Command } from "../../support/golden-script.ts";

interface Client {
  memberId: string;
  generation: number;
  instanceId: string | null;
}

const START_MS = 1_000_000;

export class GroupEnvironment {
  #config: ShardConfig = {
    initialRebalanceDelayMs: 0,
    minSessionTimeoutMs: 6_000,
    maxSessionTimeoutMs: 1_800_000,
    maxSize: 100,
    offsetMetadataMaxBytes: 4_096,
    offsetsRetentionMs: 604_800_000,
    commitTimeoutMs: 5_000,
  };
  #shard = new GroupShard(this.#config);
  readonly #clients = new Map<string, Client>();
  readonly #callers = new Map<number, string>();
  #log: GroupRecord[] = [];
  #committedCount = 0;
  #proposed: number | undefined;
  #auto = true;
  #token = 0;
  #unique = 0;
  #nowMs = 0;
  #lines: string[] = [];

  run(command: Command): string {
    this.#lines = [];
    this.#interpret(command);
    this.#drain();
    return this.#lines.length === 0 ? "ok" : this.#lines.join("\n");
  }

  #interpret({ name, words, options }: Command): void {
    const shard = this.#shard;
    const groupId = options.get("group") ?? "g";
    switch (name) {
      case "config":
        this.#configure(options);
        return;
      case "auto":
        this.#auto = true;
        return;
      case "manual":
        this.#auto = false;
        return;
      case "join":
        this.#join(groupId, words, options);
        return;
      case "sync": {
        const { memberId, generationId, groupInstanceId } = this.#identity(words, options);
        const assignments = (options.get("assign") ?? "")
          .split(",")
          .filter((part) => part !== "")
          .map((part) => {
            const [who = "", what = ""] = part.split(":");
            return { memberId: this.#client(who).memberId, assignment: utf8(what) };
          });
        shard.sync(
          this.#call(words),
          {
            groupId,
            memberId,
            generationId,
            groupInstanceId,
            protocolType: options.get("type") ?? null,
            protocolName: options.get("protocol") ?? null,
            assignments,
          },
          this.#now,
        );
        return;
      }
      case "heartbeat":
        shard.heartbeat(
          this.#call(words),
          { groupId, ...this.#identity(words, options) },
          this.#now,
        );
        return;
      case "leave": {
        const instance = options.get("instance") ?? null;
        const members =
          words.length === 0
            ? [{ memberId: "", groupInstanceId: instance }]
            : words.map((word) => ({
                memberId: options.get("member") ?? this.#client(word).memberId,
                groupInstanceId: instance ?? this.#client(word).instanceId,
              }));
        shard.leave(this.#call(words), { groupId, members }, this.#now);
        return;
      }
      case "commit":
        this.#commit(groupId, words, options);
        return;
      case "fetch":
        this.#fetch(groupId, words);
        return;
      case "describe":
        shard.describe(this.#call([]), groupId);
        return;
      case "list":
        for (const { groupId: id, state, protocolType, membersCount } of shard.list()) {
          this.#lines.push(`${id} ${state} type=${protocolType} members=${membersCount}`);
        }
        return;
      case "delete":
        shard.deleteGroup(this.#call([]), groupId, this.#now);
        return;
      case "delete-offsets": {
        const partitions = words.map(partitionOf);
        shard.deleteOffsets(this.#call([]), { groupId, partitions }, this.#now);
        return;
      }
      case "topic-deleted":
        shard.onTopicDeleted(words[0] ?? "");
        return;
      case "expire":
        for (const id of shard.groupIds()) shard.expire(id, this.#now);
        return;
      case "tick":
        this.#nowMs += Number(options.get("ms"));
        shard.tick(this.#now);
        return;
      case "pass":
        this.#nowMs += Number(options.get("ms"));
        return;
      case "durable":
        this.#durable();
        return;
      case "fail-over":
        this.#failOver(words.includes("lose"));
        return;
      case "log":
        for (const record of this.#log) this.#lines.push(showRecord(record));
        return;
      default:
        throw new Error(`there is no command ${name}`);
    }
  }

  #configure(options: ReadonlyMap<string, string>): void {
    const number = (key: string, otherwise: number): number =>
      Number(options.get(key) ?? otherwise);
    const config = this.#config;
    this.#config = {
      initialRebalanceDelayMs: number("delay", config.initialRebalanceDelayMs),
      minSessionTimeoutMs: number("min", config.minSessionTimeoutMs),
      maxSessionTimeoutMs: number("max", config.maxSessionTimeoutMs),
      maxSize: number("size", config.maxSize),
      offsetMetadataMaxBytes: number("metadata", config.offsetMetadataMaxBytes),
      offsetsRetentionMs: number("retention", config.offsetsRetentionMs),
      commitTimeoutMs: number("wait", config.commitTimeoutMs),
    };
    this.#shard = new GroupShard(this.#config);
  }

  #join(groupId: string, words: readonly string[], options: ReadonlyMap<string, string>): void {
    const [name = ""] = words;
    const client = this.#client(name);
    const member = options.get("member");
    if (member !== undefined) client.memberId = member === "none" ? "" : member;
    if (options.has("instance")) client.instanceId = options.get("instance") ?? null;
    const offered = options.get("protocols") ?? "range:topic";
    const protocols = offered
      .split(",")
      .filter((part) => part !== "")
      .map((part): JoinProtocol => {
        const [protocol = "", topics = ""] = part.split(":");
        const subscription = {
          topics: topics.split("+"),
          userData: null,
          ownedPartitions: [],
          generationId: -1,
          rackId: null,
        };
        return { name: protocol, metadata: encodeSubscription(subscription) };
      });
    this.#shard.join(
      this.#call(words),
      {
        groupId,
        memberId: client.memberId,
        groupInstanceId: client.instanceId,
        clientId: name,
        clientHost: "host",
        sessionTimeoutMs: Number(options.get("session") ?? 10_000),
        rebalanceTimeoutMs: Number(options.get("rebalance") ?? 60_000),
        protocolType: options.get("type") ?? "consumer",
        protocols,
        requireKnownMemberId: !words.includes("old-wire"),
        canSkipAssignment: !words.includes("old-wire"),
        unique: String(++this.#unique),
      },
      this.#now,
    );
  }

  #commit(groupId: string, words: readonly string[], options: ReadonlyMap<string, string>): void {
    const [name = "", ...offsets] = words;
    const outside = name === "outside";
    const identity = outside
      ? { memberId: "", generationId: -1, groupInstanceId: null }
      : this.#identity(words, options);
    const parsed = offsets.map((word) => {
      const [partition = "", offset] = word.split(":");
      return {
        ...partitionOf(partition),
        offset: Number(offset),
        leaderEpoch: Number(options.get("epoch") ?? -1),
        metadata: options.get("metadata") ?? "",
        retentionMs: Number(options.get("retention") ?? -1),
      };
    });
    this.#shard.commit(this.#call(words), { groupId, ...identity, offsets: parsed }, this.#now);
  }

  #fetch(groupId: string, words: readonly string[]): void {
    const named = words.filter((word) => word !== "stable");
    const { partitions } = this.#shard.fetch({
      groupId,
      partitions: named.length === 0 ? null : named.map(partitionOf),
      requireStable: words.includes("stable"),
    });
    for (const { topic, partition, error, offset, leaderEpoch, metadata } of partitions) {
      const note = metadata === "" ? "" : ` metadata=${metadata}`;
      const epoch = leaderEpoch < 0 ? "" : ` epoch=${leaderEpoch}`;
      this.#lines.push(`${topic}-${partition}: ${error?.code ?? offset}${epoch}${note}`);
    }
    if (partitions.length === 0) this.#lines.push("nothing is committed");
  }

  #durable(): void {
    if (this.#proposed === undefined) return;
    this.#committedCount = this.#log.length;
    this.#shard.onCommitted(this.#proposed);
    this.#proposed = undefined;
  }

  #failOver(lose: boolean): void {
    if (lose) this.#log = this.#log.slice(0, this.#committedCount);
    this.#committedCount = this.#log.length;
    this.#proposed = undefined;
    this.#callers.clear();
    this.#shard = new GroupShard(this.#config);
    for (const { key, value } of this.#log) this.#shard.replay(key, value);
    this.#shard.loaded(this.#now);
  }

  /** What the shard wants done, until nothing is left. */
  #drain(): void {
    for (;;) {
      const proposal = this.#shard.takeProposal();
      const answers = this.#shard.takeAnswers();
      const rebalancing = this.#shard.takeRebalancing();
      if (proposal === undefined && answers.length === 0 && rebalancing.length === 0) return;
      if (proposal !== undefined) {
        this.#proposed = proposal.sequence;
        this.#log.push(...proposal.records);
        for (const record of proposal.records) this.#lines.push(`append ${showRecord(record)}`);
        if (this.#auto) this.#durable();
      }
      for (const group of rebalancing) this.#lines.push(`rebalancing ${group}`);
      for (const answer of answers) this.#answer(answer);
    }
  }

  #answer(answer: Answer): void {
    const caller = this.#callers.get(answer.token) ?? "?";
    const client = this.#clients.get(caller);
    const error = answer.result.error;
    const head = `${answer.call} ${caller}:`;
    if (answer.call === "join") {
      const { memberId, generationId, leader, members, protocolName, skipAssignment } =
        answer.result;
      if (client !== undefined && memberId !== "") client.memberId = memberId;
      if (error !== undefined) {
        this.#lines.push(`${head} ${show(error)}${memberId === "" ? "" : ` member=${memberId}`}`);
        return;
      }
      if (client !== undefined) client.generation = generationId;
      const listed = members.map((member) => `${member.memberId}(${topicsOf(member.metadata)})`);
      const skip = skipAssignment ? " skip-assignment" : "";
      this.#lines.push(
        `${head} generation=${generationId} member=${memberId} leader=${leader} protocol=${protocolName}${skip}${
          listed.length > 0 ? ` members=${listed.join(",")}` : ""
        }`,
      );
      return;
    }
    if (error !== undefined) {
      this.#lines.push(`${head} ${show(error)}`);
      return;
    }
    switch (answer.call) {
      case "sync":
        this.#lines.push(`${head} assignment=${text(answer.result.assignment)}`);
        return;
      case "leave":
        for (const member of answer.result.members) {
          const who = member.memberId || member.groupInstanceId;
          this.#lines.push(
            `${head} ${who} ${member.error === undefined ? "left" : show(member.error)}`,
          );
        }
        return;
      case "commit":
      case "delete-offsets":
        for (const one of answer.result.partitions) {
          const result = one.error === undefined ? "ok" : show(one.error);
          this.#lines.push(`${head} ${one.topic}-${one.partition} ${result}`);
        }
        return;
      case "describe": {
        const { state, generationId, protocolType, protocolName, leader, members } = answer.result;
        this.#lines.push(
          `${head} ${state} generation=${generationId} type=${protocolType} protocol=${protocolName} leader=${leader}`,
        );
        for (const member of members) {
          const instance =
            member.groupInstanceId === null ? "" : ` instance=${member.groupInstanceId}`;
          const waits = member.waitsFor === undefined ? "" : ` waits-for=${member.waitsFor}`;
          const assignment = text(member.assignment);
          this.#lines.push(
            `  ${member.memberId}${instance} topics=${topicsOf(member.metadata)} assignment=${assignment}${waits}`,
          );
        }
        return;
      }
      default:
        this.#lines.push(`${head} ok`);
    }
  }

  #identity(
    words: readonly string[],
    options: ReadonlyMap<string, string>,
  ): {
    readonly memberId: string;
    readonly generationId: number;
    readonly groupInstanceId: string | null;
  } {
    const client = this.#client(words[0] ?? "");
    return {
      memberId: options.get("member") ?? client.memberId,
      generationId: Number(options.get("generation") ?? client.generation),
      groupInstanceId: options.get("instance") ?? client.instanceId,
    };
  }

  #client(name: string): Client {
    let client = this.#clients.get(name);
    if (client === undefined) {
      client = { memberId: "", generation: -1, instanceId: null };
      this.#clients.set(name, client);
    }
    return client;
  }

  #call(words: readonly string[]): number {
    const token = ++this.#token;
    this.#callers.set(token, words[0] ?? "-");
    return token;
  }

  get #now(): Now {
    return { monotonicMs: this.#nowMs, wallMs: START_MS + this.#nowMs };
  }
}

function show(error: GroupError): string {
  return error.code;
}

function topicsOf(metadata: Uint8Array): string {
  return metadata.length === 0 ? "" : decodeSubscription(metadata).topics.join("+");
}

function partitionOf(word: string): { readonly topic: string; readonly partition: number } {
  const at = word.lastIndexOf("-");
  return { topic: word.slice(0, at), partition: Number(word.slice(at + 1)) };
}

function showRecord({ key, value }: GroupRecord): string {
  const decoded = decodeKey(key);
  if (decoded === undefined) return "a record of another kind";
  if (decoded.type === "offset") {
    const name = `${decoded.groupId} ${decoded.topic}-${decoded.partition}`;
    if (value === null) return `${name} removed`;
    const { offset } = decodeOffsetValue(value);
    return `${name}=${offset}`;
  }
  if (value === null) return `${decoded.groupId} removed`;
  const { generation, protocol, leader, completing, members } = decodeGroupValue(value);
  const listed = members.map(({ memberId, assignment }) => `${memberId}(${text(assignment)})`);
  const step = completing ? " completing" : "";
  return `${decoded.groupId} generation=${generation} protocol=${protocol} leader=${leader}${step} members=${listed.join(",")}`;
}
