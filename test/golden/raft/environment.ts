/**
 * The world of Raft's golden scripts: nodes, their disks, and the messages under way. Nothing
 * happens unless the script says so.
 *
 *   add-nodes 3              voters 1, 2, 3 of a formed cluster; election timeout 10 ticks, no jitter
 *   add-observer 4           a node with an empty disk that knows all others
 *   contacts 1               from now on it knows all others, and asks for the log if nobody leads it
 *   options append=100 ...   limits in bytes or counts: append, inflight, chunk
 *   campaign 1               asks for pre-votes now
 *   tick 1 [count=10]
 *   propose 1 words...
 *   voters 1 set=1,2         proposes a voter set
 *   transfer 1 to=2
 *   unreachable 2            the connection to the leader broke
 *   stalled 1 ticks=20
 *   ready 1                  takes what is ready: sends messages, applies; a write stays under way
 *   persist 1                the write under way is durable; what waited for it is sent
 *   deliver 2 [from=1] [count=1] [drop]
 *   stabilize [1 2]          everything of these nodes, until nothing is left to do
 *   crash 1, restart 1       what was not persisted is gone; messages to a dead node are lost
 *   snapshot 1 [keep=2]      a durable snapshot of what is applied; `keep` entries stay behind it
 *   status [1], log 1
 *   mute, unmute             whether steps are printed
 */
import { assert } from "../../../src/base/assert.ts";
import { text, utf8 } from "../../../src/base/bytes.ts";
import { decodeVoters } from "../../../src/raft/membership.ts";
import type { RaftEntry, RaftMessage, RaftNode } from "../../../src/raft/messages.ts";
import { Raft, type Ready } from "../../../src/raft/raft.ts";
import type { RaftLimits, RaftWrite, SnapshotChunk } from "../../../src/raft/state.ts";
import type { Command } from "../../support/golden-script.ts";
import { RaftDisk } from "../../support/raft-disk.ts";

interface Member {
  readonly node: RaftNode;
  readonly disk: RaftDisk;
  raft: Raft | undefined;
  write: RaftWrite | undefined;
  applied: string[];
}

export class RaftEnvironment {
  readonly #members = new Map<string, Member>();
  #limits: Partial<RaftLimits> = {};
  #flying: RaftMessage[] = [];
  #lines: string[] = [];
  #printing: "all" | "answers" = "all";

  run(command: Command): string {
    this.#lines = [];
    this.#interpret(command);
    const isQuestion = command.name === "status" || command.name === "log";
    const prints = this.#printing === "all" || isQuestion;
    return prints && this.#lines.length > 0 ? this.#lines.join("\n") : "ok";
  }

  #interpret({ name, words, options }: Command): void {
    const first = words[0] ?? "";
    switch (name) {
      case "add-nodes":
        this.#addNodes(Number(first));
        return;
      case "add-observer":
        this.#start(nodeOf(first), new RaftDisk());
        this.#setContacts(this.#member(first));
        return;
      case "contacts":
        this.#setContacts(this.#member(first));
        return;
      case "options":
        this.#limits = limitsOf(options);
        return;
      case "mute":
        this.#printing = "answers";
        return;
      case "unmute":
        this.#printing = "all";
        return;
      case "campaign":
        this.#raft(first).campaign();
        return;
      case "tick":
        for (let count = Number(options.get("count") ?? 1); count > 0; count--) {
          this.#raft(first).tick();
        }
        return;
      case "propose":
        for (const word of words.slice(1)) this.#outcome(this.#raft(first).propose(utf8(word)));
        return;
      case "voters": {
        const set = (options.get("set") ?? "").split(",").map(nodeOf);
        this.#outcome(this.#raft(first).proposeVoters(set));
        return;
      }
      case "transfer": {
        const to = options.get("to");
        const raft = this.#raft(first);
        const begun = raft.transferLeadership(to === undefined ? undefined : nodeOf(to));
        if (!begun) this.#lines.push("refused");
        return;
      }
      case "unreachable":
        this.#raft(first).leaderUnreachable();
        return;
      case "stalled":
        this.#raft(first).stalled(Number(options.get("ticks")));
        return;
      case "ready":
        this.#ready(this.#member(first));
        return;
      case "persist":
        this.#persist(this.#member(first));
        return;
      case "deliver":
        this.#deliver(first, options, words.includes("drop"));
        return;
      case "stabilize":
        this.#stabilize(words);
        return;
      case "crash": {
        const member = this.#member(first);
        member.raft = undefined;
        member.write = undefined;
        this.#flying = this.#flying.filter(({ to }) => nameOf(to) !== first);
        return;
      }
      case "restart": {
        const { node, disk } = this.#member(first);
        this.#start(node, disk);
        return;
      }
      case "snapshot":
        this.#snapshot(this.#member(first), Number(options.get("keep") ?? 0));
        return;
      case "status":
        for (const member of this.#chosen(words)) this.#lines.push(statusOf(member));
        return;
      case "log":
        this.#log(this.#member(first));
        return;
      default:
        throw new Error(`no such command: ${name}`);
    }
  }

