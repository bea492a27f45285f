/**
 * Kafka's door: its protocol on the broker's PLAINTEXT listeners. One for all of them, since limits
 * hold for the broker.
 */
import type { DoorApi } from "../../broker/broker-api.ts";
import { API_NAMES, APIS } from "../../kafka-wire/api-keys.ts";
import type { BrokerConfig, Listener } from "../../model/broker-config.ts";
import { LIMITS } from "../../model/limits.ts";
import type { ByteListener, ByteStream, ByteStreams } from "../../ports/byte-streams.ts";
import type { Timer } from "../../ports/clock.ts";
import type { Ports } from "../../ports/ports.ts";
import { type CloseReason, Connection, type ConnectionHost } from "./connection.ts";
import { type KafkaDoorConfig, kafkaDoorConfig } from "./door-config.ts";
import type { DoorState } from "./door-handler.ts";
import { FetchSessions } from "./fetch-sessions.ts";
import { HANDLERS } from "./handlers.ts";
import { KafkaRequests } from "./requests.ts";

export interface KafkaDoorOptions {
  readonly broker: DoorApi;
  readonly ports: Ports;
  readonly streams: ByteStreams;
  readonly config: Pick<BrokerConfig, "properties" | "fetchMaxBytes">;
}

export interface KafkaListener {
  /** The one chosen if the listener asked for 0. */
  readonly port: number;
  /** What was begun is answered; settles when the port is free and no connection is left. */
  close(): Promise<void>;
}

/** How often connections are looked at for being overdue. */
const SWEEP_MS = 2_000;
const UNREAD_AGE_MS = 50;
/** How often a starting broker is asked whether it is ready. */
const READY_LOOK_MS = 20;
/** How long answers under way may take once a listener closes. */
const CLOSE_GRACE_MS = 1_000;

export class KafkaDoor implements ConnectionHost, DoorState {
  readonly config: KafkaDoorConfig;
  readonly fetchSessions: FetchSessions;
  readonly served = API_NAMES.filter((name) => HANDLERS[name] !== undefined).sort(
    (left, right) => APIS[left].key - APIS[right].key,
  );
  readonly #ports: Ports;
  readonly #broker: DoorApi;
  readonly #streams: ByteStreams;
  readonly #requests: KafkaRequests;
  readonly #connections = new Set<Connection>();
  readonly #perIp = new Map<string, number>();
  readonly #listeners = new Set<string>();
  readonly #heldLimitBytes: number;
  #heldBytes = 0;
  #unreadBytes = 0;
  #unreadAtMs = 0;
  #sweep: Timer | undefined;
  #serves = false;
  #waiting: Timer | undefined;

  /** Throws INVALID_CONFIG. */
  constructor({ broker, ports, streams, config }: KafkaDoorOptions) {
    this.#ports = ports;
    this.#broker = broker;
    this.#streams = streams;
    this.config = kafkaDoorConfig(config);
    this.fetchSessions = new FetchSessions(ports, this.config.fetchSessionsCount);
    this.#requests = new KafkaRequests(ports, { broker, door: this, handlers: HANDLERS });
    const { queuedMaxRequestBytes } = this.config;
    this.#heldLimitBytes =
      queuedMaxRequestBytes < 0 ? LIMITS.kafkaRequestsBytes : queuedMaxRequestBytes;
  }

