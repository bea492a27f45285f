/**
 * A cluster of Raft cores under chance: messages are lost, doubled, overtaken; nodes crash at any
 * point, losing the write under way or keeping it; voters are replaced. After every step the
 * invariants of Raft are checked on the nodes that the step touched.
 */
import { assert } from "../../src/base/assert.ts";
import { text, utf8 } from "../../src/base/bytes.ts";
import type { Prng } from "../../src/base/prng.ts";
import { decodeVoters, sortedNodes } from "../../src/raft/membership.ts";
import { type RaftMessage, type RaftNode, sameNode } from "../../src/raft/messages.ts";
import { nodeKey } from "../../src/raft/node.ts";
import { Raft, type Ready } from "../../src/raft/raft.ts";
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
  /** Own ticks since its leader was heard; undefined: it has no reason to wait for one. */
  ticksUnheard: number | undefined;
  /** The same when a candidate asked for a pre-vote: an answer may leave later. */
  readonly unheardWhenAsked: Map<string, number>;
}

export interface WorldFaults {
  /** How many of a thousand steps are faults, or try to be. */
  readonly permille: number;
  readonly lossPercent: number;
  readonly duplicatePercent: number;
  readonly crashPercent: number;
  readonly replacePercent: number;
  /** A voter leaves or joins the set by itself; leaders take it in again once it has caught up. */
  readonly voterChangePercent: number;
  /** One disk takes its time: its writes are done only when another's become slow. */
  readonly slowDiskPercent: number;
  readonly inOrder: boolean;
}

const ELECTION_TICKS = 10;
const HEARTBEAT_TICKS = 2;
/** So long a leader's word protects it. */
const LEASE_TICKS = ELECTION_TICKS - HEARTBEAT_TICKS;

function loadState(snapshot: Uint8Array): string[] {
  return snapshot.length === 0 ? [] : text(snapshot).split("\n");
}