  #addNodes(count: number): void {
    const voters: RaftNode[] = [];
    for (let id = 1; id <= count; id++) voters.push(nodeOf(String(id)));
    for (const node of voters) this.#start(node, RaftDisk.formed(voters));
  }

  #start(node: RaftNode, disk: RaftDisk): void {
    const snapshot = disk.snapshot === undefined ? [] : text(disk.snapshot.bytes).split(" ");
    const member: Member = {
      node,
      disk,
      raft: new Raft(
        {
          self: node,
          electionTicks: 10,
          heartbeatTicks: 2,
          random: () => 0,
          limits: this.#limits,
        },
        disk.persisted(),
      ),
      write: undefined,
      applied: snapshot.filter((word) => word !== ""),
    };
    this.#members.set(nameOf(node), member);
  }

  #setContacts(member: Member): void {
    member.raft?.setContacts([...this.#members.values()].map(({ node }) => node));
  }

  #member(name: string): Member {
    const member = this.#members.get(name);
    if (member === undefined) throw new Error(`no node ${name}`);
    return member;
  }

  #raft(name: string): Raft {
    const { raft } = this.#member(name);
    if (raft === undefined) throw new Error(`node ${name} is down`);
    return raft;
  }

  #chosen(names: readonly string[]): Member[] {
    return names.length === 0
      ? [...this.#members.values()]
      : names.map((name) => this.#member(name));
  }

  #outcome(result: { readonly index: number } | { readonly refused: string }): void {
    this.#lines.push("index" in result ? `at ${result.index}` : `refused: ${result.refused}`);
  }

  /** Returns whether there was anything. */
  #ready(member: Member): boolean {
    const { raft } = member;
    if (raft === undefined) return false;
    const { hasReady } = raft;
    const ready = raft.ready();
    const { messages, chunks, write, committed } = ready;
    const isEmpty = messages.length + chunks.length + committed.length === 0;
    assert(hasReady !== (isEmpty && write === undefined), "what is asked first is what comes");
    if (!hasReady) return false;
    this.#lines.push(`ready ${nameOf(member.node)}`, ...describeReady(ready));
    this.#send(messages);
    for (const chunk of chunks) this.#sendChunk(member, chunk);
    for (const entry of committed) {
      if (entry.kind === "data") member.applied.push(text(entry.payload));
    }
    if (write !== undefined) member.write = write;
    return true;
  }

  #sendChunk({ node, disk }: Member, { to, term, head, offset, sizeBytes }: SnapshotChunk): void {
    const bytes = disk.snapshot?.bytes.slice(offset, offset + sizeBytes);
    if (bytes === undefined || disk.snapshot?.head.index !== head.index) return;
    this.#send([{ type: "snapshot-request", from: node, to, term, head, offset, bytes }]);
  }

  #send(messages: readonly RaftMessage[]): void {
    for (const message of messages) {
      if (this.#members.get(nameOf(message.to))?.raft !== undefined) this.#flying.push(message);
    }
  }

  #persist(member: Member): boolean {
    const { raft, write, disk } = member;
    if (raft === undefined || write === undefined) return false;
    member.write = undefined;
    disk.apply(write);
    if (write.snapshot !== undefined) {
      member.applied = text(write.snapshot.bytes)
        .split(" ")
        .filter((word) => word !== "");
    }
    const messages = raft.advance(write);
    this.#lines.push(`persisted ${nameOf(member.node)}`);
    for (const message of messages) this.#lines.push(`  ${describeMessage(message)}`);
    this.#send(messages);
    return true;
  }

  #deliver(name: string, options: ReadonlyMap<string, string>, drop: boolean): void {
    const from = options.get("from");
    let left = Number(options.get("count") ?? Number.POSITIVE_INFINITY);
    const kept: RaftMessage[] = [];
    const taken: RaftMessage[] = [];
    for (const message of this.#flying) {
      const wanted =
        nameOf(message.to) === name && (from === undefined || nameOf(message.from) === from);
      if (wanted && left > 0) {
        taken.push(message);
        left--;
      } else kept.push(message);
    }
    this.#flying = kept;
    for (const message of taken) {
      this.#lines.push(`${drop ? "dropped" : "delivered"} ${describeMessage(message)}`);
      if (!drop) this.#member(name).raft?.step(message);
    }
  }

  #stabilize(names: readonly string[]): void {
    const members = this.#chosen(names);
    for (let round = 0; round < 100; round++) {
      let busy = false;
      for (const member of members) busy = this.#ready(member) || busy;
      for (const member of members) busy = this.#persist(member) || busy;
      for (const member of members) {
        if (!this.#flying.some(({ to }) => nameOf(to) === nameOf(member.node))) continue;
        this.#deliver(nameOf(member.node), new Map(), false);
        busy = true;
      }
      if (!busy) return;
    }
    throw new Error("does not come to rest");
  }

  #snapshot(member: Member, keep: number): void {
    const { raft, disk } = member;
    const bytes = utf8(member.applied.join(" "));
    const head = raft?.snapshotHead(bytes.length);
    if (raft === undefined || head === undefined) throw new Error("nothing to snapshot");
    const upTo = Math.max(raft.baseIndex, head.index - keep);
    disk.compact({ head, bytes }, upTo);
    raft.compact(head, upTo);
    this.#lines.push(`snapshot ${head.index}/${head.term}, the log begins behind ${upTo}`);
  }

  #log({ raft }: Member): void {
    if (raft === undefined) return;
    const parts = [`behind ${raft.baseIndex}:`];
    for (let index = raft.baseIndex + 1; index <= raft.lastIndex; index++) {
      parts.push(describeEntry(raft.entryAt(index) as RaftEntry));
    }
    this.#lines.push(parts.join(" "));
  }
}

