/**
 * One replica on this broker, for as long as it is assigned here: opens its log, turns it into a
 * leader or a follower as metadata says, and takes it offline and back after a storage error.
 *
 * Roles change in one turn. Work on the log that takes longer (opening, cutting) is exclusive:
 * while it runs the replica has no role, and what metadata said meanwhile is looked at afterwards.
 */
import type { PartitionState } from "../metadata/records.ts";
import { type ErrorCode, type OttlaError, toOttlaError } from "../model/errors.ts";
import { type BrokerId, type LeaderEpoch, type LogIndex, NONE, type Offset } from "../model/ids.ts";
import type { TopicConfig } from "../model/topic-config.ts";
import type { Ports } from "../ports/ports.ts";
import type { Logs, PartitionLog, ReplicaName } from "../storage/log.ts";
import { FollowerReplica, type LogChange } from "./follower-replica.ts";
import { LeaderReplica } from "./leader-replica.ts";

/** What metadata says of the replica. */
export interface Assignment {
  readonly state: PartitionState;
  readonly config: TopicConfig;
}

/** What the replica tells the rest of the broker; the replica manager implements it. */
export interface ReplicaOwner {
  readonly self: BrokerId;
  readonly logs: Logs;
  readonly lagTimeMaxMs: number;
  follow(replica: FollowerReplica): void;
  unfollow(replica: FollowerReplica): void;
  onFollowerDurable(replica: FollowerReplica): void;
  onLeaderStarted(replica: LeaderReplica): void;
  onIsrDue(replica: LeaderReplica): void;
  /** The log is open, for the first time or again. */
  onOnline(host: ReplicaHost): void;
  /** The log is offline; the host reopens it by itself. */
  onOffline(host: ReplicaHost, error: OttlaError): void;
  /** The disk takes nothing more: others are to lead and to be waited for. The log stays open. */
  onDiskFull(host: ReplicaHost): void;
  /** Of the metadata that its hosts were given. */
  readonly metadataIndex: LogIndex;
  /** Whether an unclean election may have given up committed records of this topic. */
  mayLoseCommitted(host: ReplicaHost): boolean;
}

export interface ReplicaHostOptions {
  readonly name: ReplicaName;
  readonly assignment: Assignment;
  /** Epochs up to this one are of an earlier life of the broker: never append in them. */
  readonly inheritedEpoch: LeaderEpoch;
  /** An earlier replica of the same name that is still being removed. */
  readonly after: Promise<void>;
}

/** A replica without space says so again if it is still, or again, in the ISR by then. */
const DISK_FULL_TOLD_MS = 2_000;
const REOPEN_FIRST_MS = 1_000;
const REOPEN_LONGEST_MS = 30_000;

