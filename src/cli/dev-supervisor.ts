/** The brokers of `ottla dev`: started together, started again when they die, stopped together. */
import { join } from "node:path";
import { type BrokerExit, BrokerProcess } from "../main/broker-process.ts";
import {
  isPortFree,
  LOOPBACK,
  type LocalBroker,
  localBrokerProperties,
  localBrokers,
  votersCountOf,
} from "../main/local-cluster.ts";
import { OttlaError } from "../model/errors.ts";
import type { BrokerId } from "../model/ids.ts";

export interface DevOptions {
  readonly brokersCount: number;
  readonly dataDirectory: string;
  readonly portOffset: number;
  readonly restart: boolean;
}

/** What happens, as `--output json` prints it. */
export type DevEvent =
  | { readonly event: "broker-started"; readonly broker: BrokerId; readonly pid: number }
  | { readonly event: "broker-ready"; readonly broker: BrokerId; readonly pid: number }
  | {
      readonly event: "broker-exited";
      readonly broker: BrokerId;
      readonly pid: number;
      readonly code: number | null;
      readonly signal: string | null;
      /** What the broker said about it, if it refused to start. */
      readonly reason: string | null;
      /** Null: it is not started again. */
      readonly restartInMs: number | null;
    }
  | {
      readonly event: "leader-changed";
      readonly topic: string;
      readonly partition: number;
      /** -1: none. */
      readonly leader: BrokerId;
      readonly previousLeader: BrokerId;
      readonly leaderEpoch: number;
    }
  | {
      readonly event: "ready";
      readonly bootstrapServers: readonly string[];
      readonly kafkaBootstrapServers: readonly string[];
    }
  | { readonly event: "stopped" };

/** Long enough to see what the others do without it. */
const RESTART_MS = 3_000;
/** A broker that cannot start is tried ever more rarely. */
const RESTART_MAX_MS = 30_000;
const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 15_000;

interface Member {
  readonly broker: LocalBroker;
  process: BrokerProcess | undefined;
  /** Starts in a row that did not get ready. */
  failures: number;
  restart: NodeJS.Timeout | undefined;
}

export class DevSupervisor {
  readonly #options: DevOptions;
  readonly #members: readonly Member[];
  readonly #report: (event: DevEvent) => void;
  #started = false;
  #stopping = false;

  constructor(options: DevOptions, report: (event: DevEvent) => void) {
    this.#options = options;
    this.#report = report;
    this.#members = localBrokers(options.brokersCount, options.portOffset).map((broker) => ({
      broker,
      process: undefined,
      failures: 0,
      restart: undefined,
    }));
  }

  get bootstrapServers(): readonly string[] {
    return this.#members.map(({ broker }) => `${LOOPBACK}:${broker.grpcPort}`);
  }

  get kafkaBootstrapServers(): readonly string[] {
    return this.#members.map(({ broker }) => `${LOOPBACK}:${broker.kafkaPort}`);
  }

  /** Settles when every broker is ready; rejects, with all of them stopped, if one cannot start. */
  async start(): Promise<void> {
    await this.#refusePortsInUse();
    try {
      await withDeadline(Promise.all(this.#members.map((member) => this.#launch(member).ready)));
    } catch (thrown) {
      await this.stop();
      throw thrown;
    }
    this.#started = true;
    const { bootstrapServers, kafkaBootstrapServers } = this;
    this.#report({ event: "ready", bootstrapServers, kafkaBootstrapServers });
  }

  /** Asks every broker to stop; called again, it kills them. */
  async stop(): Promise<void> {
    if (this.#stopping) {
      for (const { process } of this.#members) process?.kill("SIGKILL");
    }
    this.#stopping = true;
    for (const { restart } of this.#members) clearTimeout(restart);
    await Promise.all(this.#members.map(({ process }) => process?.stop(STOP_TIMEOUT_MS)));
  }

  /** Settles when no broker runs and none will be started. */
  async stopped(): Promise<void> {
    await Promise.all(this.#members.map(({ process }) => process?.exited));
  }

  #launch(member: Member): BrokerProcess {
    const { id } = member.broker;
    const directory = this.#directoryOf(id);
    const properties = localBrokerProperties({
      broker: member.broker,
      brokers: this.#members.map(({ broker }) => broker),
      votersCount: votersCountOf(this.#members.length),
      logDirs: [join(directory, "data")],
    });
    properties.set("auto.create.topics.enable", "true");
    const process = BrokerProcess.start({ id, directory, properties });
    member.process = process;
    this.#report({ event: "broker-started", broker: id, pid: process.pid });
    process.ready.then(
      () => {
        member.failures = 0;
        this.#report({ event: "broker-ready", broker: id, pid: process.pid });
      },
      () => {
        member.failures++;
      },
    );
    process.exited.then(
      (exit) => this.#exited(member, process, exit),
      () => undefined,
    );
    return process;
  }

  #exited(member: Member, process: BrokerProcess, exit: BrokerExit): void {
    if (this.#stopping) return;
    const delayMs = Math.min(RESTART_MS * 2 ** member.failures, RESTART_MAX_MS);
    const restartInMs = this.#started && this.#options.restart ? delayMs : null;
    const { id } = member.broker;
    this.#report({
      event: "broker-exited",
      broker: id,
      pid: process.pid,
      code: exit.code,
      signal: exit.signal,
      reason: process.refusal?.message ?? null,
      restartInMs,
    });
    if (restartInMs !== null) {
      member.restart = setTimeout(() => {
        this.#launch(member);
      }, restartInMs);
    }
  }

  #directoryOf(id: BrokerId): string {
    return join(this.#options.dataDirectory, `broker-${id}`);
  }

  /** Before anything is written: the usual cause is a second `ottla dev`. */
  async #refusePortsInUse(): Promise<void> {
    for (const { broker } of this.#members) {
      for (const port of [
        broker.kafkaPort,
        broker.grpcPort,
        broker.httpPort,
        broker.internalPort,
      ]) {
        if (await isPortFree(port)) continue;
        throw new OttlaError(
          "PORT_IN_USE",
          `port ${port} of broker ${broker.id} on ${LOOPBACK} is in use; --port-offset is ${this.#options.portOffset}`,
          { field: "--port-offset" },
        );
      }
    }
  }
}

async function withDeadline(started: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const message = `the brokers were not ready after ${READY_TIMEOUT_MS} ms; see broker-N/broker.log in the data directory`;
      reject(new OttlaError("BROKER_NOT_AVAILABLE", message));
    }, READY_TIMEOUT_MS);
  });
  try {
    await Promise.race([started, late]);
  } finally {
    clearTimeout(timer);
  }
}
