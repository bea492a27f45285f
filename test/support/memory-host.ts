/**
 * A machine for tests of hosts: disk that outlives incarnations, network with latency, virtual time.
 * A crash ends an incarnation's ports: what it waits for never settles, its timers never fire.
 */
import { compareBytes } from "../../src/base/bytes.ts";
import { Prng } from "../../src/base/prng.ts";
import { OttlaError } from "../../src/model/errors.ts";
import type { Timer } from "../../src/ports/clock.ts";
import type { SlotFile } from "../../src/ports/files.ts";
import type { Entry, KeyValueStore } from "../../src/ports/key-value-store.ts";
import type { PeerAddress, PeerStream } from "../../src/ports/peer-network.ts";
import type { Ports } from "../../src/ports/ports.ts";
import type { VirtualTime } from "./virtual-time.ts";

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let crc = index;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

function crc32c(bytes: Uint8Array, seed = 0): number {
  let crc = ~seed;
  for (const byte of bytes) crc = (CRC_TABLE[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

type Pairs = Map<string, { key: Uint8Array; value: Uint8Array }>;

const hex = (key: Uint8Array): string =>
  [...key].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** What is on the disk of one machine. Tests damage it between two incarnations. */
export class MemoryDisk {
  readonly stores = new Map<string, Pairs>();
  readonly files = new Map<string, Uint8Array>();
  readonly slots = new Map<string, Uint8Array>();
  readonly locked = new Set<string>();
  writeLatencyMs = 1;
  syncsCount = 0;
  failWrites: OttlaError | undefined;

  wipe(): void {
    this.stores.clear();
    this.files.clear();
    this.slots.clear();
  }

  move(from: string, to: string): void {
    for (const things of [this.stores, this.files, this.slots] as Map<string, unknown>[]) {
      for (const [path, thing] of [...things]) {
        if (path !== from && !path.startsWith(`${from}/`)) continue;
        things.delete(path);
        things.set(to + path.slice(from.length), thing);
      }
    }
  }

  remove(path: string): void {
    for (const things of [this.stores, this.files, this.slots] as Map<string, unknown>[]) {
      for (const other of [...things.keys()]) {
        if (other === path || other.startsWith(`${path}/`)) things.delete(other);
      }
    }
  }
}

interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly fields: unknown;
}

export interface Incarnation {
  readonly ports: Ports;
  readonly logged: LogLine[];
  readonly fatals: { readonly reason: string; readonly cause: unknown }[];
  readonly isAlive: () => boolean;
  /** Kills it: streams end, nothing of it happens any more. */
  crash(): void;
}

type AnyStream = PeerStream<unknown, unknown>;

interface Socket {
  readonly opened: boolean;
  readonly stream: AnyStream;
  readonly owner: string;
  peer: Socket | undefined;
  open: boolean;
}

/** All machines of a test. */
export class MemoryNetwork {
  readonly #time: VirtualTime;
  readonly #listeners = new Map<string, { owner: string; accept: (stream: AnyStream) => void }>();
  readonly #sockets = new Set<Socket>();
  readonly #cut = new Set<string>();
  readonly #swallowing = new Set<Socket>();
  readonly latencyMs = 1;

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  listen(address: PeerAddress, owner: string, accept: (stream: AnyStream) => void): void {
    this.#listeners.set(`${address.host}:${address.port}`, { owner, accept });
  }

  /** Silence between a machine and all others: streams stay and carry nothing. */
  cut(owner: string): void {
    this.#cut.add(owner);
  }

  heal(): void {
    this.#cut.clear();
    this.#swallowing.clear();
  }

  /** The streams that `opener` has opened to `listener` stay, and carry nothing. */
  swallow(opener: string, listener: string): void {
    for (const socket of this.#sockets) {
      const { peer } = socket;
      if (!socket.opened || socket.owner !== opener || peer?.owner !== listener) continue;
      this.#swallowing.add(socket).add(peer);
    }
  }

  /** The machine's process is gone: its streams end at the other side. */
  dropAll(owner: string): void {
    for (const [address, listener] of this.#listeners) {
      if (listener.owner === owner) this.#listeners.delete(address);
    }
    for (const socket of [...this.#sockets]) if (socket.owner === owner) this.#end(socket);
  }

  /** Ends the streams between two machines; both may connect again. */
  breakStreams(left: string, right: string): void {
    for (const socket of [...this.#sockets]) {
      if (socket.owner !== left || socket.peer?.owner !== right) continue;
      const { peer } = socket;
      this.#end(socket);
      if (socket.open === false && peer !== undefined)
        this.#time.at(0, () => socket.stream.onEnd("reset"));
    }
  }

  open(owner: string, address: PeerAddress, isAlive: () => boolean): AnyStream {
    const socket = this.#socket(owner, true);
    this.#time.at(this.latencyMs, () => {
      const listener = this.#listeners.get(`${address.host}:${address.port}`);
      if (!socket.open || !isAlive()) return;
      if (listener === undefined) {
        socket.open = false;
        this.#sockets.delete(socket);
        socket.stream.onEnd("refused");
        return;
      }
      const peer = this.#socket(listener.owner, false);
      peer.peer = socket;
      socket.peer = peer;
      listener.accept(peer.stream);
    });
    return socket.stream;
  }

  #socket(owner: string, opened: boolean): Socket {
    const socket: Socket = {
      owner,
      opened,
      peer: undefined,
      open: true,
      stream: {
        send: (message) => {
          this.#time.at(this.latencyMs * 2, () => this.#deliver(socket, message));
          return true;
        },
        close: () => this.#end(socket),
        onMessage: () => {},
        onDrain: () => {},
        onEnd: () => {},
      },
    };
    this.#sockets.add(socket);
    return socket;
  }

  #deliver(from: Socket, message: unknown): void {
    const { peer } = from;
    if (peer === undefined || !peer.open || this.#swallowing.has(from)) return;
    if (this.#cut.has(from.owner) !== this.#cut.has(peer.owner)) return;
    if (this.#cut.has(from.owner) && from.owner !== peer.owner) return;
    peer.stream.onMessage(message);
  }

  #end(socket: Socket): void {
    if (!socket.open) return;
    socket.open = false;
    this.#sockets.delete(socket);
    const { peer } = socket;
    if (peer === undefined) return;
    // Behind everything that was sent before.
    this.#time.at(this.latencyMs * 2, () => {
      if (!peer.open) return;
      peer.open = false;
      this.#sockets.delete(peer);
      peer.stream.onEnd("ended");
    });
  }
}

export function startIncarnation(options: {
  readonly name: string;
  readonly time: VirtualTime;
  readonly disk: MemoryDisk;
  readonly network: MemoryNetwork;
  readonly seed: number;
}): Incarnation {
  const { name, time, disk, network } = options;
  const prng = new Prng(options.seed);
  let alive = true;
  const logged: LogLine[] = [];
  const fatals: Incarnation["fatals"] = [];
  disk.locked.clear();

  const schedule = (delayMs: number, run: () => void): Timer =>
    time.at(delayMs, () => {
      if (alive) run();
    });
  const sleep = (delayMs: number): Promise<void> =>
    new Promise((resolve) => schedule(delayMs, resolve));
  const write = async (change: () => void): Promise<void> => {
    await sleep(disk.writeLatencyMs);
    if (disk.failWrites !== undefined) throw disk.failWrites;
    change();
  };

  const logger = {
    debug: (message: string, fields?: unknown) => logged.push({ level: "debug", message, fields }),
    info: (message: string, fields?: unknown) => logged.push({ level: "info", message, fields }),
    warn: (message: string, fields?: unknown) => logged.push({ level: "warn", message, fields }),
    error: (message: string, fields?: unknown) => logged.push({ level: "error", message, fields }),
    child: () => logger,
  };

  const ports: Ports = {
    clock: { monotonicMs: () => time.nowMs, wallMs: () => time.nowMs },
    timers: {
      after: schedule,
      every: (periodMs, callback) => {
        let timer: Timer;
        const again = (): void => {
          timer = schedule(periodMs, () => {
            again();
            callback();
          });
        };
        again();
        return { cancel: () => timer.cancel() };
      },
      sleep,
      yield: () => sleep(0),
    },
    random: { bytes: (size) => prng.bytes(size), below: (bound) => prng.below(bound) },
    stores: {
      open: async (path) => {
        await sleep(0);
        if (disk.locked.has(path)) throw new OttlaError("DIRECTORY_LOCKED", path);
        disk.locked.add(path);
        const pairs: Pairs = disk.stores.get(path) ?? new Map();
        disk.stores.set(path, pairs);
        return memoryStore(pairs, write, () => disk.locked.delete(path), disk);
      },
    },
    files: {
      read: async (path) => disk.files.get(path),
      replace: (path, content) => write(() => disk.files.set(path, content.slice())),
      list: async (path) =>
        [...disk.files.keys()]
          .filter((file) => file.startsWith(`${path}/`))
          .map((file) => file.slice(path.length + 1))
          .sort((left, right) => (left < right ? -1 : 1)),
      makeDirectory: async () => {},
      rename: (from, to) => write(() => disk.move(from, to)),
      remove: (path) => write(() => disk.remove(path)),
      sizeBytes: async () => 0,
      freeBytes: async () => 1e12,
      totalBytes: async () => 2e12,
      lock: async () => ({ release: async () => {} }),
      openSlotFile: async (path): Promise<SlotFile> => ({
        read: () => disk.slots.get(path),
        write: (value) => write(() => disk.slots.set(path, value.slice())),
        close: async () => {},
      }),
    },
    codecs: {
      crc32c,
      compress: async (_, bytes) => bytes,
      decompress: async (_, bytes) => bytes,
    },
    network: {
      open: (address) => network.open(name, address, () => alive) as never,
      listen: () => Promise.reject(new Error("tests listen on the network itself")),
    },
    logger,
    meter: { count: () => {}, forget: () => {}, observe: () => {}, onCollect: () => {} },
    fatal: (reason, cause) => fatals.push({ reason, cause }),
  };
  return {
    ports,
    logged,
    fatals,
    isAlive: () => alive,
    crash: () => {
      alive = false;
      network.dropAll(name);
    },
  };
}

function memoryStore(
  pairs: Pairs,
  write: (change: () => void) => Promise<void>,
  release: () => void,
  disk: MemoryDisk,
): KeyValueStore {
  return {
    get: async (key) => pairs.get(hex(key))?.value,
    write: (operations, { sync }) =>
      write(() => {
        if (sync) disk.syncsCount++;
        for (const operation of operations) {
          if (operation.type === "delete") pairs.delete(hex(operation.key));
          else pairs.set(hex(operation.key), { key: operation.key, value: operation.value });
        }
      }),
    iterate: ({ gte, lt }) => {
      const found: Entry[] = [...pairs.values()]
        .filter(({ key }) => gte === undefined || compareBytes(key, gte) >= 0)
        .filter(({ key }) => lt === undefined || compareBytes(key, lt) < 0)
        .sort((left, right) => compareBytes(left.key, right.key));
      return {
        next: async (limit) => found.splice(0, limit),
        close: async () => {},
      };
    },
    close: async () => release(),
  };
}
