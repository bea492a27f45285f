/**
 * A machine's disk: a tree of files, slot files and stores that outlives the processes on it.
 *
 * What is durable when: a file's `replace`, `rename` and a slot's `write` are durable once settled,
 * and before that are there or not, whole, by the draw of the seed. What a store keeps is the
 * matter of `sim-store.ts`. Operations take drawn times; writes of one store settle in order.
 */
import type { Prng } from "../../../src/base/prng.ts";
import { OttlaError } from "../../../src/model/errors.ts";
import type { Incarnation } from "./sim-node.ts";
import { type OnChange, StoreState } from "./store-state.ts";
import type { World } from "./world.ts";

export interface DiskLatency {
  readonly readMs: number;
  readonly writeMs: number;
  readonly syncMs: number;
}

type FileNode =
  | { readonly type: "directory" }
  | { readonly type: "file"; content: Uint8Array }
  | { readonly type: "slot"; value: Uint8Array | undefined }
  | { readonly type: "store"; readonly state: StoreState };

interface PendingOperation {
  readonly apply: () => void;
}

export type DiskFault = "write-error" | "sync-error" | "read-error" | "open-error";

export class SimDisk {
  readonly #world: World;
  readonly #prng: Prng;
  readonly #capacityBytes: number;
  readonly #nodes = new Map<string, FileNode>();
  readonly #locks = new Map<string, Incarnation>();
  readonly #pending = new Set<PendingOperation>();
  readonly #armed: DiskFault[] = [];
  #hangsUntilMs = 0;
  latency: DiskLatency = { readMs: 0.1, writeMs: 0.1, syncMs: 0.8 };
  /** Every write fails as on a full disk; opening a store fails too. */
  full = false;
  /** Told of each change of a store's entry, with the path of the store. */
  onStoreChange: (path: string, ...change: Parameters<OnChange>) => void = () => {};
  /** Told of each store that is gone from its path: removed, or renamed to somewhere else. */
  onStoreGone: (path: string) => void = () => {};
  /**
   * Told of each write that is handed to a store although an earlier one of the same opening had
   * failed, and its caller had been told.
   */
  onWriteAfterFailure: (path: string) => void = () => {};
  /** How many faults have hit an operation; what a log line at level `error` is explained by. */
  faultsCount = 0;

  constructor(world: World, prng: Prng, capacityBytes = 2 ** 40) {
    this.#world = world;
    this.#prng = prng;
    this.#capacityBytes = capacityBytes;
  }

  get prng(): Prng {
    return this.#prng;
  }

  /** The next operation of that kind fails, once. */
  arm(fault: DiskFault): void {
    this.#armed.push(fault);
  }

  disarm(): void {
    this.#armed.length = 0;
    this.#hangsUntilMs = 0;
  }

  /** Whether a fault of that kind was armed; it is used up. */
  takeFault(fault: DiskFault): boolean {
    const at = this.#armed.indexOf(fault);
    if (at < 0) return false;
    this.#armed.splice(at, 1);
    this.faultsCount++;
    return true;
  }

  refuseIfFull(what: string): void {
    if (!this.full) return;
    this.faultsCount++;
    throw new OttlaError("DISK_FULL", `${what}: no space left on the simulated disk`);
  }

  /** Nothing settles for that long; operations begun meanwhile wait too. */
  hang(durationMs: number): void {
    this.#hangsUntilMs = this.#world.nowMs + durationMs;
    this.faultsCount++;
  }

