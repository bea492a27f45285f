/**
 * Every node's metadata log as it lies on its disk, kept in step with each write and crash by
 * watching the stores; and the committed log of the whole quorum, as the first node that applied
 * an entry has it.
 */
import { readUint32, text } from "../../../src/base/bytes.ts";
import type { LogIndex, Term } from "../../../src/model/ids.ts";
import { BEFORE_FIRST, type EntryId } from "../../../src/raft/log-view.ts";
import { decodeVoters } from "../../../src/raft/membership.ts";
import type { EntryKind, RaftNode } from "../../../src/raft/messages.ts";
import type { HardState } from "../../../src/raft/state.ts";
import type { MetadataLogStatus } from "../../../src/runtime/metadata-log.ts";
import {
  BASE_KEY,
  decodeEntry,
  decodeSealed,
  entryKey,
  HARD_STATE_KEY,
} from "../../../src/storage/raft-codec.ts";
import type { RaftMark } from "../../../src/storage/raft-mark.ts";
import { crc32c } from "../world/sim-codecs.ts";
import type { SimNode } from "../world/sim-node.ts";
import { LOG_DIR } from "./cluster-config.ts";

const RAFT_PATH = `${LOG_DIR}/raft`;
const SNAPSHOTS_PATH = `${LOG_DIR}/snapshots`;
const MARK_PATH = `${LOG_DIR}/raft-mark`;
const ENTRY_KEY_BYTES = 9;
/** Of a snapshot's file: magic, checksum and the size of the header. */
const SNAPSHOT_HEADER_SIZE_AT = 8;
const SNAPSHOT_PREAMBLE_BYTES = 12;

export interface StoredEntry {
  readonly index: LogIndex;
  readonly term: Term;
  readonly kind: EntryKind;
  readonly payload: Uint8Array;
  readonly hash: number;
}

export interface CommittedEntry extends StoredEntry {
  /** Who applied it first. */
  readonly node: string;
}

export interface StoredSnapshot {
  readonly index: LogIndex;
  readonly term: Term;
  readonly voters: readonly RaftNode[];
  readonly bytes: Uint8Array;
}

/** `lost`: with the power; `directory`: the whole store was set aside or wiped. */
export type RaftRemoval = "truncated" | "compacted" | "lost" | "directory";

export interface QuorumObserver {
  onRaftWritten?(log: ObservedRaftLog, entry: StoredEntry): void;
  onRaftRemoved?(log: ObservedRaftLog, entry: StoredEntry, how: RaftRemoval): void;
  onHardState?(log: ObservedRaftLog, before: HardState | undefined): void;
  /** The entry before the first that is kept has moved. */
  onRaftBase?(log: ObservedRaftLog, before: EntryId): void;
}

export class ObservedRaftLog {
  readonly machine: SimNode;
  readonly entries = new Map<LogIndex, StoredEntry>();
  base: EntryId = BEFORE_FIRST;
  lastIndex: LogIndex = 0;
  hardState: HardState | undefined;
  #markBytes: Uint8Array | undefined;
  #mark: RaftMark | undefined;

  constructor(machine: SimNode) {
    this.machine = machine;
  }

  get node(): string {
    return this.machine.name;
  }

  get term(): Term {
    return this.hardState?.term ?? 0;
  }

  /** Of an entry that is stored, or stands before the first one. */
  termAt(index: LogIndex): Term | undefined {
    if (index === this.base.index) return this.base.term;
    return this.entries.get(index)?.term;
  }

  hardStateIsDurable(): boolean {
    return this.#isSynced(HARD_STATE_KEY);
  }

  /** Whether a loss of power leaves the entry, or a snapshot that stands for it. */
  holdsDurably(index: LogIndex, term: Term): boolean {
    const found = this.entries.get(index);
    if (found !== undefined) return found.term === term && this.#isSynced(entryKey(index));
    return index <= this.snapshotIndex;
  }

  /** The newest voter set that its log has; undefined if it has none. */
  get voters(): readonly RaftNode[] | undefined {
    let newest: StoredEntry | undefined;
    for (const entry of this.entries.values()) {
      if (entry.kind === "config" && entry.index > (newest?.index ?? 0)) newest = entry;
    }
    const snapshot = this.snapshot();
    if (newest === undefined || newest.index <= (snapshot?.index ?? 0)) return snapshot?.voters;
    return decodeVoters(newest.payload);
  }

  /** 0: there is none. */
  get snapshotIndex(): LogIndex {
    const name = this.#snapshotName();
    return name === undefined ? 0 : Number(name.slice(0, name.indexOf("-")));
  }

  /** The newest one whose file is whole. */
  snapshot(): StoredSnapshot | undefined {
    const name = this.#snapshotName();
    const file =
      name === undefined ? undefined : this.machine.disk.node(`${SNAPSHOTS_PATH}/${name}`);
    if (file?.type !== "file") return undefined;
    const { content } = file;
    const end = SNAPSHOT_PREAMBLE_BYTES + readUint32(content, SNAPSHOT_HEADER_SIZE_AT);
    const header = JSON.parse(text(content.subarray(SNAPSHOT_PREAMBLE_BYTES, end))) as Omit<
      StoredSnapshot,
      "bytes"
    >;
    return { ...header, bytes: content.subarray(end) };
  }