  /** Rejects with PORT_IN_USE, or INVALID_CONFIG if the address is none of this machine's. */
  async listen(listener: Omit<Listener, "protocol">): Promise<KafkaListener> {
    const { name, host, port } = listener;
    const bound = await this.#streams.listen({ host, port }, (stream) => {
      this.#accept(stream, name);
    });
    this.#listeners.add(name);
    this.#awaitBroker();
    this.#sweep ??= this.#ports.timers.every(SWEEP_MS, () => this.#endOverdue());
    const { logger } = this.#ports;
    logger.info("clients may connect", { listener: name, host, port: bound.address.port });
    return { port: bound.address.port, close: () => this.#close(name, bound) };
  }

  /**
   * Whoever connects before the broker has caught up waits, as with Kafka: it would be told that
   * topics are not there which it only has not read of yet. Later lapses are for errors to tell.
   */
  get serves(): boolean {
    return this.#serves;
  }

  #awaitBroker(): void {
    if (this.#serves || this.#listeners.size === 0) return;
    if (this.#broker.health().ready) {
      this.#serves = true;
      for (const connection of this.#connections) connection.onRoom();
    } else {
      this.#waiting?.cancel();
      this.#waiting = this.#ports.timers.after(READY_LOOK_MS, () => this.#awaitBroker());
    }
  }

  /** Counted anew now and then: to ask ten thousand connections at each fetch would cost more. */
  unreadBytes(): number {
    const nowMs = this.#ports.clock.monotonicMs();
    if (nowMs - this.#unreadAtMs < UNREAD_AGE_MS) return this.#unreadBytes;
    this.#unreadAtMs = nowMs;
    this.#unreadBytes = 0;
    for (const { stream } of this.#connections) this.#unreadBytes += stream.queuedBytes;
    return this.#unreadBytes;
  }

  onHeld(_connection: Connection, bytes: number): void {
    const before = this.#heldBytes;
    this.#heldBytes += bytes;
    const limit = this.#heldLimitBytes;
    if (before <= limit || this.#heldBytes > limit) return;
    for (const connection of this.#connections) connection.onRoom();
  }

  mustWait(heldBytes: number): boolean {
    const limit = this.#heldLimitBytes;
    return this.#heldBytes > limit && heldBytes > limit / this.#connections.size;
  }

  onDefect(connection: Connection, error: unknown): void {
    const { remoteHost, remotePort } = connection.stream;
    this.#ports.logger.error("a request failed", { remoteHost, remotePort, error });
  }

  onClosed(connection: Connection, { ours, reason }: CloseReason): void {
    this.#connections.delete(connection);
    const { listenerName, clientSoftware, stream } = connection;
    const { remoteHost, remotePort } = stream;
    const left = (this.#perIp.get(remoteHost) ?? 1) - 1;
    if (left === 0) this.#perIp.delete(remoteHost);
    else this.#perIp.set(remoteHost, left);
    const { logger } = this.#ports;
    const fields = { listener: listenerName, remoteHost, remotePort, clientSoftware, reason };
    if (!ours) logger.debug("a client has gone", fields);
    else {
      this.#countEnded(listenerName, "protocol");
      logger.info("a client was disconnected", fields);
    }
  }

  #accept(stream: ByteStream, listenerName: string): void {
    const refusal = this.#refusalOf(stream.remoteHost);
    if (refusal !== undefined) {
      const { remoteHost, remotePort } = stream;
      const fields = { listener: listenerName, remoteHost, remotePort, reason: refusal };
      this.#countEnded(listenerName, refusal);
      this.#ports.logger.info("a client was disconnected", fields);
      stream.destroy();
      return;
    }
    this.#perIp.set(stream.remoteHost, (this.#perIp.get(stream.remoteHost) ?? 0) + 1);
    this.#connections.add(
      new Connection(this.#ports, {
        stream,
        listenerName,
        host: this,
        server: this.#requests,
        requestMaxBytes: this.config.requestMaxBytes,
      }),
    );
  }

  #refusalOf(address: string): string | undefined {
    const { connectionsMaxCount, connectionsPerIpMaxCount } = this.config;
    if (this.#connections.size >= connectionsMaxCount) return "max.connections";
    const limit = this.config.connectionsPerIpOverrides.get(address) ?? connectionsPerIpMaxCount;
    return (this.#perIp.get(address) ?? 0) >= limit ? "max.connections.per.ip" : undefined;
  }

  #countEnded(listener: string, reason: string): void {
    this.#ports.meter.count("ottla_connections_refused_total", { listener, reason }, 1);
  }

  #endOverdue(): void {
    const nowMs = this.#ports.clock.monotonicMs();
    for (const connection of [...this.#connections]) {
      const reason = connection.overdueBecause(nowMs, this.config.connectionsMaxIdleMs);
      if (reason !== undefined) connection.abort(reason);
    }
  }

  async #close(name: string, bound: ByteListener): Promise<void> {
    await bound.close();
    this.#listeners.delete(name);
    const own = [...this.#connections].filter(({ listenerName }) => listenerName === name);
    const closed = Promise.all(
      own.map((connection) => new Promise<void>((resolve) => connection.whenClosed(resolve))),
    );
    for (const connection of own) connection.finish();
    const cut = this.#ports.timers.after(CLOSE_GRACE_MS, () => {
      for (const connection of own) if (!connection.closed) connection.stream.destroy();
    });
    await closed;
    cut.cancel();
    if (this.#listeners.size > 0) return;
    this.#waiting?.cancel();
    this.#sweep?.cancel();
    this.#sweep = undefined;
  }
}