/** `3` is broker 3 with its first directory, `3b` with its second. */
function nodeOf(name: string): RaftNode {
  const id = Number.parseInt(name, 10);
  return { id, directoryId: name.slice(String(id).length) || "a" };
}

function nameOf({ id, directoryId }: RaftNode): string {
  return directoryId === "a" ? String(id) : `${id}${directoryId}`;
}

function limitsOf(options: ReadonlyMap<string, string>): Partial<RaftLimits> {
  const limits: { -readonly [Name in keyof RaftLimits]?: number } = {};
  const names = {
    append: "raftAppendBytes",
    inflight: "raftInflightAppendsCount",
    chunk: "snapshotChunkBytes",
    uncommitted: "raftUncommittedBytes",
  } as const;
  for (const [short, name] of Object.entries(names)) {
    const value = options.get(short);
    if (value !== undefined) limits[name] = Number(value);
  }
  return limits;
}

function statusOf({ node, raft, applied, disk }: Member): string {
  if (raft === undefined) return `${nameOf(node)}: down`;
  const parts = [
    `${nameOf(node)}: ${raft.role} term=${raft.term}`,
    `leader=${raft.leader === undefined ? "-" : nameOf(raft.leader)}`,
    `last=${raft.lastIndex} durable=${raft.durableIndex} commit=${raft.commitIndex}`,
    `voters=${raft.voters.map(nameOf).join(",")}`,
    `applied=[${applied.join(" ")}]`,
  ];
  const { votedFor } = disk.hardState;
  parts.push(`stored-vote=${votedFor === undefined ? "-" : nameOf(votedFor)}`);
  for (const { node: other, voter, state, matchIndex } of raft.followers) {
    parts.push(`\n  ${nameOf(other)}${voter ? "" : " (observer)"}: ${state} match=${matchIndex}`);
  }
  return parts.join(" ").replaceAll(" \n", "\n");
}

