/**
 * Names and what they stand for on one disk, and which changes of names a loss of power may undo.
 *
 * Changes of names are made in memory and reach the disk in order, at the latest half a minute
 * later, or when something in the same directory is synced. A loss of power undoes the last ones.
 */
import type { Prng } from "../../../src/base/prng.ts";
import { OttlaError } from "../../../src/model/errors.ts";
import { type OnChange, StoreState } from "./store-state.ts";

export interface SlotNode {
  readonly type: "slot";
  value: Uint8Array | undefined;
  /** What the other slot holds. */
  before: Uint8Array | undefined;
  /** Neither slot is whole. */
  damaged: boolean;
  /** A write whose sync failed: whoever opens the file next finds it. */
  failed?: Uint8Array | undefined;
}

export type FileNode =
  | { readonly type: "directory" }
  | { readonly type: "file"; content: Uint8Array }
  | SlotNode
  | { readonly type: "store"; readonly state: StoreState };

/** One name that changed what it stands for. */
interface NameChange {
  readonly path: string;
  readonly before: FileNode | undefined;
}

/** One call; undone as a whole. */
interface UnsyncedChange {
  readonly atMs: number;
  readonly names: readonly NameChange[];
}

export interface DiskTreeOptions {
  readonly nowMs: () => number;
  readonly onStoreChange: (path: string, ...change: Parameters<OnChange>) => void;
  readonly onStoreGone: (path: string) => void;
}

const WRITEBACK_MS = 30_000;

export class DiskTree {
  readonly #options: DiskTreeOptions;
  readonly #nodes = new Map<string, FileNode>();
  #unsynced: UnsyncedChange[] = [];
  /** The names that the present call has changed, if it is one that is not synced. */
  #recording: NameChange[] | undefined;

  constructor(options: DiskTreeOptions) {
    this.#options = options;
  }

  node(path: string): FileNode | undefined {
    return this.#nodes.get(path);
  }

  all(): IterableIterator<readonly [string, FileNode]> {
    return this.#nodes.entries();
  }

  *stores(): IterableIterator<readonly [string, StoreState]> {
    for (const [path, node] of this.#nodes) if (node.type === "store") yield [path, node.state];
  }

  /** The node at `path` and all below it. */
  *below(path: string): IterableIterator<readonly [string, FileNode]> {
    const prefix = `${path}/`;
    for (const [key, node] of this.#nodes) {
      if (key === path || key.startsWith(prefix)) yield [key, node];
    }
  }

  /** The names that `change` changes may be as before after a loss of power. */
  unsynced(change: () => unknown): void {
    const names: NameChange[] = [];
    this.#recording = names;
    try {
      change();
    } finally {
      this.#recording = undefined;
      if (names.length > 0) this.#unsynced.push({ atMs: this.#options.nowMs(), names });
    }
  }

  /** The directory was synced: what changed of its names is durable. */
  synced(directory: string): void {
    if (this.#recording !== undefined || this.#unsynced.length === 0) return;
    this.#unsynced = this.#unsynced.filter(
      ({ names }) => !names.some(({ path }) => parentOf(path) === directory),
    );
  }

  losePower(prng: Prng): void {
    const since = this.#options.nowMs() - WRITEBACK_MS;
    const changes = this.#unsynced.filter(({ atMs }) => atMs > since);
    this.#unsynced = [];
    const kept = prng.below(changes.length + 1);
    for (const { names } of changes.slice(kept).reverse()) {
      for (const { path, before } of [...names].reverse()) this.#set(path, before);
    }
  }

  /** On a disk that lied about their syncs. */
  forgetSlots(prng: Prng): void {
    for (const node of this.#nodes.values()) {
      if (node.type === "slot" && prng.chance(1, 2)) node.value = node.before;
    }
  }

  clear(): void {
    const stores = [...this.stores()];
    this.#nodes.clear();
    this.#unsynced = [];
    for (const [path] of stores) this.#options.onStoreGone(path);
  }

  /** Gone without a trace. */
  lose(path: string): void {
    this.#nodes.delete(path);
  }

  put(path: string, node: FileNode): void {
    this.makeDirectories(parentOf(path));
    this.#set(path, node);
  }

  makeDirectories(path: string): void {
    for (let at = path; at !== "" && at !== "/"; at = parentOf(at)) {
      const existing = this.#nodes.get(at);
      if (existing === undefined) this.#set(at, { type: "directory" });
      else if (existing.type !== "directory" && existing.type !== "store") {
        throw new OttlaError("KAFKA_STORAGE_ERROR", `${at} is not a directory`);
      }
    }
  }

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
    this.put(path, { type: "store", state });
    this.synced(parentOf(path));
    return state;
  }

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

  remove(path: string): void {
    for (const [key, node] of [...this.below(path)]) {
      if (node.type === "store" && node.state.isOpen) {
        throw new OttlaError("KAFKA_STORAGE_ERROR", `${key} is removed while it is open`);
      }
      this.#set(key, undefined);
    }
  }

  /** As far as it got, children before their directories; a store in the middle does not open. */
  removeHalf(path: string, prng: Prng): void {
    const nodes = [...this.below(path)].reverse();
    const gone = prng.below(nodes.length);
    for (const [index, [key, node]] of nodes.entries()) {
      if (index < gone) this.#set(key, undefined);
      else if (index === gone && node.type === "store") node.state.damaged = true;
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
      this.#set(key, undefined);
      this.#set(to + key.slice(from.length), node);
    }
  }

  sizeBytes(path: string): number {
    let size = 0;
    for (const [, node] of this.below(path)) size += nodeBytes(node);
    return size;
  }

  get usedBytes(): number {
    let used = 0;
    for (const node of this.#nodes.values()) used += nodeBytes(node);
    return used;
  }

  /** What a name stands for from now on; watchers of stores are told where one comes or goes. */
  #set(path: string, node: FileNode | undefined): void {
    const before = this.#nodes.get(path);
    this.#recording?.push({ path, before });
    if (node === undefined) this.#nodes.delete(path);
    else this.#nodes.set(path, node);
    if (before?.type === "store") {
      before.state.onChange = () => {};
      this.#options.onStoreGone(path);
    }
    if (node?.type !== "store") return;
    node.state.onChange = (...change) => this.#options.onStoreChange(path, ...change);
    for (const { key, value } of node.state.entries()) {
      this.#options.onStoreChange(path, key, undefined, value);
    }
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

export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}
