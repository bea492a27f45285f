/**
 * A machine's disk: a tree of files, slot files and stores that outlives the processes on it.
 *
 * What is durable when: a file's `replace`, `rename` and a slot's `write` are durable once settled.
 * If the process dies before, they happened or not, whole; and if they happened, nobody has synced
 * the directory, so that a loss of power may still undo them. Removals are never synced by
 * themselves: a loss of power may bring back what was removed, until something else in the same
 * directory is synced. What a store keeps is the matter of `store-state.ts`. Operations take drawn
 * times; writes of one store settle in order.
 *
 * What faults are made of:
 *
 * - `latency`, with its own tail; `hang(ms)` (Infinity: until `disarm`): nothing settles while all
 *   else goes on; `stallStores(ms)`: writes of stores wait for LevelDB's one compaction thread;
 * - `full`: writes fail as on a full disk, with LevelDB's own loss of what follows;
 * - `arm(fault)`: the n-th operation that fits fails, once, some times or from then on; see
 *   `armed-faults.ts`;
 * - `powerLossShape`: what a loss of power leaves of unsynced writes; default: drawn per store;
 *   `lying`: what was synced is lost with it;
 * - at rest: `flipStoredBit`, `rotSlot`, `loseFile`, `damageStore`, `wipe`.
 *
 * Those at rest are silent: watchers of stores are not told, because what lies there now was never
 * written. The returned path and key say what it was.
 */
import type { Prng } from "../../../src/base/prng.ts";
import { OttlaError } from "../../../src/model/errors.ts";
import { type ArmedFault, ArmedFaults, type DiskFault } from "./armed-faults.ts";
import type { PointKind } from "./crash-points.ts";
import { DiskGate } from "./disk-gate.ts";
import { DiskTree, type FileNode, parentOf, type SlotNode } from "./disk-tree.ts";
import type { PowerLossShape } from "./power-loss.ts";
import type { Incarnation } from "./sim-node.ts";
import { type OnChange, type StoreState, withFlippedBit } from "./store-state.ts";
import type { World } from "./world.ts";

export type { ArmedFault, DiskFault } from "./armed-faults.ts";

export interface DiskLatency {
  readonly readMs: number;
  readonly writeMs: number;
  readonly syncMs: number;
  /** One operation in so many takes `tailMs` instead. Default 200; 0: none does. */
  readonly tailOneIn?: number;
  /** Default: 10 to 50 times the mean. */
  readonly tailMs?: readonly [number, number];
}

export const QUIET_LATENCY: DiskLatency = { readMs: 0.1, writeMs: 0.1, syncMs: 0.8 };

type LatencyKind = "readMs" | "writeMs" | "syncMs";

export interface DiskOperation<Value> {
  readonly latency: LatencyKind;
  readonly label: string;
  readonly path: string;
  /** Where a crash may be wanted; absent for reads. */
  readonly point?: PointKind;
  readonly apply: () => Value;
  /** What half of it does, if the process dies before it is done. Default: all of `apply`, or none. */
  readonly applyHalf?: (prng: Prng) => void;
}

interface PendingOperation {
  readonly apply: () => unknown;
  readonly applyHalf?: ((prng: Prng) => void) | undefined;
}

/** What was damaged, and how; for whoever keeps the books. */
export interface Damage {
  readonly path: string;
  /** Of the store's entry. */
  readonly key?: Uint8Array;
}

export class SimDisk {
  readonly #capacityBytes: number;
  readonly #latencies: Prng;
  readonly #crashes: Prng;
  readonly #powerLosses: Prng;
  readonly #tree: DiskTree;
  readonly #locks = new Map<string, Incarnation>();
  readonly #pending = new Set<PendingOperation>();
  readonly #armed = new ArmedFaults();
  readonly #hang: DiskGate;
  readonly #storesStall: DiskGate;
  /** Ends the wait of a slow operation. */
  readonly #slow = new Set<() => void>();
  /** Of what a fault hits, and which bits. */
  readonly prng: Prng;
  latency: DiskLatency = QUIET_LATENCY;
  /** Every write fails as on a full disk; opening a store fails too. */
  full = false;
  /** Default: drawn for each store. */
  powerLossShape: PowerLossShape | undefined;
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
  #lying = false;