  mark(): RaftMark | undefined {
    const slot = this.machine.disk.node(MARK_PATH);
    if (slot?.type !== "slot" || slot.value === undefined) return undefined;
    // A slot's value is replaced, never changed.
    if (slot.value !== this.#markBytes) {
      this.#markBytes = slot.value;
      this.#mark = JSON.parse(text(slot.value)) as RaftMark;
    }
    return this.#mark;
  }

  #snapshotName(): string | undefined {
    return this.machine.disk
      .list(SNAPSHOTS_PATH)
      .filter((name) => name.endsWith(".snapshot"))
      .at(-1);
  }

  #isSynced(key: Uint8Array): boolean {
    const store = this.machine.disk.node(RAFT_PATH);
    return store?.type === "store" && store.state.isSynced(key);
  }
}

export class ObservedQuorum {
  readonly observers: QuorumObserver[] = [];
  /** In order, from index 1. */
  readonly committed: CommittedEntry[] = [];
  readonly #logs = new Map<string, ObservedRaftLog>();

  attach(machine: SimNode): void {
    const log = new ObservedRaftLog(machine);
    this.#logs.set(machine.name, log);
    const { disk } = machine;
    const { onStoreChange, onStoreGone } = disk;
    disk.onStoreChange = (path, key, before, after) => {
      onStoreChange(path, key, before, after);
      if (path === RAFT_PATH) this.#changed(log, key, after);
    };
    disk.onStoreGone = (path) => {
      onStoreGone(path);
      if (path === RAFT_PATH) this.#gone(log);
    };
  }

  log(node: string): ObservedRaftLog {
    const log = this.#logs.get(node);
    if (log === undefined) throw new Error(`there is no machine ${node}`);
    return log;
  }

  get committedIndex(): LogIndex {
    return this.committed.length;
  }

  committedAt(index: LogIndex): CommittedEntry | undefined {
    return this.committed[index - 1];
  }

  /** What the node has applied and nobody had before it; in order. */
  takeApplied(node: string, { appliedIndex }: MetadataLogStatus): readonly CommittedEntry[] {
    const log = this.log(node);
    const fresh: CommittedEntry[] = [];
    for (let index = this.committed.length + 1; index <= appliedIndex; index++) {
      const entry = log.entries.get(index);
      // It came with a snapshot; somebody has it in its log, and will be seen to.
      if (entry === undefined) break;
      const committed = { ...entry, node };
      this.committed.push(committed);
      fresh.push(committed);
    }
    return fresh;
  }

  #changed(log: ObservedRaftLog, key: Uint8Array, after: Uint8Array | undefined): void {
    if (key.length === ENTRY_KEY_BYTES) {
      const entry = after === undefined ? undefined : decodeEntry(key, after, crc32c);
      const index = entry?.index ?? indexOf(key);
      const alive = log.machine.incarnation !== undefined;
      this.#remove(
        log,
        index,
        alive ? (index <= log.base.index ? "compacted" : "truncated") : "lost",
      );
      if (entry === undefined) return;
      const { term, kind, payload } = entry;
      const stored = { index, term, kind, payload, hash: crc32c(payload, term) };
      log.entries.set(index, stored);
      log.lastIndex = Math.max(log.lastIndex, index);
      for (const observer of this.observers) observer.onRaftWritten?.(log, stored);
      return;
    }
    if (key[0] === HARD_STATE_KEY[0]) {
      const before = log.hardState;
      log.hardState = decoded(key, after) as HardState | undefined;
      for (const observer of this.observers) observer.onHardState?.(log, before);
    } else if (key[0] === BASE_KEY[0]) {
      const before = log.base;
      log.base = (decoded(key, after) as EntryId | undefined) ?? BEFORE_FIRST;
      log.lastIndex = Math.max(log.lastIndex, log.base.index);
      for (const observer of this.observers) observer.onRaftBase?.(log, before);
    }
  }

  #remove(log: ObservedRaftLog, index: LogIndex, how: RaftRemoval): void {
    const entry = log.entries.get(index);
    if (entry === undefined) return;
    log.entries.delete(index);
    while (log.lastIndex > log.base.index && !log.entries.has(log.lastIndex)) log.lastIndex--;
    for (const observer of this.observers) observer.onRaftRemoved?.(log, entry, how);
  }

  #gone(log: ObservedRaftLog): void {
    for (const index of [...log.entries.keys()]) this.#remove(log, index, "directory");
    const before = log.hardState;
    log.base = BEFORE_FIRST;
    log.lastIndex = 0;
    log.hardState = undefined;
    for (const observer of this.observers) observer.onHardState?.(log, before);
  }
}

function decoded(key: Uint8Array, value: Uint8Array | undefined): unknown {
  return value === undefined ? undefined : decodeSealed(key, value, crc32c);
}

/** As `indexOfKey`, of a key whose value is gone. */
function indexOf(key: Uint8Array): LogIndex {
  return readUint32(key, 1) * 0x1_0000_0000 + readUint32(key, 5);
}
