/**
 * Drives the Raft core of one broker: time, streams, disk, and the state machine above. Everything
 * that comes in changes the core at once; what follows from it is done once per turn of the event
 * loop (`#turn`), so that what arrived together shares messages and fsyncs.
 */
import { assert } from "../base/assert.ts";
import { EMPTY_BYTES } from "../base/bytes.ts";
import type { VoterAddress } from "../model/broker-config.ts";
import { OttlaError } from "../model/errors.ts";
import { type BrokerId, type ClusterId, type LogIndex, NONE, type Term } from "../model/ids.ts";
import { LIMITS } from "../model/limits.ts";
import type { HistogramName } from "../model/metrics.ts";
import type { Timer } from "../ports/clock.ts";
import type { Ports } from "../ports/ports.ts";
import { decodeVoters, includesNode } from "../raft/membership.ts";
import { type RaftEntry, type RaftMessage, type RaftNode, sameNode } from "../raft/messages.ts";
import { majorityCount } from "../raft/quorum.ts";
import { Raft } from "../raft/raft.ts";
import type { PersistedState, RaftWrite, SnapshotInstall } from "../raft/state.ts";
import { RaftLog } from "../storage/raft-log.ts";
import { nextFormationStep } from "./cluster-formation.ts";
import type { MetadataLog, MetadataLogStatus, MetadataStateMachine } from "./metadata-log.ts";
import { OncePerTurn } from "./once-per-turn.ts";
import { RaftPeers, type RaftStream } from "./raft-peers.ts";
import { RaftProposals } from "./raft-proposals.ts";
import { SnapshotSender } from "./raft-snapshot-sender.ts";

export interface RaftDriverOptions {
  readonly brokerId: BrokerId;
  /** Holds `raft/`, `snapshots/` and `raft-mark`. */
  readonly dataDirectory: string;
  /** `controller.quorum.voters`. A broker that is not among them is an observer. */
  readonly voters: readonly VoterAddress[];
  /** A follower campaigns after one to two of these without word from a leader; at least 200. */
  readonly electionTimeoutMs: number;
  /** A leader whose streams broke and did not come back for so long is taken for dead. */
  readonly reconnectGraceMs: number;
  /** Bytes of committed entries after which a snapshot is taken. */
  readonly snapshotBytes: number;
  /** Entries that stay behind a snapshot, for followers a little behind. Default 1,000. */
  readonly trailingEntriesCount?: number;
  /** What the data directory is known to belong to; undefined: nothing yet. */
  readonly clusterId: ClusterId | undefined;
  readonly stateMachine: MetadataStateMachine;
}

const TICK_MS = 50;
const HEARTBEAT_MS = 200;
/** Ticks this late mean that the event loop stood still, and input waits unread. */
const STALL_MS = 250;
/**
 * A leader speaks every 200 ms and is answered as often; a stream over which nothing came for so long
 * is dead, whatever its keepalive says. Long enough for the largest message on a slow link: a stream
 * that is ended amid one begins with it again.
 */
const SILENCE_MS = 10_000;
/** A leader whose disk does not answer for so long leaves its work to another. */
const STORAGE_HANG_MS = 2_000;
/** Spreads the campaigns of followers that lost their leader at the same moment. */
const CAMPAIGN_JITTER_MS = 60;
/** Messages that arrive while this node still writes down what cluster it belongs to. */
const EARLY_MESSAGES_COUNT = 1_000;

export class RaftDriver implements MetadataLog {
  readonly #ports: Ports;
  readonly #options: RaftDriverOptions;
  readonly #log: RaftLog;
  readonly #peers: RaftPeers;
  readonly #proposals = new RaftProposals();
  readonly #sender: SnapshotSender;
  readonly #turns: OncePerTurn;
  readonly #tickTimer: Timer;
  #raft: Raft;
  #clusterId: ClusterId | undefined;
  /** `joined`: the core runs. Before, it must say nothing: it does not know its voters. */
  #membership: "unformed" | "forming" | "joined";
  #early: RaftMessage[] = [];

