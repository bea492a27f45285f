/**
 * What chaos adds to the composed cluster: addresses that stay over restarts, data directories that
 * the test can get at, the preloaded shim, and no memory of other clusters' ports. It is a Compose
 * file (JSON is YAML) that is given beside `deploy/compose.yaml`.
 */
import { join } from "node:path";
import { SHIM_FILE } from "./site.ts";

export const GRPC_PORT = 9192;
export const INTERNAL_PORT = 9392;
export const HTTP_PORT = 9292;
/** As `deploy/compose.yaml` calls it. */
export const NETWORK = "ottla";
/** Within the container. */
const DATA = "/var/lib/ottla";
const CHAOS = "/chaos";
/** The network's first host is its gateway: this machine. */
const FIRST_HOST = 10;

export interface OverlayOptions {
  readonly image: string;
  readonly brokers: readonly number[];
  /** `a.b.c`: of a network of 256 addresses. */
  readonly subnet: string;
  /** Holds `broker-N/data`, `broker-N/chaos` and the compiled shim. */
  readonly directory: string;
  readonly shim: boolean;
  /** Broker configuration by Kafka's names. */
  readonly properties: Readonly<Record<string, string>>;
}

export function serviceOf(id: number): string {
  return `broker-${id}`;
}

export function addressOf(subnet: string, id: number): string {
  return `${subnet}.${FIRST_HOST + id}`;
}

export function gatewayOf(subnet: string): string {
  return `${subnet}.1`;
}

export function brokerDirectory(directory: string, id: number): string {
  return join(directory, serviceOf(id));
}

export function composeOverlay(options: OverlayOptions): string {
  const { brokers, directory, image, properties, shim, subnet } = options;
  const voters = brokers.map((id) => `${id}@${addressOf(subnet, id)}:${INTERNAL_PORT}`).join(",");
  const services = brokers.map((id) => {
    const address = addressOf(subnet, id);
    const own = brokerDirectory(directory, id);
    const settings = {
      ...properties,
      "node.id": String(id),
      "log.dirs": DATA,
      "controller.quorum.voters": voters,
      "inter.broker.listener.name": "INTERNAL",
      listeners: `GRPC://:${GRPC_PORT},INTERNAL://:${INTERNAL_PORT},HTTP://:${HTTP_PORT}`,
      "advertised.listeners": `GRPC://${address}:${GRPC_PORT},INTERNAL://${address}:${INTERNAL_PORT},HTTP://${address}:${HTTP_PORT}`,
    };
    const preload = shim
      ? { LD_PRELOAD: `${CHAOS}/shim/${SHIM_FILE}`, CHAOS_DIR: `${CHAOS}/broker` }
      : {};
    return [
      serviceOf(id),
      {
        image,
        environment: { ...environmentOf(settings), ...preload },
        // Docker starts nothing by itself: a broker is down until its fault is healed.
        restart: "no",
        // The test asks brokers itself; a process every few seconds would only take processor time.
        healthcheck: { disable: true },
        volumes: [
          `${join(own, "data")}:${DATA}`,
          `${join(own, "chaos")}:${CHAOS}/broker`,
          `${join(directory, "shim")}:${CHAOS}/shim:ro`,
        ],
        networks: { [NETWORK]: { ipv4_address: address } },
      },
    ] as const;
  });
  return JSON.stringify(
    {
      services: Object.fromEntries(services),
      networks: { [NETWORK]: { ipam: { config: [{ subnet: `${subnet}.0/24` }] } } },
    },
    null,
    2,
  );
}

/** `log.dirs` as `OTTLA_LOG_DIRS`. */
export function environmentOf(
  properties: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const entries = Object.entries(properties).map(([key, value]) => {
    const name = key.replaceAll("_", "__").replaceAll("-", "___").replaceAll(".", "_");
    return [`OTTLA_${name.toUpperCase()}`, value];
  });
  return Object.fromEntries(entries) as Record<string, string>;
}