export class ReplicaHost {
  readonly name: ReplicaName;
  /** Settles after the first attempt to open the log, well or not. */
  readonly firstOpened: Promise<void>;
  readonly #ports: Ports;
  readonly #owner: ReplicaOwner;
  readonly #abort = new AbortController();
  #assignment: Assignment;
  /** An opening of the log leads only in epochs above the last one that an earlier opening knew. */
  #inheritedEpoch: LeaderEpoch;
  /**
   * A log that lost records leads only by metadata of a controller that knows: from this index on.
   * Infinity while it does not. An older election took the log for whole.
   */
  #leadsFromIndex: LogIndex = 0;
  #log: PartitionLog | undefined;
  #leader: LeaderReplica | undefined;
  #follower: FollowerReplica | undefined;
  #highWatermark: Offset = 0;
  /** Exclusive work on the log: no role until it is over. */
  #work: Promise<void>;
  #working = true;
  #raisingStart: Promise<void> | undefined;
  #offline = false;
  #diskFullToldMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(ports: Ports, owner: ReplicaOwner, options: ReplicaHostOptions) {
    this.#ports = ports;
    this.#owner = owner;
    this.name = options.name;
    this.#assignment = options.assignment;
    this.#inheritedEpoch = options.inheritedEpoch;
    let opened = (): void => undefined;
    this.firstOpened = new Promise((resolve) => {
      opened = resolve;
    });
    this.#work = this.#open(options.after, opened).catch((error: unknown) => {
      ports.fatal("a replica could not be handled", error);
    });
  }

  get assignment(): Assignment {
    return this.#assignment;
  }
  get leader(): LeaderReplica | undefined {
    return this.#leader;
  }
  get follower(): FollowerReplica | undefined {
    return this.#follower;
  }
  /** Undefined while it is opened, or offline. */
  get log(): PartitionLog | undefined {
    return this.#log;
  }
  get offline(): boolean {
    return this.#offline;
  }
  /** The log lost records, and the controller has not heard of it. */
  get lossUntold(): boolean {
    return this.#leadsFromIndex === Number.POSITIVE_INFINITY;
  }
  get highWatermark(): Offset {
    const role = this.#leader ?? this.#follower;
    return role?.highWatermark ?? this.#highWatermark;
  }

  assign(assignment: Assignment): void {
    const configChanged = assignment.config !== this.#assignment.config;
    this.#assignment = assignment;
    if (configChanged) this.#log?.configure(assignment.config);
    this.#reconcile();
  }

  lossTold(index: LogIndex): void {
    if (!this.lossUntold) return;
    this.#leadsFromIndex = index;
    this.#reconcile();
  }

  /** Gives up its role and its log; with `remove` the log's data too. */
  async close(options: { readonly remove: boolean; readonly error: ErrorCode }): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#dropRole(options.error);
    this.#abort.abort();
    await this.#work;
    await this.#raisingStart;
    this.#log = undefined;
    if (options.remove) await this.#owner.logs.delete(this.name);
  }

  /**
   * Rolls and drops segments by the topic's retention, and forgets producers that were idle since
   * `producersIdleSinceMs`; nothing if the replica is offline or being changed.
   */
  async applyRetention(nowMs: number, producersIdleSinceMs: number): Promise<void> {
    const log = this.#log;
    if (log === undefined || this.#working) return;
    log.producers.expire(producersIdleSinceMs);
    const before = log.logStartOffset;
    await log.applyRetention(nowMs, this.highWatermark);
    if (log.logStartOffset > before) this.#leader?.onLogStartRaised();
  }

  /** Opens the log, again and again with pauses, until it is open or the host closed. */
  async #open(after: Promise<void>, opened: () => void): Promise<void> {
    this.#working = true;
    await after;
    let pauseMs = REOPEN_FIRST_MS;
    while (!this.#closed) {
      try {
        const log = await this.#owner.logs.open(this.name, this.#assignment.config, {
          rebuildable: this.#isDispensable(),
        });
        this.#adopt(log);
        opened();
        return;
      } catch (thrown) {
        this.#setOffline(toOttlaError(thrown));
        opened();
      }
      await this.#ports.timers.sleep(pauseMs, this.#abort.signal).catch(() => undefined);
      pauseMs = Math.min(pauseMs * 2, REOPEN_LONGEST_MS);
    }
    opened();
  }

  /**
   * Whether what is stored here may be given up for a copy of the leader's: nobody counts on it any
   * more. A member of ISR or ELR that set its log aside could be elected without it before the
   * controller hears, and might be the last who has what was acknowledged.
   */
  #isDispensable(): boolean {
    const { leader, isr, elr } = this.#assignment.state;
    const { self } = this.#owner;
    return leader !== NONE && leader !== self && !isr.includes(self) && !elr.includes(self);
  }

  #adopt(log: PartitionLog): void {
    if (this.#closed) return;
    this.#log = log;
    log.configure(this.#assignment.config);
    this.#highWatermark = Math.max(
      log.logStartOffset,
      Math.min(log.savedHighWatermark, log.durableEndOffset),
    );
    log.onDurable = () => {
      if (this.#log === log) this.#onDurable();
    };
    log.onFailure = (error) => {
      if (this.#log === log) this.#onFailure(error);
    };
    this.#working = false;
    this.#offline = false;
    this.#leadsFromIndex = this.#owner.logs.isLost(this.name) ? Number.POSITIVE_INFINITY : 0;
    this.#owner.onOnline(this);
    this.#reconcile();
  }

  #onDurable(): void {
    if (this.#leader !== undefined) this.#leader.onDurable();
    else if (this.#follower !== undefined) {
      this.#follower.advance();
      this.#owner.onFollowerDurable(this.#follower);
    }
  }

  /** What was appended may be there or not: only a verified reopening, in a newer epoch, may lead. */
  #onFailure(error: OttlaError): void {
    this.#inheritedEpoch = Math.max(this.#inheritedEpoch, this.#assignment.state.leaderEpoch);
    this.#dropRole("KAFKA_STORAGE_ERROR");
    this.#log = undefined;
    this.#setOffline(error);
    if (this.#closed || this.#working) return;
    this.#run(() =>
      this.#ports.timers
        .sleep(REOPEN_FIRST_MS, this.#abort.signal)
        .catch(() => undefined)
        .then(() => this.#open(Promise.resolve(), () => undefined)),
    );
  }

  /**
   * What is stored is sound and stays readable, so the log is not given up. But a leader that takes
   * no record must make room for one that does, and a follower must not hold up the high watermark
   * until the lag limit finds it. A sole member of the ISR stays: nobody else has the data.
   */
  #onDiskFull(): void {
    const { isr } = this.#assignment.state;
    const nowMs = this.#ports.clock.monotonicMs();
    if (isr.length < 2 || !isr.includes(this.#owner.self)) return;
    if (nowMs - this.#diskFullToldMs < DISK_FULL_TOLD_MS) return;
    this.#diskFullToldMs = nowMs;
    this.#owner.onDiskFull(this);
  }

  #setOffline(error: OttlaError): void {
    if (this.#closed) return;
    const first = !this.#offline;
    this.#offline = true;
    if (first) this.#owner.onOffline(this, error);
  }

  /** Takes the role that metadata says, if nothing stands against it. */
  #reconcile(): void {
    const log = this.#log;
    if (this.#closed || this.#working || log === undefined) return;
    const { state } = this.#assignment;
    const leads = state.leader === this.#owner.self;
    if (this.#leader !== undefined) {
      if (leads && this.#leader.leaderEpoch === state.leaderEpoch) {
        this.#leader.onMetadata(state, this.#assignment.config);
        return;
      }
      this.#dropRole("NOT_LEADER_OR_FOLLOWER");
    }
    if (this.#follower !== undefined) {
      const { leaderId, leaderEpoch } = this.#follower;
      if (leaderId === state.leader && leaderEpoch === state.leaderEpoch) return;
      this.#dropRole("NOT_LEADER_OR_FOLLOWER");
    }
    if (leads) this.#lead(log);
    else if (state.leader !== NONE) this.#followLeader(log);
  }

  #lead(log: PartitionLog): void {
    const { state, config } = this.#assignment;
    if (state.leaderEpoch <= this.#inheritedEpoch) return;
    if (this.#owner.metadataIndex < this.#leadsFromIndex) return;
    if (state.leaderEpoch <= log.epochs.latest) {
      this.#ports.logger.error("the log has a leader epoch that metadata has not reached", {
        topic: this.name.topic,
        partition: this.name.partition,
        leaderEpoch: state.leaderEpoch,
        logEpoch: log.epochs.latest,
      });
      return;
    }
    this.#leader = new LeaderReplica(this.#ports, {
      self: this.#owner.self,
      name: this.name,
      log,
      state,
      config,
      highWatermark: this.#highWatermark,
      lagTimeMaxMs: this.#owner.lagTimeMaxMs,
      onIsrDue: (replica) => this.#owner.onIsrDue(replica),
      onDiskFull: () => this.#onDiskFull(),
    });
    this.#owner.onLeaderStarted(this.#leader);
  }

  #followLeader(log: PartitionLog): void {
    const { state } = this.#assignment;
    const follower = new FollowerReplica(this.#ports, {
      name: this.name,
      log,
      leaderId: state.leader,
      leaderEpoch: state.leaderEpoch,
      highWatermark: this.#highWatermark,
      mayLoseCommitted: () => this.#owner.mayLoseCommitted(this),
      onChangeNeeded: (change) => this.#changeLog(follower, change),
      onLogStartDue: (offset) => this.#raiseLogStart(offset),
      onDiskFull: () => this.#onDiskFull(),
    });
    this.#follower = follower;
    this.#owner.follow(follower);
  }

  #dropRole(error: ErrorCode): void {
    this.#highWatermark = this.highWatermark;
    const leader = this.#leader;
    const follower = this.#follower;
    this.#leader = undefined;
    this.#follower = undefined;
    leader?.close(error);
    if (follower !== undefined) this.#owner.unfollow(follower);
  }

  /** The fetcher has let go of the follower; it is picked up again with the changed log. */
  #changeLog(follower: FollowerReplica, change: LogChange): void {
    if (this.#follower !== follower || change.action === "wait") return;
    const { log } = follower;
    this.#follower = undefined;
    this.#ports.logger.info("the log is changed to follow the leader", {
      topic: this.name.topic,
      partition: this.name.partition,
      action: change.action,
      offset: change.offset,
      logEndOffset: log.logEndOffset,
      leader: follower.leaderId,
      leaderEpoch: follower.leaderEpoch,
    });
    this.#run(async () => {
      try {
        await this.#raisingStart;
        if (change.action === "cut") await log.truncateTo(change.offset);
        else await log.resetTo(change.offset);
        if (this.#log !== log) return;
        follower.onLogChanged();
        this.#highWatermark = follower.highWatermark;
      } catch (thrown) {
        // A log that fails says so by `onFailure`; anything else takes it offline just the same.
        if (this.#log === log) this.#onFailure(toOttlaError(thrown));
      }
    });
  }

  /** Runs exclusive work; afterwards the replica takes the role that is due by then. */
  #run(work: () => Promise<void>): void {
    this.#working = true;
    this.#work = work()
      .then(() => {
        this.#working = false;
        if (this.#log === undefined && !this.#closed) {
          this.#run(() => this.#open(Promise.resolve(), () => undefined));
        } else this.#reconcile();
      })
      .catch((error: unknown) => {
        this.#ports.fatal("a replica could not be handled", error);
      });
  }

  #raiseLogStart(offset: Offset): void {
    const log = this.#log;
    if (log === undefined || this.#raisingStart !== undefined) return;
    this.#raisingStart = log
      .raiseLogStart(offset)
      .catch((thrown: unknown) => {
        const { code, message } = toOttlaError(thrown);
        this.#ports.logger.warn("the log start could not be raised", { code, message });
      })
      .then(() => {
        this.#raisingStart = undefined;
        if (this.#log !== log || this.#follower === undefined) return;
        this.#follower.advance();
        // The leader may have somebody wait for it.
        this.#owner.onFollowerDurable(this.#follower);
      });
  }
}