  constructor(world: World, prng: Prng, capacityBytes = 2 ** 40) {
    this.#capacityBytes = capacityBytes;
    this.prng = prng;
    this.#latencies = prng.fork("latencies");
    this.#crashes = prng.fork("crashes");
    this.#powerLosses = prng.fork("power losses");
    this.#hang = new DiskGate(world);
    this.#storesStall = new DiskGate(world);
    this.#tree = new DiskTree({
      nowMs: () => world.nowMs,
      onStoreChange: (...change) => this.onStoreChange(...change),
      onStoreGone: (path) => this.onStoreGone(path),
    });
  }

  /** That operation fails. The returned function takes it back. */
  arm(fault: DiskFault, how: ArmedFault = {}): () => void {
    return this.#armed.add(fault, how);
  }

  /** Nothing is armed, nothing hangs or is slow, syncs are true; what was damaged stays so. */
  disarm(): void {
    this.#armed.clear();
    for (const hasten of [...this.#slow]) hasten();
    this.#hang.open();
    this.#storesStall.open();
    this.powerLossShape = undefined;
    this.lying = false;
  }

  /** The fault that was armed for this operation, if one was. */
  takeFault(fault: DiskFault, path: string): ArmedFault | undefined {
    const how = this.#armed.take(fault, path);
    if (how !== undefined) this.faultsCount++;
    return how;
  }

  refuseIfFull(what: string): void {
    if (!this.full) return;
    this.faultsCount++;
    throw new OttlaError("DISK_FULL", `${what}: no space left on the simulated disk`);
  }

  /** Nothing settles for that long; operations begun meanwhile wait too. */
  hang(durationMs: number): void {
    this.#hang.close(durationMs);
    this.faultsCount++;
  }

  /** Writes of all stores wait for that long; reads and plain files do not. */
  stallStores(durationMs: number): void {
    this.#storesStall.close(durationMs);
    this.faultsCount++;
  }

  get lying(): boolean {
    return this.#lying;
  }

  set lying(lying: boolean) {
    this.#lying = lying;
    for (const [, state] of this.#tree.stores()) state.lying = lying;
  }

  delayMs(kind: LatencyKind): number {
    const { tailOneIn = 200, tailMs } = this.latency;
    const mean = this.latency[kind];
    const drawn = (mean * this.#latencies.between(20, 180)) / 100;
    if (tailOneIn === 0 || !this.#latencies.chance(1, tailOneIn)) return drawn;
    if (tailMs !== undefined) return this.#latencies.between(...tailMs);
    return drawn * this.#latencies.between(10, 50);
  }

  /** An operation's end, once the disk lets it. */
  complete(incarnation: Incarnation, ofStore: boolean, run: () => void): void {
    if (!ofStore) this.#hang.pass(incarnation, run);
    else this.#storesStall.pass(incarnation, () => this.#hang.pass(incarnation, run));
  }

  read<Value>(incarnation: Incarnation, label: string, run: () => Value): Promise<Value> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        try {
          resolve(run());
        } catch (thrown) {
          reject(thrown);
        }
      };
      incarnation.later(this.delayMs("readMs"), "disk", label, () =>
        this.complete(incarnation, false, settle),
      );
    });
  }

  /**
   * One operation on files: takes its time, then `apply` happens and the promise settles. If the
   * process dies before that, it happened or not.
   */
  operation<Value>(incarnation: Incarnation, operation: DiskOperation<Value>): Promise<Value> {
    const { latency, label, path, point, apply, applyHalf } = operation;
    const { node } = incarnation;
    const pending: PendingOperation = { apply, applyHalf };
    if (latency !== "readMs") this.#pending.add(pending);
    if (point !== undefined) node.reach(point, "issued", path);
    const slowMs = point === "store-open" ? this.takeFault("slow-open", path)?.delayMs : undefined;
    return new Promise((resolve, reject) => {
      const run = (): void => {
        this.#pending.delete(pending);
        let value: Value;
        try {
          value = apply();
        } catch (thrown) {
          reject(thrown);
          return;
        }
        if (point !== undefined) node.reach(point, "completed", path);
        if (incarnation.alive) resolve(value);
      };
      const delayMs = this.delayMs(latency);
      const end = (): void => this.complete(incarnation, false, run);
      if (slowMs === undefined) incarnation.later(delayMs, "disk", label, end);
      else {
        const waiting = incarnation.later(delayMs + slowMs, "disk", label, () => {
          this.#slow.delete(hasten);
          end();
        });
        const hasten = (): void => {
          waiting.cancel();
          this.#slow.delete(hasten);
          incarnation.later(delayMs, "disk", label, end);
        };
        this.#slow.add(hasten);
      }
    });
  }

  processEnded(powerLost: boolean): void {
    for (const { apply, applyHalf } of this.#pending) {
      const drawn = this.#crashes.below(4);
      try {
        if (drawn === 0 && applyHalf !== undefined) applyHalf(this.#crashes);
        // It is there, and the directory is not synced.
        else if (drawn < 2) this.#tree.unsynced(apply);
      } catch {
        // What fails now would have failed then; nobody is left to be told.
      }
    }
    this.#pending.clear();
    this.#locks.clear();
    this.#armed.clear();
    this.#hang.clear();
    this.#storesStall.clear();
    this.#slow.clear();
    if (powerLost) this.#tree.losePower(this.#powerLosses);
    const powerLoss = powerLost
      ? { prng: this.#powerLosses, shape: this.powerLossShape }
      : undefined;
    for (const [, state] of this.#tree.stores()) state.processEnded(this.#crashes, powerLoss);
    if (powerLost && this.#lying) this.#tree.forgetSlots(this.#powerLosses);
  }

  /** Everything is gone: a new disk. */
  wipe(): void {
    this.#tree.clear();
  }

  /** One bit of one stored value or file below `path`; undefined if there is nothing. */
  flipStoredBit(path = ""): Damage | undefined {
    const candidates = [...this.#tree.all()].filter(([at, node]) => {
      if (!at.startsWith(path)) return false;
      return node.type === "store" ? node.state.entriesCount > 0 : node.type === "file";
    });
    if (candidates.length === 0) return undefined;
    const [at, node] = this.prng.pick(candidates);
    if (node.type === "store") {
      const key = node.state.flipBit(this.prng);
      return key === undefined ? undefined : { path: at, key };
    }
    if (node.type !== "file" || node.content.length === 0) return undefined;
    node.content = withFlippedBit(node.content, this.prng);
    return { path: at };
  }

  /** The slot that was written last cannot be read any more, or (`both`) neither can. */
  rotSlot(path: string, both: boolean): Damage | undefined {
    const node = this.#tree.node(path);
    if (node?.type !== "slot") return undefined;
    node.value = node.before;
    node.damaged = both;
    return { path };
  }

  /** A file, slot file or table of a store is gone. */
  loseFile(path: string): Damage | undefined {
    const node = this.#tree.node(path);
    if (node === undefined || node.type === "directory") return undefined;
    if (node.type === "store") node.state.damaged = true;
    else this.#tree.lose(path);
    return { path };
  }

  /** Its manifest does not parse: it does not open until it is removed. */
  damageStore(path: string): Damage | undefined {
    const node = this.#tree.node(path);
    if (node?.type !== "store") return undefined;
    node.state.damaged = true;
    return { path };
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
    return this.#tree.node(path);
  }

  /** Every path, in the order in which they came to be. */
  all(): IterableIterator<readonly [string, FileNode]> {
    return this.#tree.all();
  }

  /** The content is there, and the directory synced. */
  putFile(path: string, content: Uint8Array): void {
    this.#tree.put(path, { type: "file", content });
    this.#tree.synced(parentOf(path));
  }

  /** The slot file in `path`, made if missing. */
  slot(path: string): SlotNode {
    const existing = this.#tree.node(path);
    if (existing?.type === "slot") return existing;
    if (existing !== undefined) {
      throw new OttlaError("KAFKA_STORAGE_ERROR", `${path} is not a slot file`);
    }
    const made: SlotNode = { type: "slot", value: undefined, before: undefined, damaged: false };
    this.#tree.put(path, made);
    this.#tree.synced(parentOf(path));
    return made;
  }

  /** Those that are new are synced into their parents. */
  makeDirectories(path: string): void {
    const isNew = this.#tree.node(path) === undefined;
    this.#tree.makeDirectories(path);
    for (let at = path; isNew && at !== ""; at = parentOf(at)) this.#tree.synced(parentOf(at));
  }

  /** The store in `path`, made if missing and asked for. */
  store(path: string, createIfMissing: boolean): StoreState {
    const state = this.#tree.store(path, createIfMissing);
    state.lying = this.#lying;
    return state;
  }

  /** Names directly below `path`, sorted. */
  list(path: string): string[] {
    return this.#tree.list(path);
  }

  /** The node at `path` and all below it. */
  below(path: string): IterableIterator<readonly [string, FileNode]> {
    return this.#tree.below(path);
  }

  remove(path: string): void {
    this.#tree.unsynced(() => this.#tree.remove(path));
  }

  removeHalf(path: string, prng: Prng): void {
    this.#tree.unsynced(() => this.#tree.removeHalf(path, prng));
  }

  rename(from: string, to: string): void {
    this.#tree.rename(from, to);
    this.#tree.synced(parentOf(from));
    this.#tree.synced(parentOf(to));
  }

  sizeBytes(path: string): number {
    return this.#tree.sizeBytes(path);
  }

  get totalBytes(): number {
    return this.#capacityBytes;
  }

  get freeBytes(): number {
    return this.full ? 0 : Math.max(0, this.#capacityBytes - this.#tree.usedBytes);
  }
}
