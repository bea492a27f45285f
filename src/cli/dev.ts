/** `ottla dev`: a whole cluster on this machine, from one command. */
import { basename, relative, resolve } from "node:path";
import type { Command } from "commander";
import { FIRST_GRPC_PORT, LOCAL_BROKERS_MAX } from "../main/local-cluster.ts";
import { PACKAGE_ROOT } from "../main/package-root.ts";
import { integer } from "./arguments.ts";
import { type OutputOptions, withOutput } from "./common.ts";
import { type DevEvent, DevSupervisor } from "./dev-supervisor.ts";
import { watchLeaders } from "./leader-watch.ts";
import { writeJson, writeLine } from "./output.ts";

interface Options extends OutputOptions {
  readonly brokers: number;
  readonly data: string;
  readonly portOffset: number;
  readonly restart: boolean;
}

/** Keeps the last broker's internal port, the highest, below 65536. */
const PORT_OFFSET_MAX = 56_000;

export function registerDev(program: Command): void {
  withOutput(
    program
      .command("dev")
      .description("run a cluster on this machine, until Ctrl-C; its data is kept")
      .option("--brokers <count>", "how many brokers", integer(1, LOCAL_BROKERS_MAX), 3)
      .option("--data <directory>", "where data, configuration and logs lie", ".ottla/dev")
      .option(
        "--port-offset <n>",
        "added to every port (Kafka 9092, gRPC 9192, HTTP 9292, internal 9392, each +1 per broker)",
        integer(0, PORT_OFFSET_MAX),
        0,
      )
      .option("--no-restart", "leave a broker that died as it is")
      .addHelpText(
        "after",
        `
Topics that are written to and missing are created. To see a failover, kill -9 one of the pids.

Examples:
  $ ottla dev
  $ ottla dev --brokers 5 --data /tmp/five --port-offset 100
  $ ottla dev --output json`,
      ),
  ).action(runDev);
}

async function runDev(options: Options): Promise<void> {
  const began = performance.now();
  const print = printer(options, began);
  const supervisor = new DevSupervisor(
    {
      brokersCount: options.brokers,
      dataDirectory: resolve(options.data),
      portOffset: options.portOffset,
      restart: options.restart,
    },
    print,
  );
  const stop = stopSignal(() => void supervisor.stop().catch(() => undefined));
  const started = supervisor.start();
  await Promise.race([started, stop.requested]);
  if (!stop.signal.aborted) {
    await watchLeaders(supervisor.bootstrapServers, print, stop.signal);
  }
  await started.catch((thrown: unknown) => {
    // Stopped while it started: what the brokers say about that is no news.
    if (!stop.signal.aborted) throw thrown;
  });
  await supervisor.stopped();
  print({ event: "stopped" });
}

/** Ctrl-C, a closed terminal, or a polite kill; each asks `onSignal`, the second too. */
function stopSignal(onSignal: () => void): {
  readonly signal: AbortSignal;
  readonly requested: Promise<void>;
} {
  const controller = new AbortController();
  const requested = new Promise<void>((settle) => {
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(name, () => {
        controller.abort();
        onSignal();
        settle();
      });
    }
  });
  return { signal: controller.signal, requested };
}

function printer(options: Options, began: number): (event: DevEvent) => void {
  const json = options.output === "json";
  // Lines are handed over in order; a terminal that stalls holds up only the printing.
  return (event) => {
    const line = json ? writeJson(event) : writeLine(describeEvent(event, options, began));
    line.catch(() => undefined);
  };
}

function describeEvent(event: DevEvent, options: Options, began: number): string {
  switch (event.event) {
    case "broker-started":
      return `broker ${event.broker} started, pid ${event.pid}`;
    case "broker-ready":
      return `broker ${event.broker} is ready`;
    case "broker-exited": {
      const how = event.signal === null ? `with exit code ${event.code}` : `by ${event.signal}`;
      const why = event.reason === null ? "" : `: ${event.reason}`;
      const next =
        event.restartInMs === null ? "" : `; it starts again in ${event.restartInMs / 1000} s`;
      return `broker ${event.broker} (pid ${event.pid}) ended ${how}${why}${next}`;
    }
    case "leader-changed": {
      const now = event.leader < 0 ? "has no leader" : `is led by broker ${event.leader}`;
      const before = event.previousLeader < 0 ? "nobody" : `broker ${event.previousLeader}`;
      return `${event.topic}-${event.partition} ${now} (before: ${before}; leader epoch ${event.leaderEpoch})`;
    }
    case "ready":
      return readyText(event, options, performance.now() - began);
    case "stopped":
      return "all brokers have stopped";
  }
}

function readyText(
  ready: Extract<DevEvent, { readonly event: "ready" }>,
  options: Options,
  tookMs: number,
): string {
  const { bootstrapServers: servers, kafkaBootstrapServers: kafka } = ready;
  const command = commandName();
  const server =
    options.portOffset === 0
      ? ""
      : ` --bootstrap-server 127.0.0.1:${FIRST_GRPC_PORT + options.portOffset}`;
  const brokers = servers.length === 1 ? "broker listens" : "brokers listen";
  return `
Ready after ${(tookMs / 1000).toFixed(1)} s: ${servers.length} ${brokers} on ${servers.join(", ")}; data in ${options.data}.
Kafka clients connect to ${kafka.join(", ")}.
In another terminal:

  echo 'hello, world' | ${command} produce greetings${server}
  ${command} consume greetings --from beginning${server}

Ctrl-C stops the cluster.
`;
}

/** As it can be typed here: the installed name, or the file that was run. */
function commandName(): string {
  const script = process.argv[1] ?? "ottla";
  const name = basename(script);
  if (name === "ottla") return name;
  if (process.cwd() === PACKAGE_ROOT) return "npx ottla";
  const near = relative(process.cwd(), script);
  return `node ${near.startsWith("..") ? script : near}`;
}
