/**
 * A cluster of Raft cores under chance: messages are lost, doubled, overtaken; nodes crash at any
 * point, losing the write under way or keeping it; voters are replaced. After every step the
 * invariants of Raft are checked on the nodes that the step touched.
 */
import { assert } from "../../src/base/assert.ts";
import { text, utf8 } from "../../src/base/bytes.ts";
import type { Prng } from "../../src/base/prng.ts";
import { sortedNodes } from "../../src/raft/membership.ts";
import { type RaftMessage, type RaftNode, sameNode } from "../../src/raft/messages.ts";
import { nodeKey } from "../../src/raft/node.ts";
import { Raft } from "../../src/raft/raft.ts";
import type { RaftWrite, SnapshotChunk } from "../../src/raft/state.ts";
import { RaftDisk } from "./raft-disk.ts";

interface Member {
  readonly node: RaftNode;
  readonly disk: RaftDisk;
  raft: Raft | undefined;
  write: RaftWrite | undefined;
  /** The state machine: everything applied, joined; its own snapshot. */
  state: string[];
  appliedIndex: number;
  lastCommit: number;
  lastLeaderLog: { term: number; lastIndex: number } | undefined;
}

export interface WorldFaults {
  readonly lossPercent: number;
  readonly duplicatePercent: number;
  readonly crashPercent: number;
  readonly replacePercent: number;
  readonly inOrder: boolean;
}

function loadState(snapshot: Uint8Array): string[] {
  return snapshot.length === 0 ? [] : text(snapshot).split("\n");
}

export class RaftWorld {
  readonly members = new Map<string, Member>();
  readonly #prng: Prng;
  readonly #faults: WorldFaults;
  #flying: RaftMessage[] = [];
  #proposals = 0;
  /** Of each term, who led it, over the whole run. */
  readonly #leaders = new Map<number, string>();
  /** Of each node and term, whom its votes named in messages. */
  readonly #votes = new Map<string, string>();
  /** Of each index, what was committed there first. */
  readonly #committed = new Map<number, { term: number; text: string }>();
  #cut = new Set<string>();

  constructor(options: { prng: Prng; faults: WorldFaults; votersCount: number }) {
    this.#prng = options.prng;
    this.#faults = options.faults;
    const voters: RaftNode[] = [];
    for (let id = 1; id <= options.votersCount; id++) voters.push({ id, directoryId: `d${id}` });
    for (const node of voters) this.#join(node, RaftDisk.formed(voters));
  }

  get committedCount(): number {
    return this.#committed.size;
  }

