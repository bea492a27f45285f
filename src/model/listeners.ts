/** A broker's listeners: names, what is spoken on each, addresses; in Kafka's syntax. */
import type { Listener, ListenerProtocol } from "./broker-config.ts";
import { splitList } from "./config-definition.ts";
import { refuse } from "./refuse-config.ts";

/** The port of a listener that names none, by protocol. */
const DEFAULT_PORTS: Readonly<Record<ListenerProtocol, number>> = {
  PLAINTEXT: 9092,
  GRPC: 9192,
  INTERNAL: 9392,
  HTTP: 9292,
};
const PROTOCOLS = Object.keys(DEFAULT_PORTS) as readonly ListenerProtocol[];
const MAP_KEY = "listener.security.protocol.map";

/**
 * `listener.security.protocol.map`: `NAME:PROTOCOL`, separated by commas. Other than Kafka's, it
 * need not repeat the names that are protocols: each of them means itself unless it is mapped.
 */
export function listenerProtocols(
  value: string,
  controllerNames: readonly string[],
): ReadonlyMap<string, ListenerProtocol> {
  const protocols = new Map<string, ListenerProtocol>(PROTOCOLS.map((name) => [name, name]));
  const given = new Set<string>();
  for (const part of splitList(value)) {
    const match = /^([A-Za-z0-9_]+):([A-Za-z0-9_]+)$/.exec(part);
    if (match === null) refuse(MAP_KEY, part, "NAME:PROTOCOL");
    const name = (match[1] as string).toUpperCase();
    const protocol = (match[2] as string).toUpperCase();
    if (given.has(name))
      refuse(MAP_KEY, value, `each listener name once, but ${name} stands twice`);
    given.add(name);
    const known = PROTOCOLS.find((candidate) => candidate === protocol);
    if (known === undefined) refuse(MAP_KEY, part, `a protocol of ${PROTOCOLS.join(", ")}`);
    protocols.set(name, known);
  }
  // Kafka's controllers speak Kafka's protocol, whatever their listener is called; ours do not.
  for (const name of controllerNames) protocols.set(name.toUpperCase(), "INTERNAL");
  return protocols;
}

/** Kafka's listener list: `NAME://host:port`, an IPv6 host in brackets, no host for all interfaces. */
export function parseListeners(
  key: string,
  value: string,
  protocols: ReadonlyMap<string, ListenerProtocol>,
): readonly Listener[] {
  const parts = splitList(value);
  if (parts.length === 0) refuse(key, value, "at least one NAME://host:port");
  const listeners = parts.map((part) => parseListener(key, part, protocols));
  const names = new Set<string>();
  const ports = new Set<string>();
  for (const { name, host, port } of listeners) {
    if (names.has(name)) refuse(key, value, `each listener name once, but ${name} stands twice`);
    names.add(name);
    const address = `${host}:${port}`;
    if (key === "listeners" && port !== 0 && ports.has(address)) {
      refuse(key, value, `each address once, but ${address} stands twice`);
    }
    ports.add(address);
  }
  return listeners;
}

function parseListener(
  key: string,
  part: string,
  protocols: ReadonlyMap<string, ListenerProtocol>,
): Listener {
  const match = /^([A-Za-z0-9_]+):\/\/(.*)$/.exec(part);
  if (match === null) refuse(key, part, "NAME://host:port");
  const name = (match[1] as string).toUpperCase();
  const protocol = protocols.get(name);
  if (protocol === undefined) {
    refuse(
      key,
      part,
      `a listener name of ${[...protocols.keys()].join(", ")}, or one that ${MAP_KEY} gives a protocol`,
    );
  }
  return { name, protocol, ...parseAddress(key, match[2] as string, DEFAULT_PORTS[protocol]) };
}

/** `host:port`, `[IPv6]:port`, either part may be missing. */
export function parseAddress(
  key: string,
  address: string,
  defaultPort: number,
): { readonly host: string; readonly port: number } {
  const allowed = "host:port, with an IPv6 host in brackets and a port of 0 to 65535";
  const match = /^(?:\[([0-9A-Fa-f:.%\w]+)\]|([^[\]:/\s]*))(?::(\d{1,5}))?$/.exec(address);
  if (match === null) refuse(key, address, allowed);
  const port = match[3] === undefined ? defaultPort : Number(match[3]);
  if (port > 65_535) refuse(key, address, allowed);
  const host = match[1] ?? match[2] ?? "";
  return { host: host === "0.0.0.0" || host === "::" ? "" : host, port };
}

/**
 * Where others are told to connect. A listener that is not advertised keeps its own address or,
 * where it listens on every interface, gets the host that the voters know the broker by; where
 * nobody but the operator knows the address it is refused here, not found out by the first client.
 */
export function advertisedListeners(
  value: string | undefined,
  given: {
    readonly listeners: readonly Listener[];
    readonly protocols: ReadonlyMap<string, ListenerProtocol>;
    /** Whether the voters' list says at which host this broker is. */
    readonly addressIsKnown: boolean;
  },
): readonly Listener[] {
  const key = "advertised.listeners";
  const { listeners, protocols, addressIsKnown } = given;
  const advertised = value === undefined ? [] : parseListeners(key, value, protocols);
  for (const { name, host, port } of advertised) {
    if (!listeners.some((listener) => listener.name === name)) {
      refuse(key, name, namesOf(listeners));
    }
    if (host === "" || port === 0) {
      refuse(key, value, `a host and a port of ${name} that others can connect to`);
    }
  }
  const placed: Listener[] = [];
  for (const listener of listeners) {
    const { name, host, protocol } = listener;
    const found = advertised.find((each) => each.name === name) ?? listener;
    placed.push(found);
    if (found !== listener || host !== "" || protocol === "HTTP") continue;
    const alone = listeners.every((each) => each === listener || each.protocol !== protocol);
    if (addressIsKnown && (alone || name === protocol)) continue;
    const reason = addressIsKnown
      ? `it is not the only one that speaks ${protocol}, so its clients are in another network`
      : "it listens on every interface, and controller.quorum.voters does not say where this broker is";
    refuse(key, value, `a list with ${name}://<the host that its clients know>:<port>: ${reason}`);
  }
  return placed;
}

/**
 * The one listener that the brokers use among themselves, named by `inter.broker.listener.name`; or
 * by `controller.listener.names`, in configurations made for Kafka, whose brokers talk to each other
 * on a listener for clients and to controllers on one of its own.
 */
export function interBrokerListener(
  listeners: readonly Listener[],
  given: { readonly name: string; readonly controllerNames: readonly string[] },
): Listener {
  const key = "inter.broker.listener.name";
  const { controllerNames, name } = given;
  const isControllers = (listener: Listener): boolean =>
    controllerNames.some((each) => each.toUpperCase() === listener.name);
  const found =
    listeners.find(isControllers) ??
    listeners.find((listener) => listener.name === name.toUpperCase());
  if (found === undefined) refuse(key, name, namesOf(listeners));
  if (found.protocol !== "INTERNAL") {
    refuse(key, name, `a listener of protocol INTERNAL, but ${found.name} is ${found.protocol}`);
  }
  for (const protocol of ["INTERNAL", "HTTP"] as const) {
    const names = listeners.filter((listener) => listener.protocol === protocol);
    if (names.length > 1) {
      const given = names.map((listener) => listener.name).join(", ");
      refuse("listeners", given, `one listener of protocol ${protocol}`);
    }
  }
  return found;
}

function namesOf(listeners: readonly Listener[]): string {
  return `a name of listeners: ${listeners.map(({ name }) => name).join(", ")}`;
}
