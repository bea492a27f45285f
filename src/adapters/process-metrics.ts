/** What a broker's process shows of itself, beside what the metrics library knows of Node. */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { RecentRate } from "../base/recent-rate.ts";
import type { Meter, SetGauge } from "../ports/meter.ts";
import { systemClock } from "./system-clock.ts";

export interface ProcessMetricsOptions {
  readonly version: string;
  readonly listeners: readonly { readonly name: string; readonly port: number }[];
}

const SERVER_SOCKETS = "net.server.socket";
const DISK_BYTES = {
  read_bytes: "kafka_server_kafkaserver_linux_disk_read_bytes",
  write_bytes: "kafka_server_kafkaserver_linux_disk_write_bytes",
} as const;

/** Shows them until `stop`. */
export function registerProcessMetrics(
  meter: Meter,
  { listeners, version }: ProcessMetricsOptions,
): { stop(): void } {
  const busySeconds = new RecentRate();
  meter.onCollect(async (set) => {
    set("ottla_build_info", { version, node: process.versions.node }, 1);
    const { active } = performance.eventLoopUtilization();
    const idle = 1 - Math.min(1, busySeconds.read(systemClock.monotonicMs(), active / 1_000));
    set("kafka_network_socketserver_networkprocessoravgidle_percent", {}, idle);
    set("kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent", {}, idle);
    await diskBytes(set);
  });
  return countConnections(meter, new Map(listeners.map(({ name, port }) => [port, name])));
}

/**
 * By the port that a socket came to: whichever server, of whichever protocol, took it. None of them
 * has to count for itself, nor can forget to.
 */
function countConnections(meter: Meter, names: ReadonlyMap<number, string>): { stop(): void } {
  const open = new Map<string, number>();
  for (const listener of names.values()) open.set(listener, 0);
  const onSocket = (message: unknown): void => {
    const { socket } = message as { readonly socket: Socket };
    const listener = names.get(socket.localPort ?? -1);
    if (listener === undefined) return;
    meter.count("kafka_server_socket_server_metrics_connection_creation_total", { listener }, 1);
    open.set(listener, (open.get(listener) ?? 0) + 1);
    socket.once("close", () => {
      meter.count("kafka_server_socket_server_metrics_connection_close_total", { listener }, 1);
      open.set(listener, (open.get(listener) ?? 0) - 1);
    });
  };
  subscribe(SERVER_SOCKETS, onSocket);
  for (const listener of names.values()) {
    meter.count("kafka_server_socket_server_metrics_connection_creation_total", { listener }, 0);
    meter.count("kafka_server_socket_server_metrics_connection_close_total", { listener }, 0);
  }
  meter.onCollect((set) => {
    for (const [listener, count] of open) {
      set("kafka_server_socket_server_metrics_connection_count", { listener }, count);
    }
  });
  return { stop: () => unsubscribe(SERVER_SOCKETS, onSocket) };
}

/** Where the kernel tells (Linux). */
async function diskBytes(set: SetGauge): Promise<void> {
  let text: string;
  try {
    text = await readFile("/proc/self/io", "utf8");
  } catch {
    return;
  }
  for (const line of text.split("\n")) {
    const [key = "", value = ""] = line.split(": ");
    if (key in DISK_BYTES) set(DISK_BYTES[key as keyof typeof DISK_BYTES], {}, Number(value));
  }
}