  #join(node: RaftNode, disk: RaftDisk): void {
    const member: Member = {
      node,
      disk,
      raft: undefined,
      write: undefined,
      state: [],
      appliedIndex: 0,
      lastCommit: 0,
      lastLeaderLog: undefined,
    };
    this.members.set(nodeKey(node), member);
    this.#start(member);
  }

  #start(member: Member): void {
    const { disk } = member;
    member.raft = new Raft(
      {
        self: member.node,
        electionTicks: 10,
        heartbeatTicks: 2,
        random: (bound) => this.#prng.below(bound),
        limits: {
          raftAppendBytes: 100,
          raftInflightAppendsCount: 4,
          raftInflightBytes: 300,
          snapshotChunkBytes: 20,
          raftApplyBytes: 200,
        },
      },
      disk.persisted(),
    );
    member.write = undefined;
    member.state = disk.snapshot === undefined ? [] : loadState(disk.snapshot.bytes);
    member.appliedIndex = disk.snapshot?.head.index ?? 0;
    member.lastCommit = 0;
    member.raft.setContacts([...this.members.values()].map((other) => other.node));
  }

  #running(): Member[] {
    return [...this.members.values()].filter((member) => member.raft !== undefined);
  }

  /** One random event. */
  step(): void {
    const prng = this.#prng;
    const running = this.#running();
    const dice = prng.below(1_000);
    if (running.length === 0) this.#restartOne();
    else if (dice < 600) this.#deliver();
    else if (dice < 660) for (const member of running) this.#tickMost(member);
    else if (dice < 900) this.#finishWrite(prng.pick(running));
    else if (dice < 980) this.#propose(prng.pick(running));
    else if (dice < 990) this.#snapshot(prng.pick(running));
    else this.#fault(running);
  }

  #fault(running: readonly Member[]): void {
    const prng = this.#prng;
    if (prng.below(100) < this.#faults.crashPercent) {
      const member = prng.pick(running);
      // The write under way is on disk or not; both happen.
      if (member.write !== undefined && prng.chance(1, 2)) member.disk.apply(member.write);
      member.raft = undefined;
      this.#dropMessagesOf(member.node);
    }
    this.#restartOne();
    if (prng.below(100) < this.#faults.replacePercent) this.#replaceOne();
    const dice = prng.below(8);
    if (dice === 0) this.#cut = new Set([nodeKey(prng.pick(running).node)]);
    else if (dice < 5) this.#cut = new Set();
    else if (dice === 5) prng.pick(running).raft?.transferLeadership();
    else if (dice === 6) prng.pick(running).raft?.leaderUnreachable();
    else prng.pick(running).raft?.campaign();
  }

  /** A disk is lost: its broker comes back as another node, if the quorum can bear that. */
  #replaceOne(): void {
    const leader = this.#running().find((member) => member.raft?.role === "leader");
    if (leader?.raft === undefined || this.members.size > 12) return;
    const { voters } = leader.raft;
    const lost = [...this.members.values()].filter(
      (member) => !voters.some((voter) => sameNode(voter, member.node)),
    );
    if (voters.length < 3 || lost.length > 0) return;
    const victim = this.#prng.pick(voters.filter((voter) => !sameNode(voter, leader.node)));
    const member = this.members.get(nodeKey(victim)) as Member;
    member.raft = undefined;
    this.#wiped.add(nodeKey(victim));
    this.#join({ id: victim.id, directoryId: `${victim.directoryId}x` }, new RaftDisk());
    for (const other of this.#running()) {
      other.raft?.setContacts([...this.members.values()].map(({ node }) => node));
    }
  }
  readonly #wiped = new Set<string>();

  #restartOne(): void {
    const down = [...this.members.values()].filter(
      (member) => member.raft === undefined && !this.#wiped.has(nodeKey(member.node)),
    );
    if (down.length > 0 && this.#prng.chance(2, 3)) this.#start(this.#prng.pick(down));
  }

  #dropMessagesOf(node: RaftNode): void {
    this.#flying = this.#flying.filter(
      (message) => !sameNode(message.from, node) || this.#prng.chance(1, 2),
    );
  }

  #deliver(): void {
    const prng = this.#prng;
    if (this.#flying.length === 0) return;
    const at = this.#faults.inOrder ? 0 : prng.below(Math.min(this.#flying.length, 8));
    const message = this.#flying[at] as RaftMessage;
    const again = prng.below(100) < this.#faults.duplicatePercent;
    if (!again) this.#flying.splice(at, 1);
    if (this.#cut.has(nodeKey(message.from)) || this.#cut.has(nodeKey(message.to))) return;
    if (prng.below(100) < this.#faults.lossPercent) return;
    const member = this.members.get(nodeKey(message.to));
    if (member?.raft === undefined) return;
    const durableBefore = JSON.stringify([member.raft.term, member.raft.votedFor]);
    member.raft.step(message);
    if (message.type === "vote-request" && message.preVote) {
      // R16: a pre-vote changes nothing durable.
      assert(
        JSON.stringify([member.raft.term, member.raft.votedFor]) === durableBefore,
        "R16 pre-vote harmless",
      );
    }
    this.#settle(member);
  }

  #tickMost(member: Member): void {
    if (this.#prng.chance(9, 10)) this.#tick(member);
  }

  #tick(member: Member): void {
    member.raft?.tick();
    const { raft } = member;
    if (raft?.role === "leader") {
      const ids = [...this.members.values()].map(({ node }) => node.id);
      const next = raft.replacementStep(ids);
      if (next !== undefined) raft.proposeVoters(sortedNodes(next));
    }
    this.#settle(member);
  }

  #propose(member: Member): void {
    for (let count = this.#prng.between(1, 3); count > 0; count--) {
      member.raft?.propose(utf8(`p${this.#proposals++}`));
    }
    this.#settle(member);
  }

  #snapshot(member: Member): void {
    const { raft, disk } = member;
    if (raft === undefined || member.write !== undefined) return;
    const bytes = utf8(member.state.join("\n"));
    const head = raft.snapshotHead(bytes.length);
    if (head === undefined || head.index <= (disk.snapshot?.head.index ?? 0)) return;
    assert(head.index === member.appliedIndex, "a snapshot is of what was applied");
    const upTo = Math.max(0, head.index - this.#prng.below(5));
    disk.compact({ head, bytes }, upTo);
    raft.compact(head, upTo);
    this.#settle(member);
  }

  #finishWrite(member: Member): void {
    const { raft, write } = member;
    if (raft === undefined || write === undefined) return;
    member.write = undefined;
    member.disk.apply(write);
    if (write.snapshot !== undefined) {
      member.state = loadState(write.snapshot.bytes);
      member.appliedIndex = write.snapshot.head.index;
    }
    for (const message of raft.advance(write)) this.#send(member, message);
    this.#settle(member);
  }

  #settle(member: Member): void {
    const { raft } = member;
    if (raft === undefined) return;
    this.#check(member, raft);
    const ready = raft.ready();
    for (const message of ready.messages) this.#send(member, message);
    for (const chunk of ready.chunks) this.#sendChunk(member, chunk);
    for (const entry of ready.committed) {
      assert(entry.index === member.appliedIndex + 1, "applied in order, each once");
      member.appliedIndex = entry.index;
      if (entry.kind === "data") member.state.push(text(entry.payload));
      const first = this.#committed.get(entry.index);
      assert(
        first !== undefined && first.term === entry.term && first.text === text(entry.payload),
        "R7 what is applied is what was committed",
      );
    }
    if (ready.write !== undefined) {
      assert(member.write === undefined, "one write at a time");
      member.write = ready.write;
    }
  }

  #sendChunk(member: Member, chunk: SnapshotChunk): void {
    const { snapshot } = member.disk;
    if (snapshot?.head.index !== chunk.head.index) return;
    this.#send(member, {
      type: "snapshot-request",
      from: member.node,
      to: chunk.to,
      term: chunk.term,
      head: chunk.head,
      offset: chunk.offset,
      bytes: snapshot.bytes.slice(chunk.offset, chunk.offset + chunk.sizeBytes),
    });
  }

  #send(member: Member, message: RaftMessage): void {
    const { disk } = member;
    assert(message.term <= disk.hardState.term, "R5 a term that is sent is durable");
    if (message.type === "vote-response" && message.granted && !message.preVote) {
      const { votedFor } = disk.hardState;
      assert(votedFor !== undefined && sameNode(votedFor, message.to), "R3 vote durability");
      this.#vote(member, message.term, message.to);
    }
    if (message.type === "vote-request" && !message.preVote) {
      this.#vote(member, message.term, member.node);
    }
    if (message.type === "append-response" && message.success) {
      assert(disk.lastIndex >= message.matchIndex, "R4 ack durability");
    }
    this.#flying.push(message);
    if (this.#flying.length > 500) this.#flying.splice(0, 100);
  }

  #vote(member: Member, term: number, candidate: RaftNode): void {
    const key = `${nodeKey(member.node)}@${term}`;
    const earlier = this.#votes.get(key);
    assert(earlier === undefined || earlier === nodeKey(candidate), "R2 vote once");
    this.#votes.set(key, nodeKey(candidate));
  }

  #check(member: Member, raft: Raft): void {
    assert(raft.commitIndex >= member.lastCommit, "R12 commit monotone");
    assert(raft.appliedIndex <= raft.commitIndex, "R12 applied <= commit");
    for (let index = member.lastCommit + 1; index <= raft.commitIndex; index++) {
      const entry = raft.entryAt(index);
      if (entry === undefined) continue;
      const first = this.#committed.get(index);
      const value = { term: entry.term, text: text(entry.payload) };
      if (first === undefined) {
        this.#checkDurableQuorum(raft, index, entry.term);
        this.#committed.set(index, value);
      } else {
        assert(first.term === value.term && first.text === value.text, "R7 state-machine safety");
      }
    }
    member.lastCommit = raft.commitIndex;
    if (raft.role !== "leader") {
      member.lastLeaderLog = undefined;
      return;
    }
    const known = this.#leaders.get(raft.term);
    assert(known === undefined || known === nodeKey(member.node), "R1 election safety");
    this.#leaders.set(raft.term, nodeKey(member.node));
    if (member.lastLeaderLog?.term === raft.term) {
      assert(raft.lastIndex >= member.lastLeaderLog.lastIndex, "R9 leader append-only");
    } else {
      for (const [index, { term }] of this.#committed) {
        if (index <= raft.baseIndex) continue;
        assert(raft.entryAt(index)?.term === term, "R8 leader completeness");
      }
    }
    member.lastLeaderLog = { term: raft.term, lastIndex: raft.lastIndex };
  }

  /** R11: whoever commits an index first, a majority of the voters of its log has it on disk. */
  #checkDurableQuorum(raft: Raft, index: number, term: number): void {
    // The formation entry is committed by agreement, before there is a disk to count.
    if (index === 1) return;
    const voters = raft.voters;
    const holders = voters.filter((voter) => {
      const disk = this.members.get(nodeKey(voter))?.disk;
      if (disk === undefined || this.#wiped.has(nodeKey(voter))) return false;
      if (index <= disk.base.index) return true;
      return disk.entries[index - disk.base.index - 1]?.term === term;
    });
    const wiped = voters.filter((voter) => this.#wiped.has(nodeKey(voter))).length;
    assert(
      holders.length + wiped >= Math.floor(voters.length / 2) + 1,
      "R11 commit <= durable of a quorum",
    );
  }

  /** No more faults: everybody runs, all messages arrive. Returns whether one leader serves all. */
  heal(rounds: number): boolean {
    this.#cut = new Set();
    for (const member of this.members.values()) {
      if (member.raft === undefined && !this.#wiped.has(nodeKey(member.node))) this.#start(member);
    }
    for (let round = 0; round < rounds; round++) {
      for (const member of this.#running()) {
        this.#tick(member);
        this.#finishWrite(member);
      }
      for (let count = this.#flying.length; count > 0; count--) {
        const message = this.#flying.shift() as RaftMessage;
        const member = this.members.get(nodeKey(message.to));
        if (member?.raft === undefined) continue;
        member.raft.step(message);
        this.#settle(member);
        this.#finishWrite(member);
      }
      if (round % 20 === 19 && this.#isConverged()) return true;
    }
    return false;
  }

  #isConverged(): boolean {
    const leader = this.#running().find(
      ({ raft }) => raft?.role === "leader" && raft.hasOpenedTerm,
    );
    if (leader?.raft === undefined) return false;
    const { raft } = leader;
    return this.#running().every(
      (member) =>
        member.raft?.appliedIndex === raft.lastIndex &&
        member.state.join() === leader.state.join() &&
        raft.voters.some((voter) => sameNode(voter, member.node)),
    );
  }
}
