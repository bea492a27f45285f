/**
 * A broker's side of its life in the cluster: session streams with heartbeats to every voter,
 * registration with the active one, and requests that wait out an election.
 *
 * Every voter is told that this broker lives, not only the active one, so that a new controller
 * judges by what it heard itself and need not grant a session timeout of grace.
 */
import type {
  ControllerRequestName,
  ControllerRequests,
  ItemError,
  RegisterBroker,
} from "../metadata/commands.ts";
import type { VoterAddress } from "../model/broker-config.ts";
import { OttlaError } from "../model/errors.ts";
import type { BrokerEpoch, BrokerId, IncarnationId, LogIndex } from "../model/ids.ts";
import { NONE } from "../model/ids.ts";
import type { Timer } from "../ports/clock.ts";
import type { Ports } from "../ports/ports.ts";
import { outOfStep } from "./clock-agreement.ts";
import { type Heartbeat, VoterLink } from "./voter-link.ts";

export interface ControllerSessionOptions {
  readonly brokerId: BrokerId;
  readonly incarnationId: IncarnationId;
  readonly voters: readonly VoterAddress[];
  readonly heartbeatIntervalMs: number;
  readonly sessionTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** `broker.clock.offset.max.ms`; 0: no clock is looked at. */
  readonly clockOffsetMaxMs: number;
  /** What to register with; asked at each attempt. */
  readonly registration: () => RegisterBroker;
  /** What heartbeats say of this broker; asked at each. */
  readonly condition: () => { readonly appliedIndex: LogIndex; readonly wantFence: boolean };
  /** Registered, or registered again: the registration is the entry `index` of the metadata log. */
  readonly onRegistered: (brokerEpoch: BrokerEpoch, index: LogIndex) => void;
}

/** Applying one of these twice is harmless, or guarded by epochs: retried after a broken stream. */
const REPEATABLE: ReadonlySet<ControllerRequestName> = new Set<ControllerRequestName>([
  "register-broker",
  "alter-partition",
  "alter-configs",
  "reassign-partitions",
  "elect-leaders",
  "allocate-producer-ids",
  "replicas-failed",
  "assign-directories",
  "describe-quorum",
]);

/** A first registration waits this many session timeouts for an earlier life to be given up. */
const DUPLICATE_GRACE_SESSIONS = 3;
/** Without a controller for so many session timeouts a stopping broker waits for none any more. */
const CONTROLLER_ABSENT_SESSIONS = 2;
/** Clocks are compared while the broker starts: one that is set later is somebody's decision. */
const CLOCKS_COMPARED_MS = 10_000;
/** What a timer can hold. */
const TIMEOUT_LONGEST_MS = 0x7fff_ffff;

export class ControllerSession {
  readonly #ports: Ports;
  readonly #options: ControllerSessionOptions;
  readonly #links: readonly VoterLink[];
  readonly #activeWaiters = new Set<() => void>();
  #brokerEpoch: BrokerEpoch = NONE;
  #registering = false;
  #duplicateSinceMs: number | undefined;
  #wantShutdown = false;
  #onMayShutDown: (() => void) | undefined;
  #ticker: Timer | undefined;
  #startedMs = 0;
  #lastTickMs = 0;
  #closed = false;