function isNothing({ messages, chunks, committed, write }: Ready): boolean {
  return messages.length + chunks.length + committed.length === 0 && write === undefined;
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
  /** Hears of each step, in words, and the tick. */
  readonly #onNote: ((text: string, tick: number) => void) | undefined;
  /** Rounds in which most nodes ticked. */
  ticksCount = 0;
  faultsCount = 0;

  constructor(options: {
    prng: Prng;
    faults: WorldFaults;
    votersCount: number;
    onNote?: (text: string, tick: number) => void;
  }) {
    this.#prng = options.prng;
    this.#faults = options.faults;
    this.#onNote = options.onNote;
    const voters: RaftNode[] = [];
    for (let id = 1; id <= options.votersCount; id++) voters.push({ id, directoryId: `d${id}` });
    for (const node of voters) this.#join(node, RaftDisk.formed(voters));
  }

  get committedCount(): number {
    return this.#committed.size;
  }

  /** Equal for equal runs: what was committed, by whom terms were led, how far each node came. */
  fingerprint(): string {
    const nodes = this.describeNodes();
    const committed = [...this.#committed].map(([at, { term, text }]) => `${at} ${term} ${text}`);
    const leaders = [...this.#leaders].map(([term, leader]) => `${term} ${leader}`);
    return [...nodes, ...committed, ...leaders, `${this.#flying.length} flying`].join("\n");
  }

  describeNodes(): string[] {
    return [...this.members.values()].map(({ node, raft, disk }) => {
      const { term, votedFor } = disk.hardState;
      const vote = votedFor === undefined ? "nobody" : nodeKey(votedFor);
      const stored = `term ${term}, vote ${vote}, last ${disk.lastIndex}`;
      if (raft === undefined) return `${nodeKey(node)}: down, ${stored}`;
      const voters = raft.voters.map(nodeKey).join(" ");
      return `${nodeKey(node)}: ${raft.role} of term ${raft.term}, commit ${raft.commitIndex}, voters ${voters}, ${stored}`;
    });
  }

  #note(text: string): void {
    this.#onNote?.(text, this.ticksCount + this.healedTicks);
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
      ticksUnheard: undefined,
      unheardWhenAsked: new Map(),
    };
    this.members.set(nodeKey(node), member);
    this.#start(member);
    const contacts = [...this.members.values()].map((other) => other.node);
    for (const { raft } of this.#running()) raft?.setContacts(contacts);
  }

  #start(member: Member): void {
    const { disk } = member;
    member.raft = new Raft(
      {
        self: member.node,
        electionTicks: ELECTION_TICKS,
        heartbeatTicks: HEARTBEAT_TICKS,
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
    member.ticksUnheard = undefined;
    member.raft.setContacts([...this.members.values()].map((other) => other.node));
    this.#note(`${nodeKey(member.node)} starts in term ${member.raft.term}`);
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
    else if (dice < 660) this.#tickAll(running);
    else if (dice < 900) this.#writeOn(prng.pick(running));
    else if (dice >= 1_000 - this.#faults.permille) this.#fault(running);
    else if (dice < 950) this.#propose(prng.pick(running));
    else this.#snapshot(prng.pick(running));
  }

  #fault(running: readonly Member[]): void {
    const prng = this.#prng;
    if (prng.below(100) < this.#faults.crashPercent) {
      const member = prng.pick(running);
      // The write under way is on disk or not; both happen.
      if (member.write !== undefined && prng.chance(1, 2)) member.disk.apply(member.write);
      member.raft = undefined;
      this.faultsCount++;
      this.#note(`${nodeKey(member.node)} crashes`);
      this.#dropMessagesOf(member.node);
    }
    this.#restartOne();
    if (prng.below(100) < this.#faults.replacePercent) this.#replaceOne();
    if (prng.below(100) < this.#faults.voterChangePercent) this.#changeVoters();
    if (prng.below(100) < this.#faults.slowDiskPercent) {
      this.#slow = prng.chance(1, 2) ? prng.pick(running) : undefined;
      if (this.#slow !== undefined) this.#note(`${nodeKey(this.#slow.node)} has a slow disk`);
    }
    const dice = prng.below(9);
    const chosen = prng.pick(running);
    if (dice < 5) this.#cutOff(dice === 0 ? chosen : undefined);
    else if (dice === 5) chosen.raft?.transferLeadership();
    else if (dice === 6) this.#loseConnection(chosen);
    else if (dice === 7) this.#stall(chosen);
    else chosen.raft?.campaign();
  }

  #loseConnection(member: Member): void {
    member.raft?.leaderUnreachable();
    member.ticksUnheard = undefined;
  }

  /** Nothing reaches it nor leaves it, until nobody or another is cut off. */
  #cutOff(member: Member | undefined): void {
    this.#cut = new Set(member === undefined ? [] : [nodeKey(member.node)]);
    this.#cutTicks = 0;
    if (member === undefined) return;
    this.faultsCount++;
    this.#note(`${nodeKey(member.node)} is cut off`);
  }
  /** Of the node that is cut off, its own, since then. */
  #cutTicks = 0;

  /** The process stood still, for less or more than an election takes. */
  #stall(member: Member): void {
    const { raft } = member;
    if (raft === undefined) return;
    const ticks = this.#prng.between(1, 2 * ELECTION_TICKS);
    const wasLeader = raft.role === "leader";
    raft.stalled(ticks);
    this.faultsCount++;
    this.#note(`${nodeKey(member.node)} stood still for ${ticks} ticks`);
    if (ticks < ELECTION_TICKS) {
      assert(!wasLeader || raft.role === "leader", "a short stall deposes nobody");
    } else assert(raft.role !== "leader", "a leader that stood still for long has resigned");
    this.#settle(member);
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
    this.faultsCount++;
    this.#note(`${nodeKey(victim)} loses its disk`);
    this.#wiped.add(nodeKey(victim));
    this.#join({ id: victim.id, directoryId: `${victim.directoryId}x` }, new RaftDisk());
  }
  readonly #wiped = new Set<string>();

  #slow: Member | undefined;

  #changeVoters(): void {
    const prng = this.#prng;
    const leaders = this.#running().filter(({ raft }) => raft?.role === "leader");
    if (leaders.length === 0) return;
    const member = prng.pick(leaders);
    const { voters } = member.raft as Raft;
    const joining = [...this.members.values()]
      .filter(({ node }) => !this.#wiped.has(nodeKey(node)))
      .map(({ node }) => node)
      .filter((node) => !voters.some((voter) => voter.id === node.id));
    if (joining.length > 0 && prng.chance(1, 2)) {
      this.#proposeVoters(member, [...voters, prng.pick(joining)]);
    } else if (voters.length > 1) {
      const leaving = prng.pick(voters);
      this.#proposeVoters(
        member,
        voters.filter((voter) => !sameNode(voter, leaving)),
      );
    }
  }

  #proposeVoters(member: Member, voters: readonly RaftNode[]): void {
    if (member.raft !== undefined && this.#takesVoters(member.raft, voters)) {
      this.faultsCount++;
      this.#note(`${nodeKey(member.node)} proposes voters ${voters.map(nodeKey).join(" ")}`);
    }
    this.#settle(member);
  }

  /** R13: Ongaro 2015, "bug in single-server membership changes". */
  #takesVoters(raft: Raft, voters: readonly RaftNode[]): boolean {
    const isOpen = raft.termAt(raft.commitIndex) === raft.term;
    const isTaken = "index" in raft.proposeVoters(sortedNodes(voters));
    assert(!isTaken || isOpen, "R13 a voter set follows a committed entry of its term");
    return isTaken;
  }

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
    this.#receive(message);
  }

  #receive(message: RaftMessage): void {
    const member = this.members.get(nodeKey(message.to));
    const { raft } = member ?? {};
    if (member === undefined || raft === undefined) return;
    const { term, votedFor } = raft;
    const asks = message.type === "vote-request" && message.preVote;
    if (asks) {
      const key = `${nodeKey(message.from)}@${term}`;
      const unheard = (raft.leader && member.ticksUnheard) ?? Number.POSITIVE_INFINITY;
      const before = member.unheardWhenAsked.get(key) ?? 0;
      member.unheardWhenAsked.set(key, Math.max(before, unheard));
    }
    this.#noteMessage(message);
    raft.step(message);
    assert(!asks || (raft.term === term && raft.votedFor === votedFor), "R16 pre-vote harmless");
    if (raft.leader === undefined || raft.term !== term) member.ticksUnheard = undefined;
    if (
      message.type === "append-request" &&
      raft.leader !== undefined &&
      sameNode(raft.leader, message.from)
    ) {
      member.ticksUnheard = 0;
    }
    this.#settle(member);
  }

  #noteMessage({ type, from, to, term, ...more }: RaftMessage): void {
    if (this.#onNote === undefined) return;
    const fields = Object.entries(more)
      .filter(([, value]) => typeof value !== "object")
      .map(([name, value]) => `${name} ${String(value)}`);
    const words = [`${type} of term ${term}`, ...fields].join(", ");
    this.#note(`${nodeKey(from)} to ${nodeKey(to)}: ${words}`);
  }

  #tickAll(running: readonly Member[]): void {
    this.ticksCount++;
    for (const member of running) {
      if (this.#prng.chance(1, 10)) continue;
      this.#tick(member);
      if (member.raft !== undefined) this.#checkVoters(member.raft);
      if (!this.#cut.has(nodeKey(member.node))) continue;
      const isAlone = member.raft?.voters.length === 1;
      this.#cutTicks = isAlone ? 0 : this.#cutTicks + 1;
      assert(
        this.#cutTicks <= 2 * ELECTION_TICKS || member.raft?.role !== "leader",
        "R15 a leader without a majority resigns",
      );
    }
  }

  #tick(member: Member): void {
    if (member.ticksUnheard !== undefined) member.ticksUnheard++;
    member.raft?.tick();
    const { raft } = member;
    if (raft?.role === "leader") {
      const ids = [...this.members.values()].map(({ node }) => node.id);
      const next = raft.replacementStep(ids);
      if (next !== undefined) this.#takesVoters(raft, next);
    }
    this.#settle(member);
  }

  /** The newest voter set in the log, committed or not, is in force (thesis 4.1). */
  #checkVoters(raft: Raft): void {
    for (let index = raft.lastIndex; index > raft.baseIndex; index--) {
      const entry = raft.entryAt(index);
      if (entry?.kind !== "config") continue;
      const { voters } = raft;
      const inLog = decodeVoters(entry.payload);
      assert(
        voters.length === inLog.length &&
          voters.every((one, at) => sameNode(one, inLog[at] as RaftNode)),
        "R13 the voter set in force is the newest in the log",
      );
      return;
    }
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

  #writeOn(member: Member): void {
    if (member !== this.#slow) this.#finishWrite(member);
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
    const { hasReady } = raft;
    const ready = raft.ready();
    // Were it true in vain, a host would take turn upon turn.
    assert(hasReady !== isNothing(ready), "what is asked first is what comes");
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
    if (message.type === "vote-response" && message.granted && message.preVote) {
      const unheard = member.unheardWhenAsked.get(`${nodeKey(message.to)}@${message.term}`);
      assert(
        unheard !== undefined && unheard >= LEASE_TICKS,
        "R16 who hears a leader helps nobody to replace it",
      );
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
    if (raft.role === "leader" && member.lastLeaderLog?.term === raft.term) {
      assert(
        raft.commitIndex === member.lastCommit || raft.termAt(raft.commitIndex) === raft.term,
        "R10 a leader commits by counting only what is of its own term",
      );
    }
    member.lastCommit = raft.commitIndex;
    if (raft.role !== "leader") {
      member.lastLeaderLog = undefined;
      return;
    }
    const known = this.#leaders.get(raft.term);
    assert(known === undefined || known === nodeKey(member.node), "R1 election safety");
    this.#leaders.set(raft.term, nodeKey(member.node));
    if (known === undefined) this.#note(`${nodeKey(member.node)} leads term ${raft.term}`);
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

  /** How many rounds the last `heal` took. */
  healedTicks = 0;

  /** No more faults: everybody runs, all messages arrive. Returns whether one leader serves all. */
  heal(rounds: number): boolean {
    this.#cut = new Set();
    this.#slow = undefined;
    for (const member of this.members.values()) {
      if (member.raft === undefined && !this.#wiped.has(nodeKey(member.node))) this.#start(member);
    }
    for (let round = 0; round < rounds; round++) {
      this.healedTicks = round + 1;
      for (const member of this.#running()) {
        this.#tick(member);
        this.#finishWrite(member);
      }
      for (let count = this.#flying.length; count > 0; count--) {
        const message = this.#flying.shift();
        // A burst pushes out the oldest.
        if (message === undefined) break;
        this.#receive(message);
        const member = this.members.get(nodeKey(message.to));
        if (member !== undefined) this.#finishWrite(member);
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
