/** What the brokers of a cluster on one machine are configured with. */
import { createServer } from "node:net";
import { OttlaError } from "../model/errors.ts";
import type { BrokerId } from "../model/ids.ts";

export interface LocalBroker {
  readonly id: BrokerId;
  readonly kafkaPort: number;
  readonly grpcPort: number;
  readonly httpPort: number;
  readonly internalPort: number;
}

/** Kafka's habit for one machine: the second broker's ports are one higher, and so on. */
export const FIRST_KAFKA_PORT = 9092;
export const FIRST_GRPC_PORT = 9192;
export const FIRST_HTTP_PORT = 9292;
export const FIRST_INTERNAL_PORT = 9392;
/** More would run from one listener's range of ports into the next one's. */
export const LOCAL_BROKERS_MAX = 100;

export const LOOPBACK = "127.0.0.1";

/** Brokers 1 to `count` on the default ports, moved by `portOffset`. */
export function localBrokers(count: number, portOffset: number): readonly LocalBroker[] {
  return Array.from({ length: count }, (_, index) => ({
    id: index + 1,
    kafkaPort: FIRST_KAFKA_PORT + portOffset + index,
    grpcPort: FIRST_GRPC_PORT + portOffset + index,
    httpPort: FIRST_HTTP_PORT + portOffset + index,
    internalPort: FIRST_INTERNAL_PORT + portOffset + index,
  }));
}

/** Two voters would only add a way to lose the quorum: a cluster has one, or three. */
export function votersCountOf(brokersCount: number): number {
  return brokersCount < 3 ? 1 : 3;
}

export function localBrokerProperties(options: {
  readonly broker: LocalBroker;
  readonly brokers: readonly LocalBroker[];
  readonly votersCount: number;
  readonly logDirs: readonly string[];
}): Map<string, string> {
  const { broker, brokers } = options;
  const voters = brokers.slice(0, options.votersCount);
  const listeners = [
    `PLAINTEXT://${LOOPBACK}:${broker.kafkaPort}`,
    `GRPC://${LOOPBACK}:${broker.grpcPort}`,
    `INTERNAL://${LOOPBACK}:${broker.internalPort}`,
    `HTTP://${LOOPBACK}:${broker.httpPort}`,
  ];
  return new Map([
    ["node.id", String(broker.id)],
    ["log.dirs", options.logDirs.join(",")],
    ["listeners", listeners.join(",")],
    ["inter.broker.listener.name", "INTERNAL"],
    [
      "controller.quorum.voters",
      voters.map((voter) => `${voter.id}@${LOOPBACK}:${voter.internalPort}`).join(","),
    ],
    // Nobody at a laptop starts a hundred consumers at once, and everybody waits for the first.
    ["group.initial.rebalance.delay.ms", "0"],
  ]);
}

/** A `.properties` text that `parseProperties` reads back to the same map. */
export function formatProperties(properties: ReadonlyMap<string, string>): string {
  const escaped = (text: string): string =>
    text.replace(/[\\\n\r\t\f]|^ /g, (character) => {
      const letter = { "\n": "n", "\r": "r", "\t": "t", "\f": "f" }[character];
      return `\\${letter ?? character}`;
    });
  return [...properties].map(([key, value]) => `${key}=${escaped(value)}\n`).join("");
}

/**
 * Outside the range that Linux gives to outgoing connections: a port of that range may be taken by
 * some other connection's near end while its broker is down, and a broker that knocks at a dead
 * peer's port could even be connected to itself.
 */
const FREE_PORT_FIRST = 10_000;
const FREE_PORT_LAST = 32_000;
const FREE_PORT_TRIES = 100;

/** Ports that nobody listens on now; somebody else may still be faster. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports = new Set<number>();
  for (let tries = 0; ports.size < count; tries++) {
    if (tries > FREE_PORT_TRIES + count) {
      throw new OttlaError(
        "PORT_IN_USE",
        `found only ${ports.size} of ${count} free ports between ${FREE_PORT_FIRST} and ${FREE_PORT_LAST}`,
      );
    }
    const range = FREE_PORT_LAST - FREE_PORT_FIRST;
    const port = FREE_PORT_FIRST + Math.floor(Math.random() * range);
    if (!ports.has(port) && (await isPortFree(port))) ports.add(port);
  }
  return [...ports];
}

export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: LOOPBACK, exclusive: true }, () => {
      server.close(() => resolve(true));
    });
  });
}
