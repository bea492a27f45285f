/**
 * The controller: every voter runs one, and the one whose node leads the metadata log is active.
 * One path for every change: decide on the speculative image, propose, await the commit, reply.
 */

import type { ControllerRequestName, ControllerRequests, ItemError } from "../metadata/commands.ts";
import {
  decideControlledShutdown,
  hasLeadersToMove,
} from "../metadata/decide/controlled-shutdown.ts";
import type { DecideContext, Decision } from "../metadata/decide/decision.ts";
import { decideBalance } from "../metadata/decide/elect-leaders.ts";
import { decideFenceBrokers } from "../metadata/decide/fence-brokers.ts";
import { decideFoundCluster } from "../metadata/decide/found-cluster.ts";
import { decideReconcile } from "../metadata/decide/reconcile.ts";
import { decideRegisterBroker } from "../metadata/decide/register-broker.ts";
import { decideAssignDirectories } from "../metadata/decide/replica-reports.ts";
import { decideUnfenceBroker } from "../metadata/decide/unfence-broker.ts";
import type { MetadataImage } from "../metadata/image.ts";
import type { MetadataRecord } from "../metadata/records.ts";
import type { ControllerDown, ControllerUp, Heartbeat } from "../metadata/session-messages.ts";
import type { BrokerConfig } from "../model/broker-config.ts";
import { OttlaError, toOttlaError } from "../model/errors.ts";
import { type BrokerId, type LogIndex, NONE, type Term, uuidFrom } from "../model/ids.ts";
import { LIMITS } from "../model/limits.ts";
import type { Timer } from "../ports/clock.ts";
import type { PeerStream } from "../ports/peer-network.ts";
import type { Ports } from "../ports/ports.ts";
import type { LeadershipListener, MetadataLoader } from "../runtime/metadata-loader.ts";
import type { MetadataLog } from "../runtime/metadata-log.ts";
import { ActiveTerm } from "./active-term.ts";
import { BrokerLiveness } from "./broker-liveness.ts";
import { countNoElections, reportChanges } from "./committed-changes.ts";
import { showCluster } from "./controller-metrics.ts";
import { DECISIONS, type DecidedRequestName } from "./decisions.ts";
import { describeQuorum } from "./quorum.ts";
import { HEARTBEAT, isRequestName, REQUEST_ENVELOPE, REQUEST_SHAPES } from "./request-shapes.ts";

export interface ControllerOptions {
  readonly ports: Ports;
  readonly config: BrokerConfig;
  /** The controller makes itself its leadership listener. */
  readonly loader: MetadataLoader;
  /** Asked from the first activation or session on, not before. */
  readonly log: () => MetadataLog;
}

type Stream = PeerStream<ControllerDown, ControllerUp>;

interface Session {
  readonly stream: Stream;
  /** The last one; who is at the other end stands in it. */
  heartbeat: Heartbeat | undefined;
}

const TICK_MS = 100;
/** A tick that comes this much late means that this process, not its peers, was silent. */
const STALL_MS = 200;
/** Partitions whose leaders are moved in one step of a controlled shutdown or of balancing. */
const STEP_PARTITIONS = 500;
const SESSIONS_MAX = 4_096;
const TIMER_MAX_MS = 2 ** 31 - 1;