  constructor(ports: Ports, options: ControllerSessionOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#links = options.voters.map(
      (voter) =>
        new VoterLink(ports, {
          voter,
          heartbeat: () => this.#heartbeat(),
          onStatus: (link) => this.#onStatus(link),
        }),
    );
  }

  /** -1 until this life's registration was answered. */
  get brokerEpoch(): BrokerEpoch {
    return this.#brokerEpoch;
  }

  /** The active controller as far as this broker has heard; -1 unknown. */
  get activeId(): BrokerId {
    return this.#active()?.voter.id ?? NONE;
  }

  start(): void {
    this.#startedMs = this.#ports.clock.monotonicMs();
    this.#lastTickMs = this.#startedMs;
    for (const link of this.#links) link.open();
    this.#ticker = this.#ports.timers.every(this.#options.heartbeatIntervalMs, () => this.#tick());
  }

  /** At once, because something that heartbeats tell has changed. */
  sendHeartbeats(): void {
    if (this.#closed) return;
    for (const link of this.#links) link.sendHeartbeat();
  }

  /**
   * Asks the active controller; waits for one within `timeoutMs`, and asks its successor if it
   * refuses as not active. Rejects with the controller's error, NO_QUORUM if no active controller
   * was found, REQUEST_TIMED_OUT if the result is unknown, SHUTTING_DOWN once closed.
   */
  async request<Name extends ControllerRequestName>(
    name: Name,
    body: ControllerRequests[Name]["request"],
    timeoutMs: number,
  ): Promise<ControllerRequests[Name]["reply"]> {
    const deadlineMs = this.#ports.clock.monotonicMs() + Math.min(timeoutMs, TIMEOUT_LONGEST_MS);
    let asked = false;
    for (;;) {
      const link = this.#active() ?? (await this.#nextActive(deadlineMs));
      if (this.#closed) throw new OttlaError("SHUTTING_DOWN", "the broker is shutting down");
      const remainingMs = deadlineMs - this.#ports.clock.monotonicMs();
      if (link === undefined || remainingMs <= 0) throw this.#tooLate(name, timeoutMs, asked);
      asked = true;
      const outcome = await link.request(name, body, remainingMs);
      switch (outcome.kind) {
        case "reply":
          return outcome.body as ControllerRequests[Name]["reply"];
        case "error":
          if (outcome.error.code === "NOT_CONTROLLER") {
            link.demote();
            continue;
          }
          this.#checkStale(body, outcome.error);
          throw itemToError(outcome.error);
        case "timeout":
          throw this.#tooLate(name, timeoutMs, asked);
        case "broken":
          if (!REPEATABLE.has(name)) throw this.#tooLate(name, timeoutMs, asked);
      }
    }
  }

  /**
   * Begins the controlled shutdown: heartbeats ask for it until the controller has moved this
   * broker's leaders away. True once it agreed; false if `timeoutMs` passed first, or if there was
   * no active controller for so long that none will come: the last brokers of a cluster that is
   * stopped one by one have nobody to ask.
   */
  requestShutdown(timeoutMs: number): Promise<boolean> {
    this.#wantShutdown = true;
    if (this.#brokerEpoch === NONE) return Promise.resolve(false);
    const { heartbeatIntervalMs, sessionTimeoutMs } = this.#options;
    const { clock, timers } = this.#ports;
    return new Promise((resolve) => {
      let lastActiveMs = clock.monotonicMs();
      const deadlineMs = lastActiveMs + timeoutMs;
      const end = (moved: boolean): void => {
        this.#onMayShutDown = undefined;
        timer.cancel();
        resolve(moved);
      };
      const timer = timers.every(heartbeatIntervalMs, () => {
        const nowMs = clock.monotonicMs();
        if (this.#active() !== undefined) lastActiveMs = nowMs;
        const alone = nowMs - lastActiveMs >= CONTROLLER_ABSENT_SESSIONS * sessionTimeoutMs;
        if (alone || nowMs >= deadlineMs) end(false);
      });
      this.#onMayShutDown = () => end(true);
      this.sendHeartbeats();
    });
  }

  close(): void {
    this.#closed = true;
    this.#ticker?.cancel();
    for (const link of this.#links) link.close();
    this.#wakeWaiters();
  }

  #heartbeat(): Heartbeat {
    const { brokerId, incarnationId, condition } = this.#options;
    const { appliedIndex, wantFence } = condition();
    return {
      type: "heartbeat",
      brokerId,
      incarnationId,
      brokerEpoch: this.#brokerEpoch,
      appliedIndex,
      wantFence,
      wantShutdown: this.#wantShutdown,
    };
  }

  #tick(): void {
    const nowMs = this.#ports.clock.monotonicMs();
    // After a stall of this process every timer fires before the sockets are read: what looks like
    // the voters' silence was ours, so one round of input is granted before anybody is given up.
    const stalled = nowMs - this.#lastTickMs > 2 * this.#options.heartbeatIntervalMs;
    this.#lastTickMs = nowMs;
    if (!stalled) {
      for (const link of this.#links) link.dropIfSilent(this.#options.sessionTimeoutMs);
      this.sendHeartbeats();
      return;
    }
    // Nor does a heartbeat accuse this broker's own disk for it: what was written meanwhile is still
    // to be taken in, and would look as if it hung.
    this.#ports.timers.yield().then(
      () => this.sendHeartbeats(),
      (error: unknown) => this.#ports.fatal("a heartbeat failed", error),
    );
  }

  /** The one that says so in the highest term: a deposed one may not have heard of its fall yet. */
  #active(): VoterLink | undefined {
    let best: VoterLink | undefined;
    for (const link of this.#links) {
      if (link.status?.active !== true) continue;
      if (best?.status === undefined || link.status.term > best.status.term) best = link;
    }
    return best;
  }

  #nextActive(deadlineMs: number): Promise<VoterLink | undefined> {
    return new Promise((resolve) => {
      const delayMs = Math.max(0, deadlineMs - this.#ports.clock.monotonicMs());
      const wake = (): void => {
        timer.cancel();
        this.#activeWaiters.delete(wake);
        resolve(this.#active());
      };
      const timer = this.#ports.timers.after(delayMs, wake);
      if (this.#closed) wake();
      else this.#activeWaiters.add(wake);
    });
  }

  #onStatus(link: VoterLink): void {
    if (this.#closed) return;
    this.#compareClocks();
    const active = this.#active();
    if (active === undefined) return;
    this.#wakeWaiters();
    if (active !== link || active.status === undefined) return;
    // Only its answer tells the epoch, and that may have come too late, or from a controller that
    // fell and said no while its successor committed the registration: then it is asked for again.
    if (!active.status.registered || this.#brokerEpoch === NONE) {
      if (!this.#registering) this.#register().catch((error: unknown) => this.#fatal(error));
      return;
    }
    if (active.status.mayShutDown) this.#onMayShutDown?.();
  }

  #compareClocks(): void {
    const { brokerId, clockOffsetMaxMs: toleranceMs } = this.#options;
    const forMs = this.#ports.clock.monotonicMs() - this.#startedMs;
    if (toleranceMs === 0 || forMs > CLOCKS_COMPARED_MS) return;
    const readings = this.#links.flatMap(({ clockAheadMs, voter }) =>
      clockAheadMs === undefined || voter.id === brokerId
        ? []
        : [{ voterId: voter.id, aheadMs: clockAheadMs }],
    );
    const verdict = outOfStep(readings, { votersCount: this.#links.length, toleranceMs });
    if (verdict === undefined) return;
    const seconds = Math.round(Math.abs(verdict.aheadMs) / 1_000);
    const where = verdict.aheadMs > 0 ? "behind" : "ahead of";
    const whose = `voters ${verdict.voterIds.join(", ")}`;
    this.#fatal(
      new OttlaError(
        "CLOCK_OUT_OF_STEP",
        `this clock is ${seconds} s ${where} that of ${whose}; broker.clock.offset.max.ms is ${toleranceMs}`,
        { field: "broker.clock.offset.max.ms" },
      ),
    );
  }

  #wakeWaiters(): void {
    for (const wake of [...this.#activeWaiters]) wake();
  }

  /** One attempt; without an epoch, or registered no more, the next status makes another. */
  async #register(): Promise<void> {
    this.#registering = true;
    try {
      const { requestTimeoutMs, registration } = this.#options;
      const reply = await this.request("register-broker", registration(), requestTimeoutMs);
      this.#duplicateSinceMs = undefined;
      this.#brokerEpoch = reply.brokerEpoch;
      this.#options.onRegistered(reply.brokerEpoch, reply.index);
      this.sendHeartbeats();
    } catch (thrown) {
      if (!(thrown instanceof OttlaError)) throw thrown;
      this.#onRegistrationRefused(thrown);
    } finally {
      this.#registering = false;
    }
  }

  /**
   * After a quick restart the controller may still believe in the earlier life: its session has to
   * run out. A life that had registered before, though, was followed by a newer one.
   */
  #onRegistrationRefused(error: OttlaError): void {
    if (this.#closed) return;
    if (error.code === "DUPLICATE_BROKER_REGISTRATION" && this.#brokerEpoch === NONE) {
      const nowMs = this.#ports.clock.monotonicMs();
      this.#duplicateSinceMs ??= nowMs;
      const graceMs = DUPLICATE_GRACE_SESSIONS * this.#options.sessionTimeoutMs;
      if (nowMs - this.#duplicateSinceMs < graceMs) return;
    } else if (error.retriable || error.code === "SHUTTING_DOWN") {
      this.#ports.logger.debug("registration will be tried again", { code: error.code });
      return;
    }
    this.#fatal(error);
  }

  /** Only a newer life of this broker makes the epoch that it registered with stale. */
  #checkStale(body: unknown, error: ItemError): void {
    if (error.code !== "STALE_BROKER_EPOCH" || this.#registering) return;
    if (this.#brokerEpoch === NONE) return;
    const { brokerEpoch } = body as { readonly brokerEpoch?: BrokerEpoch };
    if (brokerEpoch === this.#brokerEpoch) this.#fatal(itemToError(error));
  }

  #fatal(error: unknown): void {
    if (this.#closed) return;
    const why = error instanceof Error ? error.message : String(error);
    this.#ports.fatal(`the cluster does not take this broker: ${why}`, error);
  }

  #tooLate(name: ControllerRequestName, timeoutMs: number, asked: boolean): OttlaError {
    return asked
      ? new OttlaError(
          "REQUEST_TIMED_OUT",
          `${name} was not answered by the active controller within ${timeoutMs} ms`,
        )
      : new OttlaError("NO_QUORUM", `no active controller was found within ${timeoutMs} ms`);
  }
}

export function itemToError(error: ItemError): OttlaError {
  return new OttlaError(
    error.code,
    error.message,
    error.field === undefined ? {} : { field: error.field },
  );
}
