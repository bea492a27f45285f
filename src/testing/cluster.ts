import { rmSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { BrokerProcess } from "../main/broker-process.ts";
import {
  freePorts,
  LOOPBACK,
  type LocalBroker,
  localBrokerProperties,
  votersCountOf,
} from "../main/local-cluster.ts";
import { OttlaError, toOttlaError } from "../model/errors.ts";
import type { BrokerId } from "../model/ids.ts";
import { makeTemporaryDirectory } from "./temporary-directory.ts";

export interface StartClusterOptions {
  /** Brokers, with ids from 1; of [1, 100]. Default 3. */
  readonly brokers?: number;
  /** How many of them, the first ones, vote. Default 3, or 1 of fewer than three brokers. */
  readonly voters?: number;
  /** Broker properties by Kafka's names, for every broker; they win over the cluster's own. */
  readonly properties?: Readonly<Record<string, string>>;
  /** Properties of single brokers, by id; they win over `properties`. */
  readonly brokerProperties?: Readonly<Record<number, Readonly<Record<string, string>>>>;
  /** Where data, configuration and logs lie; kept at the end. Default: a temporary one, removed. */
  readonly directory?: string;
  /** How long all brokers may take to become ready. Default 30,000 ms. */
  readonly startTimeoutMs?: number;
  /** Arguments for `node` itself, e.g. `--cpu-prof`. Default: none. */
  readonly nodeArguments?: readonly string[];
}

export interface StopOptions {
  /**
   * True: SIGTERM, so that logs are flushed and closed, then SIGKILL after `timeoutMs`. Default:
   * false for a temporary directory, which nobody will read again, true for a given one.
   */
  readonly graceful?: boolean;
  /** Default 45,000 ms. */
  readonly timeoutMs?: number;
}

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 45_000;
/** Somebody else may take a free port before the broker does: other ports are tried. */
const START_TRIES = 4;
const LOG_TAIL_LINES = 40;
const PORTS_PER_BROKER = 4;

interface Member {
  readonly broker: LocalBroker;
  readonly directory: string;
  readonly properties: ReadonlyMap<string, string>;
  process: BrokerProcess | undefined;
}

/**
 * Real brokers as child processes of this one, on free ports of 127.0.0.1. They end with
 * `stop()`, at the end of an `await using` block, and when this process dies.
 */
export class Cluster implements AsyncDisposable {
  readonly directory: string;
  readonly #temporary: boolean;
  readonly #members: ReadonlyMap<BrokerId, Member>;
  readonly #nodeArguments: readonly string[];
  readonly #startTimeoutMs: number;

  private constructor(
    directory: string,
    members: ReadonlyMap<BrokerId, Member>,
    options: StartClusterOptions,
  ) {
    this.directory = directory;
    this.#temporary = options.directory === undefined;
    this.#members = members;
    this.#nodeArguments = options.nodeArguments ?? [];
    this.#startTimeoutMs = options.startTimeoutMs ?? START_TIMEOUT_MS;
    process.once("exit", this.#onProcessExit);
  }

  /** Only what is synchronous runs here. */
  readonly #onProcessExit = (): void => {
    for (const { process: broker } of this.#members.values()) broker?.kill("SIGKILL");
    if (this.#temporary) {
      rmSync(this.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
    }
  };

  /** Settles once every broker is unfenced: a write to three replicas can be acknowledged. */
  static async start(options: StartClusterOptions = {}): Promise<Cluster> {
    for (let tries = 1; ; tries++) {
      const cluster = await Cluster.#make(options);
      try {
        await Promise.all([...cluster.#members.keys()].map((id) => cluster.startBroker(id)));
        return cluster;
      } catch (thrown) {
        await cluster.stop({ graceful: false });
        if (toOttlaError(thrown).code !== "PORT_IN_USE" || tries === START_TRIES) throw thrown;
      }
    }
  }

  static async #make(options: StartClusterOptions): Promise<Cluster> {
    const count = options.brokers ?? 3;
    if (!Number.isInteger(count) || count < 1 || count > 100) {
      throw new OttlaError("INVALID_ARGUMENT", `brokers is ${count}; it must be 1 to 100`, {
        field: "brokers",
      });
    }
    const votersCount = options.voters ?? votersCountOf(count);
    const directory = options.directory ?? (await makeTemporaryDirectory());
    await mkdir(directory, { recursive: true });
    const ports = await freePorts(count * PORTS_PER_BROKER);
    const brokers: readonly LocalBroker[] = Array.from({ length: count }, (_, index) => ({
      id: index + 1,
      grpcPort: ports[index * PORTS_PER_BROKER] as number,
      httpPort: ports[index * PORTS_PER_BROKER + 1] as number,
      internalPort: ports[index * PORTS_PER_BROKER + 2] as number,
      kafkaPort: ports[index * PORTS_PER_BROKER + 3] as number,
    }));
    const members = new Map<BrokerId, Member>();
    for (const broker of brokers) {
      const brokerDirectory = join(directory, `broker-${broker.id}`);
      const properties = localBrokerProperties({
        broker,
        brokers,
        votersCount,
        logDirs: [join(brokerDirectory, "data")],
      });
      const own = { ...options.properties, ...options.brokerProperties?.[broker.id] };
      for (const [key, value] of Object.entries(own)) properties.set(key, value);
      members.set(broker.id, {
        broker,
        directory: brokerDirectory,
        properties,
        process: undefined,
      });
    }
    return new Cluster(directory, members, options);
  }

  /** `host:port` of every broker, whether it runs or not. */
  get bootstrapServers(): readonly string[] {
    return [...this.#members.values()].map(({ broker }) => `${LOOPBACK}:${broker.grpcPort}`);
  }

  /** The same for clients of Kafka's protocol. */
  get kafkaBootstrapServers(): readonly string[] {
    return [...this.#members.values()].map(({ broker }) => `${LOOPBACK}:${broker.kafkaPort}`);
  }

  get brokerIds(): readonly BrokerId[] {
    return [...this.#members.keys()];
  }

  isRunning(id: BrokerId): boolean {
    return this.#member(id).process?.running === true;
  }

  /** Of the running process; undefined if the broker does not run. */
  pidOf(id: BrokerId): number | undefined {
    const { process } = this.#member(id);
    return process?.running === true ? process.pid : undefined;
  }

  portsOf(id: BrokerId): Omit<LocalBroker, "id"> {
    const { kafkaPort, grpcPort, httpPort, internalPort } = this.#member(id).broker;
    return { kafkaPort, grpcPort, httpPort, internalPort };
  }

  /** The broker's `log.dirs`, in order. */
  logDirsOf(id: BrokerId): readonly string[] {
    return (this.#member(id).properties.get("log.dirs") as string).split(",");
  }

  /** Everything that the broker logged, in all its lives; the newest `linesCount` lines. */
  logOf(id: BrokerId, linesCount = Number.MAX_SAFE_INTEGER): string {
    return this.#member(id).process?.logTail(linesCount) ?? "";
  }

  /** Starts a broker that does not run; settles once it is unfenced. */
  async startBroker(id: BrokerId): Promise<void> {
    const member = this.#member(id);
    if (member.process?.running === true) {
      throw new OttlaError("INVALID_REQUEST", `broker ${id} runs already`);
    }
    member.process = BrokerProcess.start({
      id,
      directory: member.directory,
      properties: member.properties,
      nodeArguments: this.#nodeArguments,
    });
    await this.#untilReady(member.process);
  }

  /** kill -9; settles once the process is gone. */
  async killBroker(id: BrokerId): Promise<void> {
    const broker = this.#running(id);
    broker.kill("SIGKILL");
    await broker.exited;
  }

  /** SIGTERM: a controlled shutdown; settles once the process is gone. Returns its exit code. */
  async stopBroker(id: BrokerId, options: StopOptions = {}): Promise<number | null> {
    const exit = await this.#running(id).stop(options.timeoutMs ?? STOP_TIMEOUT_MS);
    return exit.code;
  }

  /** SIGSTOP: the process keeps its connections and says nothing. */
  freezeBroker(id: BrokerId): void {
    this.#running(id).kill("SIGSTOP");
  }

  /** SIGCONT. */
  thawBroker(id: BrokerId): void {
    this.#running(id).kill("SIGCONT");
  }

  /** Removes all data of a broker that does not run, as if its disk had been replaced. */
  async wipeBroker(id: BrokerId): Promise<void> {
    if (this.isRunning(id)) throw new OttlaError("INVALID_REQUEST", `stop broker ${id} first`);
    for (const directory of this.logDirsOf(id)) {
      await rm(directory, { recursive: true, force: true });
    }
  }

  /** Stops every broker; a temporary directory is removed. Idempotent. */
  async stop(options: StopOptions = {}): Promise<void> {
    const graceful = options.graceful ?? !this.#temporary;
    const processes = [...this.#members.values()].flatMap(({ process }) =>
      process?.running === true ? [process] : [],
    );
    await Promise.all(
      processes.map(async (broker) => {
        broker.kill("SIGCONT");
        if (graceful) await broker.stop(options.timeoutMs ?? STOP_TIMEOUT_MS);
        else {
          broker.kill("SIGKILL");
          await broker.exited;
        }
      }),
    );
    if (this.#temporary) await rm(this.directory, { recursive: true, force: true });
    process.off("exit", this.#onProcessExit);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #member(id: BrokerId): Member {
    const member = this.#members.get(id);
    if (member === undefined) {
      throw new OttlaError(
        "INVALID_ARGUMENT",
        `broker is ${id}; this cluster has ${this.brokerIds.join(", ")}`,
        { field: "broker" },
      );
    }
    return member;
  }

  #running(id: BrokerId): BrokerProcess {
    const { process } = this.#member(id);
    if (process?.running !== true) {
      throw new OttlaError("INVALID_REQUEST", `broker ${id} does not run`);
    }
    return process;
  }

  async #untilReady(broker: BrokerProcess): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const tail = broker.logTail(LOG_TAIL_LINES);
        const message = `broker ${broker.id} is not ready after ${this.#startTimeoutMs} ms; the end of its log:\n${tail}`;
        reject(new OttlaError("BROKER_NOT_AVAILABLE", message));
      }, this.#startTimeoutMs);
    });
    try {
      await Promise.race([broker.ready, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