export class Controller implements LeadershipListener {
  readonly #ports: Ports;
  readonly #config: BrokerConfig;
  readonly #loader: MetadataLoader;
  readonly #log: () => MetadataLog;
  readonly #liveness: BrokerLiveness;
  readonly #sessions = new Set<Session>();
  /** Brokers whose leaders are being moved away. */
  readonly #moving = new Set<BrokerId>();
  /** The metadata that a fenced broker must have applied to be unfenced. */
  readonly #unfenceFrom = new Map<BrokerId, LogIndex>();
  readonly #timers: readonly Timer[];
  #active: ActiveTerm | undefined;
  #leaderId: BrokerId = NONE;
  #term: Term = 0;
  #requestsInFlight = 0;
  #lastTickMs: number;
  /** Until then nobody is accused, because this process was stalled. */
  #graceUntilMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(options: ControllerOptions) {
    const { ports, config, loader } = options;
    this.#ports = ports;
    this.#config = config;
    this.#loader = loader;
    this.#log = options.log;
    this.#liveness = new BrokerLiveness({
      sessionTimeoutMs: config.sessionTimeoutMs,
      reconnectMs: config.sessionReconnectMs,
    });
    this.#lastTickMs = ports.clock.monotonicMs();
    const balanceMs = Math.min(config.leaderImbalanceCheckIntervalMs, TIMER_MAX_MS);
    this.#timers = [
      ports.timers.every(TICK_MS, () => this.#tick()),
      ...(config.autoLeaderRebalanceEnable
        ? [ports.timers.every(balanceMs, () => this.#balance())]
        : []),
    ];
    loader.setLeadershipListener(this);
    loader.subscribe((delta) => this.#sendStatusTo(delta.changedBrokers));
    countNoElections(ports.meter);
    ports.meter.onCollect((set) => {
      const active = this.#active !== undefined;
      set("kafka_controller_kafkacontroller_activecontrollercount", {}, active ? 1 : 0);
      const { index } = loader.image;
      set("kafka_controller_kafkacontroller_lastappliedrecordoffset", {}, index);
      const { commitIndex } = this.#log().status();
      set("kafka_controller_kafkacontroller_lastcommittedrecordoffset", {}, commitIndex);
      if (!active) return;
      set("ottla_controller_pending_requests", {}, this.#requestsInFlight);
      showCluster(set, loader.image);
    });
  }

  /** Whether this node is the active controller. */
  get active(): boolean {
    return this.#active !== undefined;
  }

  /** A broker's session with this voter. */
  accept(stream: Stream): void {
    if (this.#closed || this.#sessions.size >= SESSIONS_MAX) {
      stream.close();
      return;
    }
    const session: Session = { stream, heartbeat: undefined };
    this.#sessions.add(session);
    stream.onMessage = (message) => this.#onMessage(session, message);
    stream.onDrain = () => undefined;
    stream.onEnd = () => this.#onEnd(session);
  }

  becomeActive(term: Term): void {
    const { clock, logger, random } = this.#ports;
    const active = new ActiveTerm({
      term,
      sinceMs: clock.monotonicMs(),
      log: this.#log(),
      committedImage: () => this.#loader.image,
    });
    this.#active = active;
    this.#term = term;
    this.#leaderId = this.#config.nodeId;
    this.#unfenceFrom.clear();
    logger.info("this node is the active controller", { term });
    const { clusterId, properties } = this.#config;
    const records =
      active.image.metadataVersion === 0
        ? decideFoundCluster(clusterId ?? uuidFrom(random.bytes(16)), properties)
        : decideReconcile(active.image, properties);
    this.#change(active, "take over", records);
    this.#judge();
    for (const session of this.#sessions) this.#sendStatus(session);
  }

  resign(): void {
    if (this.#active === undefined) return;
    this.#active.end();
    this.#active = undefined;
    this.#ports.logger.info("this node is no longer the active controller", { term: this.#term });
    if (this.#closed) return;
    for (const session of this.#sessions) this.#sendStatus(session);
  }

  leaderChanged(leaderId: BrokerId, term: Term): void {
    this.#leaderId = leaderId;
    this.#term = term;
  }

  /** Ends all sessions. Idempotent. */
  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) timer.cancel();
    for (const { stream } of this.#sessions) stream.close();
    this.#sessions.clear();
    this.#active?.end();
  }

  #onMessage(session: Session, message: ControllerUp): void {
    if (this.#closed) return;
    try {
      if (message.type === "heartbeat") {
        this.#onHeartbeat(session, HEARTBEAT(message, "heartbeat"));
        return;
      }
      const { id } = REQUEST_ENVELOPE(message, "request");
      this.#answer(session, id, message).catch((error: unknown) => {
        this.#ports.fatal("a request to the controller could not be answered", error);
      });
    } catch (thrown) {
      if (!(thrown instanceof OttlaError)) throw thrown;
      this.#ports.logger.warn("a session was ended because of what it sent", {
        broker: session.heartbeat?.brokerId,
        reason: thrown.message,
      });
      session.stream.close();
      this.#onEnd(session);
    }
  }

  #onEnd(session: Session): void {
    if (!this.#sessions.delete(session)) return;
    const { clock, timers } = this.#ports;
    this.#liveness.ended(session, clock.monotonicMs());
    if (session.heartbeat === undefined) return;
    timers.after(this.#config.sessionReconnectMs, () => this.#judge());
  }

  #onHeartbeat(session: Session, heartbeat: Heartbeat): void {
    const { brokerId, incarnationId } = heartbeat;
    const earlier = session.heartbeat;
    if (earlier !== undefined && earlier.incarnationId !== incarnationId) {
      throw new OttlaError("INVALID_REQUEST", "a session belongs to one life of one broker", {
        field: "incarnationId",
      });
    }
    session.heartbeat = heartbeat;
    this.#liveness.heard(session, brokerId, incarnationId, this.#ports.clock.monotonicMs());
    const active = this.#active;
    if (active?.accepting === true) this.#consider(active, heartbeat);
    this.#sendStatus(session);
  }

  /** What a heartbeat asks for. */
  #consider(active: ActiveTerm, heartbeat: Heartbeat): void {
    const { brokerId, incarnationId, brokerEpoch, appliedIndex } = heartbeat;
    const broker = active.image.brokers.get(brokerId);
    if (broker?.incarnationId !== incarnationId || broker.epoch !== brokerEpoch) return;
    if (broker.fenced) {
      const from = this.#unfenceFrom.get(brokerId) ?? active.startIndex;
      if (heartbeat.wantFence || heartbeat.wantShutdown || appliedIndex < from) return;
      this.#ports.logger.info("unfencing a broker", { broker: brokerId, brokerEpoch });
      const { properties } = this.#config;
      this.#change(active, "unfence", decideUnfenceBroker(active.image, brokerId, properties));
    } else if (heartbeat.wantFence) {
      this.#fence(active, new Map([[brokerId, "it asked for it"]]));
    } else if (heartbeat.wantShutdown && !this.#moving.has(brokerId)) {
      if (broker.inControlledShutdown && !hasLeadersToMove(active.image, brokerId)) return;
      this.#moveLeaders(active, brokerId).catch((error: unknown) =>
        this.#failed("shutdown", error),
      );
    }
  }

  async #moveLeaders(active: ActiveTerm, brokerId: BrokerId): Promise<void> {
    this.#moving.add(brokerId);
    this.#ports.logger.info("moving leaders away from a broker that stops", { broker: brokerId });
    try {
      for (;;) {
        if (!active.accepting) return;
        const records = decideControlledShutdown(active.image, brokerId, {
          limit: STEP_PARTITIONS,
          properties: this.#config.properties,
        });
        if (records.length === 0) break;
        await this.#commit(active, records);
      }
    } finally {
      this.#moving.delete(brokerId);
    }
    this.#sendStatusTo(new Set([brokerId]));
  }

  #tick(): void {
    const nowMs = this.#ports.clock.monotonicMs();
    this.#noticeStall(nowMs);
    this.#lastTickMs = nowMs;
    this.#judge();
    const { brokers } = this.#loader.image;
    this.#liveness.forget(nowMs, (id, life) => brokers.get(id)?.incarnationId === life);
  }

  /**
   * After a stall of this process all timers are due before the sockets are read, and everybody
   * would look dead. What lies in the sockets is taken in first, and then one heartbeat is waited for.
   */
  #noticeStall(nowMs: number): void {
    const lateMs = nowMs - this.#lastTickMs - TICK_MS;
    if (lateMs <= STALL_MS) return;
    this.#ports.logger.warn("the event loop was stalled", { lateMs });
    this.#graceUntilMs = Number.POSITIVE_INFINITY;
    this.#drainInput().catch((error: unknown) => this.#failed("drain", error));
  }

  async #drainInput(): Promise<void> {
    const { timers, clock } = this.#ports;
    await timers.yield();
    await timers.yield();
    this.#graceUntilMs = clock.monotonicMs() + this.#config.heartbeatIntervalMs;
  }

  /** Fences whoever died, all in one proposal. */
  #judge(): void {
    const active = this.#active;
    if (active?.accepting !== true || this.#closed) return;
    const nowMs = this.#ports.clock.monotonicMs();
    this.#noticeStall(nowMs);
    if (nowMs < this.#graceUntilMs) return;
    const dead = new Map<BrokerId, string>();
    for (const { id, incarnationId, fenced } of active.image.brokers.values()) {
      if (fenced) continue;
      const verdict = this.#liveness.verdict(id, incarnationId, nowMs);
      if (verdict === "broken") dead.set(id, "its session broke and did not come back");
      else if (verdict === "silent") dead.set(id, "it was not heard for a session timeout");
      else if (verdict === "unheard" && nowMs - active.sinceMs > this.#config.sessionTimeoutMs) {
        dead.set(id, "it has not come to this controller");
      }
    }
    if (dead.size > 0) this.#fence(active, dead);
  }

  #fence(active: ActiveTerm, reasons: ReadonlyMap<BrokerId, string>): void {
    for (const [broker, reason] of reasons) {
      this.#ports.logger.warn("fencing a broker", { broker, reason });
    }
    const ids = [...reasons.keys()];
    const records = decideFenceBrokers(active.image, ids, this.#config.properties);
    this.#change(active, "fence", records, (index) => {
      for (const id of ids) this.#unfenceFrom.set(id, index);
    });
  }

  #balance(): void {
    const active = this.#active;
    if (active?.accepting !== true) return;
    const { properties } = this.#config;
    const records = decideBalance(active.image, { limit: STEP_PARTITIONS, properties });
    this.#change(active, "balance", records);
  }

  /** A change that nobody waits for. */
  #change(
    active: ActiveTerm,
    purpose: string,
    records: readonly MetadataRecord[],
    onCommitted?: (index: LogIndex) => void,
  ): void {
    if (records.length === 0) return;
    this.#commit(active, records)
      .then(onCommitted)
      .catch((error: unknown) => this.#failed(purpose, error));
  }

  async #commit(active: ActiveTerm, records: readonly MetadataRecord[]): Promise<LogIndex> {
    const before = active.image;
    const index = await active.propose(records);
    reportChanges(this.#ports, { before, after: this.#loader.image }, records);
    return index;
  }

  /** What this controller could not do, its successor or the next tick will. */
  #failed(purpose: string, error: unknown): void {
    if (error instanceof OttlaError) {
      this.#ports.logger.warn("a change was not made", { purpose, reason: error.message });
    } else if (!this.#closed) {
      this.#ports.fatal(`the controller could not ${purpose}`, error);
    }
  }

  async #answer(
    session: Session,
    id: number,
    { name, body }: Extract<ControllerUp, { readonly type: "request" }>,
  ): Promise<void> {
    this.#requestsInFlight++;
    let reply: ControllerDown;
    try {
      reply = { type: "reply", id, body: await this.#handle(name, body), error: null };
    } catch (thrown) {
      reply = { type: "reply", id, body: null, error: this.#errorOf(name, thrown) };
    } finally {
      this.#requestsInFlight--;
    }
    if (this.#sessions.has(session)) session.stream.send(reply);
  }

  #errorOf(name: string, thrown: unknown): ItemError {
    const { code, message, field } = toOttlaError(thrown);
    if (!(thrown instanceof OttlaError)) {
      this.#ports.logger.error("a request failed", { request: name, reason: message });
    }
    return field === undefined ? { code, message } : { code, message, field };
  }

  async #handle(name: ControllerRequestName, body: unknown): Promise<unknown> {
    if (!isRequestName(name)) {
      throw new OttlaError("INVALID_REQUEST", `there is no request ${String(name)}`, {
        field: "name",
      });
    }
    const active = this.#active;
    if (active?.accepting !== true) {
      throw new OttlaError("NOT_CONTROLLER", `node ${this.#config.nodeId} is not active`);
    }
    if (this.#requestsInFlight > LIMITS.controllerPendingCount) {
      throw new OttlaError(
        "LIMIT_EXCEEDED",
        `${LIMITS.controllerPendingCount} requests wait in the controller already`,
      );
    }
    switch (name) {
      case "describe-quorum":
        REQUEST_SHAPES[name](body, "");
        return describeQuorum(this.#log().status());
      case "register-broker":
        return this.#register(active, REQUEST_SHAPES[name](body, ""));
      case "assign-directories": {
        const request = REQUEST_SHAPES[name](body, "");
        const { index } = await this.#decided(active, (image) =>
          decideAssignDirectories(image, request, this.#context(0)),
        );
        return { index };
      }
      default:
        return this.#decide(active, name, body);
    }
  }

  async #register(
    active: ActiveTerm,
    request: ControllerRequests["register-broker"]["request"],
  ): Promise<ControllerRequests["register-broker"]["reply"]> {
    const { brokerId } = request;
    const { reply, index } = await this.#decided(active, (image) => {
      const known = image.brokers.get(brokerId)?.incarnationId;
      const nowMs = this.#ports.clock.monotonicMs();
      const alive =
        known !== undefined && this.#liveness.verdict(brokerId, known, nowMs) === "alive";
      return decideRegisterBroker(image, request, {
        ...this.#context(0),
        liveIncarnation: alive ? known : undefined,
      });
    });
    if (active === this.#active) this.#unfenceFrom.set(brokerId, index);
    return { ...reply, index };
  }

  async #decide<Name extends DecidedRequestName>(
    active: ActiveTerm,
    name: Name,
    body: unknown,
  ): Promise<ControllerRequests[Name]["reply"]> {
    const request = REQUEST_SHAPES[name](body, "");
    const topicsCount =
      name === "create-topics"
        ? (request as ControllerRequests["create-topics"]["request"]).topics.length
        : 0;
    const context = this.#context(Math.min(topicsCount, LIMITS.topicsPerRequestCount));
    const { reply } = await this.#decided(active, (image) =>
      DECISIONS[name](image, request, context),
    );
    return reply;
  }

  /** An answer rests on the speculative image, so it waits until that is committed, refusals too. */
  async #decided<Reply>(
    active: ActiveTerm,
    decide: (image: MetadataImage) => Decision<Reply>,
  ): Promise<{ readonly reply: Reply; readonly index: LogIndex }> {
    let decision: Decision<Reply>;
    try {
      decision = decide(active.image);
    } catch (refusal) {
      await active.committed();
      throw refusal;
    }
    const { records, reply } = decision;
    if (records.length > 0) return { reply, index: await this.#commit(active, records) };
    await active.committed();
    return { reply, index: this.#loader.image.index };
  }

  #context(topicsCount: number): DecideContext {
    const { random } = this.#ports;
    return {
      properties: this.#config.properties,
      votersCount: this.#config.voters.length,
      seed: random.below(2 ** 32),
      topicIds: Array.from({ length: topicsCount }, () => uuidFrom(random.bytes(16))),
    };
  }

  #sendStatusTo(brokers: ReadonlySet<BrokerId>): void {
    if (brokers.size === 0) return;
    for (const session of this.#sessions) {
      const { heartbeat } = session;
      if (heartbeat !== undefined && brokers.has(heartbeat.brokerId)) this.#sendStatus(session);
    }
  }

  #sendStatus({ stream, heartbeat }: Session): void {
    if (heartbeat === undefined) return;
    const active = this.#active;
    const wallMs = this.#ports.clock.wallMs();
    const status = { type: "status", leaderId: this.#leaderId, term: this.#term, wallMs } as const;
    if (active === undefined) {
      const nothing = { fenced: false, registered: false, mayShutDown: false };
      stream.send({ ...status, active: false, ...nothing });
      return;
    }
    const broker = this.#loader.image.brokers.get(heartbeat.brokerId);
    const registered = broker?.incarnationId === heartbeat.incarnationId;
    const fenced = registered && broker.fenced;
    const stopped =
      registered &&
      !this.#moving.has(heartbeat.brokerId) &&
      (fenced ||
        (broker.inControlledShutdown && !hasLeadersToMove(active.image, heartbeat.brokerId)));
    const mayShutDown = heartbeat.wantShutdown && stopped;
    stream.send({ ...status, active: true, registered, fenced, mayShutDown });
  }
}