  delayMs(kind: keyof DiskLatency): number {
    const mean = this.latency[kind];
    const tail = this.#prng.chance(1, 200) ? this.#prng.between(10, 50) : 1;
    const drawn = (mean * tail * this.#prng.between(20, 180)) / 100;
    return Math.max(drawn, this.#hangsUntilMs - this.#world.nowMs);
  }

  /**
   * One operation on files: takes its time, then `apply` happens and the promise settles. If the
   * process dies before that, it happened or not.
   */
  operation<Value>(
    incarnation: Incarnation,
    kind: keyof DiskLatency,
    label: string,
    apply: () => Value,
  ): Promise<Value> {
    const pending: PendingOperation = { apply };
    if (kind !== "readMs") this.#pending.add(pending);
    return incarnation.promise(this.delayMs(kind), "disk", label, () => {
      this.#pending.delete(pending);
      return apply();
    });
  }

  processEnded(powerLost: boolean): void {
    for (const pending of this.#pending) {
      if (!this.#prng.chance(1, 2)) continue;
      try {
        pending.apply();
      } catch {
        // What fails now would have failed then; nobody is left to be told.
      }
    }
    this.#pending.clear();
    this.#locks.clear();
    this.#armed.length = 0;
    for (const node of this.#nodes.values()) {
      if (node.type === "store") node.state.processEnded(powerLost, this.#prng);
    }
  }

  /** Everything is gone: a new disk. */
  wipe(): void {
    const stores = [...this.#nodes].filter(([, { type }]) => type === "store");
    this.#nodes.clear();
    for (const [path] of stores) this.onStoreGone(path);
  }

  lock(path: string, incarnation: Incarnation): void {
    if (this.#locks.has(path)) {
      throw new OttlaError("DIRECTORY_LOCKED", `${path} is locked`);
    }
    this.#locks.set(path, incarnation);
  }

  unlock(path: string): void {
    this.#locks.delete(path);
  }

  node(path: string): FileNode | undefined {
    return this.#nodes.get(path);
  }

  put(path: string, node: FileNode): void {
    this.makeDirectories(parentOf(path));
    this.#nodes.set(path, node);
  }

  makeDirectories(path: string): void {
    for (let at = path; at !== "" && at !== "/"; at = parentOf(at)) {
      const existing = this.#nodes.get(at);
      if (existing === undefined) this.#nodes.set(at, { type: "directory" });
      else if (existing.type !== "directory" && existing.type !== "store") {
        throw new OttlaError("KAFKA_STORAGE_ERROR", `${at} is not a directory`);
      }
    }
  }

  /** The store in `path`, made if missing and asked for. */
  store(path: string, createIfMissing: boolean): StoreState {
    const existing = this.#nodes.get(path);
    if (existing?.type === "store") return existing.state;
    if (!createIfMissing) {
      throw new OttlaError("KAFKA_STORAGE_ERROR", `${path}: there is no store`);
    }
    if (existing !== undefined && existing.type !== "directory") {
      throw new OttlaError("KAFKA_STORAGE_ERROR", `${path} is not a directory`);
    }
    const state = new StoreState();
    this.#watch(path, state);
    this.put(path, { type: "store", state });
    return state;
  }

  /** Names directly below `path`, sorted. */
  list(path: string): string[] {
    if (this.#nodes.get(path)?.type === "store") return ["CURRENT", "LOCK"];
    const prefix = path === "/" ? "/" : `${path}/`;
    const names = new Set<string>();
    for (const key of this.#nodes.keys()) {
      if (!key.startsWith(prefix)) continue;
      const rest = key.slice(prefix.length);
      const slash = rest.indexOf("/");
      names.add(slash < 0 ? rest : rest.slice(0, slash));
    }
    return [...names].sort((left, right) => (left < right ? -1 : 1));
  }

  /** The node at `path` and all below it. */
  *below(path: string): IterableIterator<readonly [string, FileNode]> {
    const prefix = `${path}/`;
    for (const [key, node] of this.#nodes) {
      if (key === path || key.startsWith(prefix)) yield [key, node];
    }
  }

  remove(path: string): void {
    for (const [key, node] of [...this.below(path)]) {
      if (node.type === "store" && node.state.isOpen) {
        throw new OttlaError("KAFKA_STORAGE_ERROR", `${key} is removed while it is open`);
      }
      this.#nodes.delete(key);
      if (node.type === "store") this.onStoreGone(key);
    }
  }

  rename(from: string, to: string): void {
    const nodes = [...this.below(from)];
    if (nodes.length === 0) throw new OttlaError("KAFKA_STORAGE_ERROR", `${from} is missing`);
    const source = this.#nodes.get(from);
    const target = this.#nodes.get(to);
    const isFile = source?.type === "file" || source?.type === "slot";
    const empty = target?.type === "directory" && this.list(to).length === 0;
    if (target !== undefined && !empty && !(isFile && target.type !== "directory")) {
      throw new OttlaError("KAFKA_STORAGE_ERROR", `${to} exists`);
    }
    this.makeDirectories(parentOf(to));
    for (const [key, node] of nodes) {
      if (node.type === "store" && node.state.isOpen) {
        throw new OttlaError("KAFKA_STORAGE_ERROR", `${key} is renamed while it is open`);
      }
      this.#nodes.delete(key);
      const moved = to + key.slice(from.length);
      this.#nodes.set(moved, node);
      if (node.type === "store") {
        this.onStoreGone(key);
        this.#watch(moved, node.state);
      }
    }
  }

  #watch(path: string, state: StoreState): void {
    state.onChange = (...change) => this.onStoreChange(path, ...change);
  }

  sizeBytes(path: string): number {
    let size = 0;
    for (const [, node] of this.below(path)) size += nodeBytes(node);
    return size;
  }

  get freeBytes(): number {
    if (this.full) return 0;
    let used = 0;
    for (const node of this.#nodes.values()) used += nodeBytes(node);
    return Math.max(0, this.#capacityBytes - used);
  }
}

function nodeBytes(node: FileNode): number {
  switch (node.type) {
    case "directory":
      return 0;
    case "file":
      return node.content.length;
    case "slot":
      return 8_192;
    case "store":
      return node.state.sizeBytes;
  }
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}