function describeReady({ messages, chunks, write, committed }: Ready): string[] {
  const lines = messages.map((message) => `  now ${describeMessage(message)}`);
  for (const { to, head, offset, sizeBytes } of chunks) {
    lines.push(
      `  now chunk ->${nameOf(to)} of ${head.index}/${head.term}: ${sizeBytes} bytes at ${offset}`,
    );
  }
  if (committed.length > 0) lines.push(`  apply ${committed.map(describeEntry).join(" ")}`);
  if (write !== undefined) {
    const parts: string[] = [];
    const { hardState, snapshot, entries } = write;
    if (hardState !== undefined) {
      const { term, votedFor } = hardState;
      parts.push(`term=${term} vote=${votedFor === undefined ? "-" : nameOf(votedFor)}`);
    }
    if (snapshot !== undefined) parts.push(`snapshot=${snapshot.head.index}/${snapshot.head.term}`);
    if (entries.length > 0) parts.push(`entries=[${entries.map(describeEntry).join(" ")}]`);
    lines.push(`  write ${parts.length === 0 ? "nothing" : parts.join(" ")}`);
    for (const message of write.messagesAfterAppend) {
      lines.push(`  then ${describeMessage(message)}`);
    }
  }
  return lines;
}

function describeEntry({ index, term, kind, payload }: RaftEntry): string {
  const what =
    kind === "data"
      ? text(payload)
      : kind === "config"
        ? `voters:${decodeVoters(payload).map(nameOf).join(",")}`
        : kind;
  return `${index}/${term}:${what}`;
}

function describeMessage(message: RaftMessage): string {
  const way = `${nameOf(message.from)}->${nameOf(message.to)} term=${message.term}`;
  switch (message.type) {
    case "vote-request": {
      const kind = message.preVote ? "pre-vote-request" : "vote-request";
      const last = `last=${message.lastIndex}/${message.lastTerm}`;
      return `${kind} ${way} ${last}${message.transfer ? " transfer" : ""}`;
    }
    case "vote-response": {
      const kind = message.preVote ? "pre-vote-response" : "vote-response";
      return `${kind} ${way} ${message.granted ? "granted" : "rejected"}`;
    }
    case "append-request": {
      const entries = message.entries.map(describeEntry).join(" ");
      const previous = `previous=${message.previousIndex}/${message.previousTerm}`;
      return `append-request ${way} ${previous} commit=${message.commitIndex} [${entries}]`;
    }
    case "append-response":
      return message.success
        ? `append-response ${way} match=${message.matchIndex}`
        : `append-response ${way} conflict previous=${message.previousIndex} try=${message.matchIndex}/${message.conflictTerm}`;
    case "snapshot-request":
      return `snapshot-request ${way} ${message.head.index}/${message.head.term} offset=${message.offset} bytes=${message.bytes.length}/${message.head.sizeBytes}`;
    case "snapshot-response":
      return `snapshot-response ${way} ${message.index} next=${message.nextOffset}${message.installed ? " installed" : ""}`;
    case "timeout-now":
      return `timeout-now ${way}`;
    case "observe-request":
      return `observe-request ${way} last=${message.lastIndex}/${message.lastTerm}`;
  }
}
