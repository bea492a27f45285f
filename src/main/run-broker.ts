/**
 * One broker as a process: wires the parts together, obeys signals, and ends with an exit code.
 * The only place that knows all of them.
 */

import { NodeByteStreams } from "../adapters/node-byte-streams.ts";
import { createNodePorts, FATAL_EXIT_CODE, type NodePorts } from "../adapters/node-ports.ts";
import { registerProcessMetrics } from "../adapters/process-metrics.ts";
import { startGrpcServer } from "../api/grpc/server.ts";
import { startHttpServer } from "../api/http/server.ts";
import { KafkaDoor } from "../api/kafka/door.ts";
import { Broker } from "../broker/broker.ts";
import { brokerExitCodeOf } from "../cli/exit-codes.ts";
import { formatInOneLine } from "../cli/output.ts";
import { version } from "../cli/version.ts";
import type { BrokerConfig, Listener } from "../model/broker-config.ts";
import { toOttlaError } from "../model/errors.ts";
import type { Logger } from "../ports/logger.ts";
import type { BrokerMessage } from "./broker-process.ts";
import { checkMachine } from "./preflight.ts";

export interface RunBrokerOptions {
  /** Stop when the IPC channel to the parent process breaks. */
  readonly exitWithParent: boolean;
  /** Settings that were given and do nothing: the log tells of them. Default: none. */
  readonly withoutEffect?: readonly string[];
}

/** How often a starting broker is asked whether it is ready. */
const READY_POLL_MS = 20;
/** What closing logs and doors may take beyond `controlled.shutdown.max.ms`. */
const STOP_SLACK_MS = 10_000;
/** A broker whose parent was killed has nobody who waits for it. */
const ORPHAN_STOP_MS = 5_000;
const EXIT_DEFECT = 1;
/** What a shell reports of a process that SIGTERM ended. */
const EXIT_AT_ONCE = 143;

/**
 * Runs until a signal stops it; settles with the process's exit code. Rejects with what keeps the
 * broker from starting, nothing left running. A second signal ends the process at once.
 */
export async function runBroker(config: BrokerConfig, options: RunBrokerOptions): Promise<number> {
  const ports = createNodePorts({ brokerId: config.nodeId, onFatal: endOf });
  const { logger } = ports;
  dieOfDefects(logger);
  const stop = stopRequests(logger, options);
  const { withoutEffect = [] } = options;
  if (withoutEffect.length > 0) logger.warn("settings without effect", { settings: withoutEffect });
  try {
    await checkMachine(config);
    const running = await RunningBroker.start(ports, config);
    const ready = running.announceReady();
    const reason = await stop.requested;
    logger.info("the broker stops", { reason });
    ready.cancel();
    const clean = await running.stop(
      reason === "parent" ? ORPHAN_STOP_MS : config.controlledShutdownMaxMs + STOP_SLACK_MS,
    );
    logger.info("the broker has stopped", { clean });
    return 0;
  } catch (thrown) {
    const { action, code, message } = toOttlaError(thrown);
    // A refusal is whole without the stack; a defect is not.
    const why =
      code === "UNKNOWN_SERVER_ERROR" ? { error: thrown } : { code, reason: message, action };
    logger.error("the broker cannot start", why);
    tellParent({ type: "failed", code, message });
    throw thrown;
  }
}

/** A broker and its doors. */
class RunningBroker {
  readonly #broker: Broker;
  readonly #doors: readonly Door[];

  private constructor(broker: Broker, doors: readonly Door[]) {
    this.#broker = broker;
    this.#doors = doors;
  }

  static async start(ports: NodePorts, config: BrokerConfig): Promise<RunningBroker> {
    registerProcessMetrics(ports.meter, { version: version(), listeners: config.listeners });
    const broker = await Broker.start(ports, config);
    const doors: Door[] = [];
    try {
      const streams = new NodeByteStreams(ports.logger);
      const kafka = new KafkaDoor({ broker, ports, streams, config });
      for (const listener of config.listeners) {
        const door = await openDoor({ broker, ports, config, listener, kafka });
        if (door !== undefined) doors.push(door);
      }
      return new RunningBroker(broker, doors);
    } catch (thrown) {
      await Promise.all(doors.map((door) => door.close()));
      await broker.shutdown({ controlled: false });
      throw thrown;
    }
  }

  /** Tells a parent process once the broker is unfenced. */
  announceReady(): { cancel(): void } {
    if (process.send === undefined) return { cancel: () => undefined };
    const timer = setInterval(() => {
      if (!this.#broker.health().ready) return;
      clearInterval(timer);
      tellParent({ type: "ready" });
    }, READY_POLL_MS);
    return { cancel: () => clearInterval(timer) };
  }

  /** Leaders move while the doors still answer; true if all of it was done within `timeoutMs`. */
  async stop(timeoutMs: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), timeoutMs);
    });
    try {
      return await Promise.race([this.#stop(), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #stop(): Promise<true> {
    await this.#broker.shutdown();
    // Metrics and health are told until the last client has gone.
    for (const door of this.#doors) await door.close();
    return true;
  }
}

interface Door {
  close(): Promise<void>;
}

/** Undefined for the listener of the other brokers, which the broker itself opens. */
async function openDoor(options: {
  readonly broker: Broker;
  readonly ports: NodePorts;
  readonly config: BrokerConfig;
  readonly listener: Listener;
  readonly kafka: KafkaDoor;
}): Promise<Door | undefined> {
  switch (options.listener.protocol) {
    case "PLAINTEXT":
      return options.kafka.listen(options.listener);
    case "GRPC":
      return startGrpcServer(options);
    case "HTTP":
      return startHttpServer(options);
    case "INTERNAL":
      return undefined;
  }
}

type StopReason = "SIGTERM" | "SIGINT" | "parent";

function stopRequests(
  logger: Logger,
  options: RunBrokerOptions,
): { readonly requested: Promise<StopReason> } {
  const requested = new Promise<StopReason>((resolve) => {
    let stopping = false;
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.on(signal, () => {
        if (stopping) {
          logger.warn("a second signal ends the broker at once", { signal });
          process.exit(EXIT_AT_ONCE);
        }
        stopping = true;
        resolve(signal);
      });
    }
    if (options.exitWithParent) {
      process.once("disconnect", () => resolve("parent"));
      // The parent may have gone before anybody listened.
      if (process.connected !== true) resolve("parent");
    }
  });
  return { requested };
}

/** A defect ends the process: what it left behind in memory cannot be trusted. */
function dieOfDefects(logger: Logger): void {
  const die = (kind: string, error: unknown): never => {
    logger.error("the broker ends because of a defect", { kind, error });
    process.exit(EXIT_DEFECT);
  };
  process.on("uncaughtException", (error) => die("uncaughtException", error));
  process.on("unhandledRejection", (reason) => die("unhandledRejection", reason));
}

/** A broker that started and then was refused, or lost what it cannot do without. */
function endOf(reason: string, cause: unknown): never {
  if (cause === undefined) process.exit(FATAL_EXIT_CODE);
  const { code, message } = toOttlaError(cause);
  tellParent({ type: "failed", code, message: `${reason}: ${message}` });
  process.stderr.write(`${formatInOneLine(cause)}\n`);
  process.exit(code === "UNKNOWN_SERVER_ERROR" ? FATAL_EXIT_CODE : brokerExitCodeOf(code));
}

function tellParent(message: BrokerMessage): void {
  if (process.connected === true) process.send?.(message, undefined, undefined, () => undefined);
}