  /** The term in which the state machine above was told to decide. */
  #activeTerm: Term | undefined;
  #announced: { readonly leaderId: BrokerId; readonly term: Term };
  #appliedVoters: readonly RaftNode[];
  #bytesSinceSnapshot = 0;
  #savingSnapshot: boolean;
  #writing: { readonly sinceMs: number; readonly done: Promise<void> } | undefined;

  #lastTickMs: number;
  #tickDebtMs = 0;
  #recovering: boolean;
  #campaignTimer: Timer | undefined;
  #closing: Promise<void> | undefined;

  private constructor(
    ports: Ports,
    options: RaftDriverOptions,
    opened: { log: RaftLog; persisted: PersistedState },
  ) {
    const { log, persisted } = opened;
    this.#ports = ports;
    this.#options = options;
    this.#log = log;
    this.#clusterId = options.clusterId;
    const isConfiguredVoter = options.voters.some(({ id }) => id === options.brokerId);
    const isNew = log.isPristine && options.clusterId === undefined;
    this.#membership = isConfiguredVoter && isNew ? "unformed" : "joined";
    this.#raft = this.#newRaft(persisted);
    this.#appliedVoters = persisted.snapshot?.voters ?? [];
    this.#announced = { leaderId: NONE, term: this.#raft.term };
    this.#turns = new OncePerTurn(ports, () => this.#turn());
    this.#sender = new SnapshotSender(ports, log, (message) => this.#peers.send(message));
    this.#peers = new RaftPeers(ports, {
      self: this.#raft.self,
      voters: options.voters,
      hello: () => ({
        type: "hello",
        node: this.#raft.self,
        clusterId: this.#clusterId,
        empty: log.isPristine && this.#clusterId === undefined,
        formation: log.formation,
      }),
      onHello: () => this.#onHello(),
      onMessage: (message) => this.#onMessage(message),
      onLost: (node) => this.#onLost(node),
    });
    this.#savingSnapshot = false;
    this.#recovering = false;
    this.#lastTickMs = ports.clock.monotonicMs();
    this.#tickTimer = ports.timers.every(TICK_MS, () => this.#onTick());
  }

  /**
   * Opens and verifies the log, loads the state machine from the newest snapshot and starts to talk
   * to the voters. Rejects as `RaftLog.open` does.
   */
  static async open(ports: Ports, options: RaftDriverOptions): Promise<RaftDriver> {
    const { voters, brokerId } = options;
    assert(voters.length > 0, "somebody votes");
    const { log, persisted, snapshot } = await RaftLog.open(ports, {
      dataDirectory: options.dataDirectory,
      brokerId,
      soleVoter: voters.length === 1 && voters[0]?.id === brokerId,
    });
    const driver = new RaftDriver(ports, options, { log, persisted });
    if (snapshot !== undefined) driver.#load(snapshot);
    driver.#peers.start();
    driver.#maybeForm();
    driver.#turns.schedule();
    return driver;
  }

  /** A raft stream that another broker opened to this one. */
  accept(stream: RaftStream): void {
    this.#peers.accept(stream);
  }

  /** The state machine knows from its records which cluster this is; others are refused then. */
  setClusterId(clusterId: ClusterId): void {
    if (this.#clusterId === clusterId) return;
    this.#clusterId = clusterId;
    if (this.#closing === undefined) this.#peers.sayHelloAgain();
  }

  async propose(term: Term, payload: Uint8Array): Promise<LogIndex> {
    if (payload.length > LIMITS.raftEntryBytes) {
      throw new OttlaError(
        "MESSAGE_TOO_LARGE",
        `An entry of the metadata log is ${payload.length} bytes; at most ${LIMITS.raftEntryBytes} are allowed`,
      );
    }
    this.#resignAfterStall();
    if (this.#closing !== undefined)
      throw new OttlaError("SHUTTING_DOWN", "The broker is stopping");
    if (this.#activeTerm !== term || this.#raft.role !== "leader" || this.#raft.term !== term) {
      throw new OttlaError("NOT_CONTROLLER", `This node does not lead term ${term}`);
    }
    if (this.#proposals.size >= LIMITS.controllerPendingCount) {
      throw new OttlaError(
        "LIMIT_EXCEEDED",
        `${LIMITS.controllerPendingCount} proposals wait for commit already`,
      );
    }
    const result = this.#raft.propose(payload);
    if ("refused" in result) {
      if (result.refused === "full") {
        throw new OttlaError(
          "LIMIT_EXCEEDED",
          `${LIMITS.raftUncommittedBytes} bytes wait for a majority already`,
        );
      }
      throw new OttlaError("NOT_CONTROLLER", "Leadership is being handed over");
    }
    this.#turns.schedule();
    return this.#proposals.wait(result.index, term, this.#ports.clock.monotonicMs());
  }

  status(): MetadataLogStatus {
    const raft = this.#raft;
    return {
      self: raft.self,
      clusterId: this.#clusterId,
      role: this.#membership === "joined" ? raft.role : "unformed",
      leaderId: raft.leader?.id ?? NONE,
      term: raft.term,
      votedForId: raft.votedFor?.id ?? NONE,
      commitIndex: raft.commitIndex,
      appliedIndex: raft.appliedIndex,
      lastIndex: raft.lastIndex,
      voters: raft.voters,
      followers: raft.followers.map(({ node, voter, matchIndex, lastContactTicksAgo }) => ({
        node,
        voter,
        matchIndex,
        lastContactMs: lastContactTicksAgo * TICK_MS,
      })),
    };
  }

  transferLeadership(): void {
    if (this.#raft.transferLeadership()) this.#turns.schedule();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#tickTimer.cancel();
    this.#campaignTimer?.cancel();
    this.#peers.close();
    this.#resign(new OttlaError("SHUTTING_DOWN", "The broker is stopping"));
    await this.#writing?.done;
    await this.#log.close();
  }

  #newRaft(persisted: PersistedState): Raft {
    const { brokerId, electionTimeoutMs } = this.#options;
    const electionTicks = Math.max(4, Math.ceil(electionTimeoutMs / TICK_MS));
    return new Raft(
      {
        self: { id: brokerId, directoryId: this.#log.directoryId },
        electionTicks,
        heartbeatTicks: Math.max(
          1,
          Math.min(HEARTBEAT_MS / TICK_MS, Math.floor(electionTicks / 4)),
        ),
        random: (bound) => this.#ports.random.below(bound),
      },
      persisted,
    );
  }

  // ---- What comes in ----

  #onMessage(message: RaftMessage): void {
    if (this.#closing !== undefined) return;
    if (this.#membership !== "joined") {
      if (this.#early.length < EARLY_MESSAGES_COUNT) this.#early.push(message);
      return;
    }
    this.#resignAfterStall();
    this.#raft.step(message);
    this.#follow();
  }

  #onHello(): void {
    this.#raft.setContacts(this.#peers.connected());
    if (this.#membership === "joined") this.#maybeCampaignAtStart();
    else this.#maybeForm();
  }

  #onLost(node: RaftNode): void {
    const { leader } = this.#raft;
    this.#raft.setContacts(this.#peers.connected());
    if (leader === undefined || leader.id !== node.id || this.#raft.role === "leader") return;
    if (leader.directoryId !== node.directoryId) return;
    // From now on the others' campaigns are welcome; the own one waits for the stream to come back.
    this.#raft.leaderUnreachable();
    const delayMs = this.#options.reconnectGraceMs + this.#ports.random.below(CAMPAIGN_JITTER_MS);
    this.#campaignAfter(delayMs, () => !this.#peers.isConnected(leader));
  }

  /**
   * A cluster that starts anew need not wait out an election timeout: as soon as a majority can be
   * reached and nobody leads, the voters ask for pre-votes, in the order of their ids. A live leader
   * that has not spoken to this node yet makes the others refuse.
   */
  #maybeCampaignAtStart(): void {
    const { voters, leader, role, self } = this.#raft;
    if (leader !== undefined || role !== "follower" || this.#campaignTimer !== undefined) return;
    const reachable = voters.filter((node) => this.#peers.isConnected(node)).length + 1;
    if (reachable < majorityCount(voters.length)) return;
    const rank = voters.findIndex((node) => node.id === self.id);
    this.#campaignAfter(rank * CAMPAIGN_JITTER_MS, () => true);
  }

  #campaignAfter(delayMs: number, isWanted: () => boolean): void {
    const { leader, term } = this.#raft;
    this.#campaignTimer?.cancel();
    const timer = this.#ports.timers.after(delayMs, () => {
      this.#campaignIfStill(() => {
        const raft = this.#raft;
        return raft.term === term && raft.leader?.id === leader?.id && isWanted();
      })
        .catch((error: unknown) => this.#ports.fatal("a campaign failed", error))
        .finally(() => {
          if (this.#campaignTimer === timer) this.#campaignTimer = undefined;
        });
    });
    this.#campaignTimer = timer;
  }

  /** The leader's words, or its new stream, may lie unread: they are heard before it is accused. */
  async #campaignIfStill(isWanted: () => boolean): Promise<void> {
    await this.#ports.timers.yield();
    await this.#ports.timers.yield();
    if (this.#closing !== undefined || !isWanted() || this.#raft.role !== "follower") return;
    this.#raft.campaign();
    this.#turns.schedule();
  }

  #onTick(): void {
    const nowMs = this.#ports.clock.monotonicMs();
    const elapsedMs = nowMs - this.#lastTickMs;
    this.#lastTickMs = nowMs;
    if (this.#closing !== undefined || this.#membership !== "joined") return;
    if (elapsedMs >= STALL_MS || this.#recovering) {
      this.#raft.stalled(Math.floor(elapsedMs / TICK_MS));
      this.#peers.forgiveSilence();
      this.#turns.schedule();
      if (!this.#recovering) {
        this.#recover().catch((error: unknown) => this.#ports.fatal("a tick failed", error));
      }
      return;
    }
    this.#tickDebtMs += elapsedMs;
    for (; this.#tickDebtMs >= TICK_MS; this.#tickDebtMs -= TICK_MS) this.#raft.tick();
    this.#afterTick(nowMs);
  }

  /** After a stall all timers run in a burst, before any socket is read: input goes first. */
  async #recover(): Promise<void> {
    this.#recovering = true;
    await this.#ports.timers.yield();
    await this.#ports.timers.yield();
    this.#recovering = false;
    if (this.#closing !== undefined) return;
    this.#tickDebtMs = 0;
    this.#raft.tick();
    this.#afterTick(this.#ports.clock.monotonicMs());
  }

  #afterTick(nowMs: number): void {
    const { role } = this.#raft;
    if (role === "leader") {
      if (this.#writing !== undefined && nowMs - this.#writing.sinceMs > STORAGE_HANG_MS) {
        this.#ports.logger.warn("The disk of the metadata log hangs: leadership is given up", {
          pendingMs: nowMs - this.#writing.sinceMs,
        });
        this.#raft.resign();
      } else this.#maybeReplaceVoter();
    }
    this.#endSilentStreams(nowMs - SILENCE_MS);
    this.#sender.forgetIdle(nowMs);
    this.#follow();
  }

  /**
   * Each node that gets the log owes its leader answers; to a node that misses its leader any voter
   * may owe the leader's words, or an answer to its campaigns.
   */
  #endSilentStreams(sinceMs: number): void {
    const { followers, leader, role, voters } = this.#raft;
    if (role === "leader") {
      this.#peers.endSilent(sinceMs, (node) =>
        followers.some((follower) => sameNode(follower.node, node)),
      );
    } else if (leader === undefined || !this.#peers.isHeardSince(leader, sinceMs)) {
      this.#peers.endSilent(sinceMs, (node) => includesNode(voters, node));
    }
  }

  /** A leader that stood still for an election timeout may have a successor: it says nothing more. */
  #resignAfterStall(): void {
    const silentMs = this.#ports.clock.monotonicMs() - this.#lastTickMs;
    if (silentMs < this.#options.electionTimeoutMs || this.#raft.role !== "leader") return;
    this.#raft.resign();
    this.#turns.schedule();
  }

  #maybeReplaceVoter(): void {
    const next = this.#raft.replacementStep(this.#options.voters.map(({ id }) => id));
    if (next === undefined) return;
    const result = this.#raft.proposeVoters(next);
    if ("index" in result) {
      this.#ports.logger.info("The voter set of the metadata quorum changes", {
        index: result.index,
        voters: next.map(({ id, directoryId }) => `${id}@${directoryId}`),
      });
    }
  }

  // ---- Forming a cluster ----

  #maybeForm(): void {
    if (this.#membership !== "unformed" || this.#closing !== undefined) return;
    const voterIds = this.#options.voters.map(({ id }) => id);
    const step = nextFormationStep(this.#raft.self, voterIds, this.#peers.hellos());
    switch (step.type) {
      case "wait":
        return;
      case "observe":
        this.#join();
        return;
      case "form":
        this.#membership = "forming";
        this.#form(step.voters).catch((error: unknown) => {
          this.#ports.fatal("the metadata log cannot be written", error);
        });
        return;
    }
  }

  async #form(voters: readonly RaftNode[]): Promise<void> {
    const persisted = await this.#log.form(voters);
    if (this.#closing !== undefined) return;
    this.#raft = this.#newRaft(persisted);
    this.#raft.setContacts(this.#peers.connected());
    this.#ports.logger.info("The metadata quorum has formed", {
      voters: voters.map(({ id, directoryId }) => `${id}@${directoryId}`),
    });
    this.#join();
    this.#maybeCampaignAtStart();
  }

  #join(): void {
    this.#membership = "joined";
    // Others that still wait adopt the formation from this hello, before any message behind it.
    this.#peers.sayHelloAgain();
    const early = this.#early;
    this.#early = [];
    for (const message of early) this.#raft.step(message);
    this.#turns.schedule();
  }

  // ---- What follows ----

  /** A turn, if one has anything to do: ticks and most answers leave nothing behind. */
  #follow(): void {
    if (this.#raft.hasReady || this.#roleMoved()) this.#turns.schedule();
  }

  /** Whether `#followRole` has anything to tell. */
  #roleMoved(): boolean {
    const raft = this.#raft;
    const leads = raft.role === "leader";
    const moved =
      this.#activeTerm === undefined
        ? leads && raft.hasOpenedTerm
        : !leads || raft.term !== this.#activeTerm;
    if (moved) return true;
    const { leaderId, term } = this.#announced;
    return (raft.leader?.id ?? NONE) !== leaderId || raft.term !== term;
  }

  #turn(): void {
    if (this.#closing !== undefined || this.#membership !== "joined") return;
    this.#followRole();
    const ready = this.#raft.ready();
    for (const message of ready.messages) this.#peers.send(message);
    for (const chunk of ready.chunks) {
      if (this.#peers.isConnected(chunk.to)) this.#sender.send(this.#raft.self, chunk);
    }
    if (ready.write !== undefined) this.#startWrite(ready.write);
    if (ready.committed.length > 0) {
      this.#apply(ready.committed);
      this.#maybeTakeSnapshot();
    }
    this.#followRole();
    // There may be more to apply than one turn should take.
    this.#follow();
  }

  #startWrite(write: RaftWrite): void {
    if (write.hardState === undefined) {
      this.#finishWrite(write);
      return;
    }
    const sinceMs = this.#ports.clock.monotonicMs();
    const done = this.#log
      .write(write)
      .then(
        () => {
          this.#writing = undefined;
          this.#observe("ottla_raft_write_duration_seconds", sinceMs);
          if (this.#closing === undefined) this.#finishWrite(write);
        },
        (error: unknown) => {
          if (this.#closing === undefined) {
            this.#ports.fatal("the metadata log cannot be written", error);
          }
        },
      )
      .catch((error: unknown) => this.#ports.fatal("the metadata log failed", error));
    this.#writing = { sinceMs, done };
  }

  #observe(name: HistogramName, sinceMs: number): void {
    const { clock, meter } = this.#ports;
    meter.observe(name, {}, (clock.monotonicMs() - sinceMs) / 1_000);
  }

  #finishWrite(write: RaftWrite): void {
    if (write.snapshot !== undefined) this.#load(write.snapshot);
    for (const message of this.#raft.advance(write)) this.#peers.send(message);
    this.#follow();
  }

  #load({ head, bytes }: SnapshotInstall): void {
    this.#options.stateMachine.load({ index: head.index, term: head.term, bytes });
    this.#appliedVoters = head.voters;
    this.#bytesSinceSnapshot = 0;
  }

  #apply(entries: readonly RaftEntry[]): void {
    this.#options.stateMachine.apply(
      entries.map(({ index, term, kind, payload }) => ({
        index,
        term,
        payload: kind === "data" ? payload : EMPTY_BYTES,
      })),
    );
    for (const entry of entries) {
      this.#bytesSinceSnapshot += entry.payload.length;
      const proposedMs = this.#proposals.applied(entry.index, entry.term);
      if (proposedMs !== undefined) this.#observe("ottla_raft_commit_duration_seconds", proposedMs);
      if (entry.kind === "config") this.#voterSetApplied(decodeVoters(entry.payload));
    }
  }

  #voterSetApplied(voters: readonly RaftNode[]): void {
    const before = this.#appliedVoters;
    this.#appliedVoters = voters;
    if (this.#raft.role !== "leader" || before.length === 0) return;
    for (const { id, directoryId } of voters) {
      if (includesNode(before, { id, directoryId })) continue;
      this.#options.stateMachine.voterReplaced(id, directoryId);
    }
  }

  /** Tells the state machine above what its node is, in this order: resign, leader, active. */
  #followRole(): void {
    const raft = this.#raft;
    const { stateMachine } = this.#options;
    const leads = raft.role === "leader";
    if (this.#activeTerm !== undefined && !(leads && raft.term === this.#activeTerm)) {
      this.#resign(new OttlaError("NOT_CONTROLLER", `Term ${this.#activeTerm} is over`));
    }
    const leaderId = raft.leader?.id ?? NONE;
    if (leaderId !== this.#announced.leaderId || raft.term !== this.#announced.term) {
      this.#announced = { leaderId, term: raft.term };
      if (leaderId !== NONE) {
        this.#ports.meter.count("ottla_raft_leader_changes_total", {}, 1);
        this.#campaignTimer?.cancel();
        this.#campaignTimer = undefined;
      }
      stateMachine.leaderChanged(leaderId, raft.term);
    }
    if (leads && this.#activeTerm === undefined && raft.hasOpenedTerm) {
      this.#activeTerm = raft.term;
      stateMachine.becomeActive(raft.term);
    }
  }

  #resign(error: OttlaError): void {
    if (this.#activeTerm === undefined) return;
    this.#activeTerm = undefined;
    this.#options.stateMachine.resign();
    this.#proposals.rejectAll(error);
  }

  #maybeTakeSnapshot(): void {
    if (this.#savingSnapshot || this.#bytesSinceSnapshot < this.#options.snapshotBytes) return;
    const bytes = this.#options.stateMachine.save();
    const head = this.#raft.snapshotHead(bytes.length);
    if (head === undefined) return;
    this.#bytesSinceSnapshot = 0;
    this.#savingSnapshot = true;
    this.#saveSnapshot({ head, bytes }).catch((error: unknown) => {
      if (this.#closing === undefined) {
        this.#ports.fatal("a snapshot of the metadata cannot be written", error);
      }
    });
  }

  async #saveSnapshot(snapshot: SnapshotInstall): Promise<void> {
    const { head } = snapshot;
    await this.#log.saveSnapshot(snapshot);
    this.#savingSnapshot = false;
    // A newer snapshot was installed meanwhile, and the log starts behind it.
    if (this.#closing !== undefined || this.#raft.baseIndex > head.index) return;
    const { trailingEntriesCount = LIMITS.raftTrailingEntriesCount } = this.#options;
    const index = Math.max(this.#raft.baseIndex, head.index - trailingEntriesCount);
    const term = this.#raft.termAt(index);
    if (term === undefined) return;
    this.#raft.compact(head, index);
    await this.#log.compact({ index, term });
  }
}
