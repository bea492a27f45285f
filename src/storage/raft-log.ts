/**
 * The metadata log of one node: entries and hard state in LevelDB under `raft/`, snapshots as files
 * under `snapshots/`, the durable mark in `raft-mark`. One operation runs at a time, in the order
 * they were called. After the first failure every call rejects: LevelDB may lose later writes in
 * silence once one has failed, so the process must start again and verify.
 */
import { assert } from "../base/assert.ts";
import { OttlaError, toOttlaError } from "../model/errors.ts";
import { type BrokerId, type DirectoryId, type LogIndex, uuidFrom } from "../model/ids.ts";
import type { SlotFile } from "../ports/files.ts";
import type { KeyValueStore, WriteOperation } from "../ports/key-value-store.ts";
import type { Ports } from "../ports/ports.ts";
import { BEFORE_FIRST, type EntryId, LogView } from "../raft/log-view.ts";
import { formationEntry } from "../raft/membership.ts";
import type { RaftEntry, RaftNode } from "../raft/messages.ts";
import type { HardState, PersistedState, RaftWrite, SnapshotInstall } from "../raft/state.ts";
import {
  BASE_KEY,
  decodeEntry,
  decodeSealed,
  ENTRY_KEYS_END,
  encodeEntry,
  encodeSealed,
  entryKey,
  FORMATION_KEY,
  HARD_STATE_KEY,
  indexOfKey,
} from "./raft-codec.ts";
import {
  encodeMark,
  missingFromLog,
  type RaftMark,
  raisedMark,
  readMark,
  sameMark,
} from "./raft-mark.ts";
import { SnapshotStore } from "./snapshot-store.ts";

export type RaftLogPorts = Pick<Ports, "stores" | "files" | "codecs" | "random" | "logger">;

export interface RaftLogOptions {
  /** Holds `raft/`, `snapshots/` and `raft-mark`. */
  readonly dataDirectory: string;
  readonly brokerId: BrokerId;
  /**
   * Whether no other voter could give back what this log lost. Then `open` refuses a log that ends
   * below its mark; else it is set aside and the node begins anew under a new directory id.
   */
  readonly soleVoter: boolean;
}

export interface OpenedRaftLog {
  readonly log: RaftLog;
  readonly persisted: PersistedState;
  /** What the state machine is loaded from. */
  readonly snapshot: SnapshotInstall | undefined;
}

const FRESH_HARD_STATE: HardState = { term: 0, votedFor: undefined, commitIndex: 0 };
const FRESH: PersistedState = {
  hardState: FRESH_HARD_STATE,
  snapshot: undefined,
  base: BEFORE_FIRST,
  entries: [],
};

/** The log holds little between two snapshots; LevelDB need not keep 4 MiB of it twice. */
const STORE_OPTIONS = { writeBufferBytes: 1024 * 1024 };

interface Contents {
  readonly hardState: HardState;
  readonly formation: readonly RaftNode[];
  readonly base: EntryId;
  readonly entries: readonly RaftEntry[];
  /** Keys found above the last good entry: to be removed. */
  readonly excessKeys: readonly Uint8Array[];
}

export class RaftLog {
  readonly #ports: RaftLogPorts;
  readonly #markFile: SlotFile;
  #mark: RaftMark;
  readonly #store: KeyValueStore;
  readonly #snapshots: SnapshotStore;
  #formation: readonly RaftNode[] = [];
  #hardState: HardState = FRESH_HARD_STATE;
  #base: EntryId = BEFORE_FIRST;
  #last: EntryId = BEFORE_FIRST;
  #queue: Promise<unknown> = Promise.resolve();
  #failure: unknown;

  private constructor(
    ports: RaftLogPorts,
    parts: { markFile: SlotFile; mark: RaftMark; store: KeyValueStore; snapshots: SnapshotStore },
  ) {
    this.#ports = ports;
    this.#markFile = parts.markFile;
    this.#mark = parts.mark;
    this.#store = parts.store;
    this.#snapshots = parts.snapshots;
  }

  /**
   * Opens and verifies. Rejects with DIRECTORY_FOREIGN if the directory is another broker's,
   * DIRECTORY_LOCKED, DIRECTORY_DAMAGED (sole voter only), or a storage error.
   */
  static async open(ports: RaftLogPorts, options: RaftLogOptions): Promise<OpenedRaftLog> {
    const { dataDirectory, brokerId } = options;
    await ports.files.makeDirectory(dataDirectory);
    const markFile = await ports.files.openSlotFile(`${dataDirectory}/raft-mark`);
    try {
      const mark = readMark(markFile);
      if (mark !== undefined && mark.brokerId !== brokerId) {
        throw new OttlaError(
          "DIRECTORY_FOREIGN",
          `${dataDirectory} holds the metadata log of broker ${mark.brokerId}, this is broker ${brokerId}`,
        );
      }
      return await RaftLog.#openVerified(ports, options, markFile, mark);
    } catch (error) {
      await markFile.close();
      throw error;
    }
  }

  static async #openVerified(
    ports: RaftLogPorts,
    options: RaftLogOptions,
    markFile: SlotFile,
    mark: RaftMark | undefined,
  ): Promise<OpenedRaftLog> {
    const directory = options.dataDirectory;
    let reason: string | undefined;
    const store = await ports.stores
      .open(`${directory}/raft`, STORE_OPTIONS)
      .catch((error: unknown) => {
        if (toOttlaError(error).code !== "DIRECTORY_DAMAGED") throw error;
        reason = "the store is damaged";
        return undefined;
      });
    try {
      const { store: snapshots, newest } = await SnapshotStore.open(
        ports,
        `${directory}/snapshots`,
      );
      if (store !== undefined) {
        const contents = await readContents(store, ports);
        const found = typeof contents === "string" ? contents : joinSnapshot(contents, newest);
        if (typeof found === "string") reason = found;
        else if (mark === undefined && isEmpty(found)) {
          const fresh = freshMark(ports, options.brokerId, { renewed: false });
          await markFile.write(encodeMark(fresh));
          const log = new RaftLog(ports, { markFile, mark: fresh, store, snapshots });
          return { log, persisted: FRESH, snapshot: undefined };
        } else if (mark === undefined) reason = "the mark is missing";
        else {
          reason = missingFromLog(mark, found.hardState, new LogView(found.base, found.entries));
          if (reason === undefined) {
            const log = new RaftLog(ports, { markFile, mark, store, snapshots });
            await log.#adopt(found);
            return { log, persisted: { ...found, snapshot: newest?.head }, snapshot: newest };
          }
        }
      }
    } catch (error) {
      await store?.close();
      throw error;
    }
    await store?.close();
    assert(reason !== undefined, "a log that is not taken is refused for a reason");
    return RaftLog.#renew(ports, options, markFile, reason);
  }

  /**
   * The log broke a promise: whoever wrote it must not vote or count again. It is set aside, for
   * people, and the node begins as somebody else, who is sent everything by the leader.
   */
  static async #renew(
    ports: RaftLogPorts,
    options: RaftLogOptions,
    markFile: SlotFile,
    reason: string,
  ): Promise<OpenedRaftLog> {
    const directory = options.dataDirectory;
    if (options.soleVoter) {
      throw new OttlaError(
        "DIRECTORY_DAMAGED",
        `The metadata log in ${directory} lost what it had promised to keep (${reason}), and there is no other voter that could have it`,
      );
    }
    const { files } = ports;
    const aside = `${directory}/raft-quarantine`;
    await files.remove(aside);
    await files.makeDirectory(aside);
    // A crash in between leaves the old mark over an empty log, which comes here again.
    for (const part of ["raft", "snapshots"]) {
      await files.rename(`${directory}/${part}`, `${aside}/${part}`);
    }
    const mark = freshMark(ports, options.brokerId, { renewed: true });
    await markFile.write(encodeMark(mark));
    ports.logger.warn(
      "The metadata log lost its tail: this node returns under a new directory id",
      {
        directory,
        reason,
        directoryId: mark.directoryId,
        aside,
      },
    );
    const store = await ports.stores.open(`${directory}/raft`, STORE_OPTIONS);
    const { store: snapshots } = await SnapshotStore.open(ports, `${directory}/snapshots`);
    const contents = await readContents(store, ports);
    assert(typeof contents !== "string" && isEmpty(contents), "what was set aside is gone");
    const log = new RaftLog(ports, { markFile, mark, store, snapshots });
    return { log, persisted: FRESH, snapshot: undefined };
  }

  get directoryId(): DirectoryId {
    return this.#mark.directoryId;
  }

  /** Whether this directory never belonged to a cluster: only such a node may help to form one. */
  get isPristine(): boolean {
    return !this.#mark.renewed && this.#last.index === 0 && this.#hardState.term === 0;
  }

  /** The voter set that this node formed its cluster with; empty if it came later. */
  get formation(): readonly RaftNode[] {
    return this.#formation;
  }

  /** The first entry of a new cluster, agreed on by all its voters; durable once settled. */
  async form(voters: readonly RaftNode[]): Promise<PersistedState> {
    assert(this.isPristine, "a cluster forms of empty nodes");
    const entry = formationEntry(voters);
    const hardState: HardState = { term: entry.term, votedFor: undefined, commitIndex: 1 };
    await this.#run(async () => {
      this.#formation = voters;
      const sealed = encodeSealed(voters, FORMATION_KEY, this.#ports.codecs.crc32c);
      await this.#append({ hardState, entries: [entry] }, [
        { type: "put", key: FORMATION_KEY, value: sealed },
      ]);
    });
    return { hardState, snapshot: undefined, base: BEFORE_FIRST, entries: [entry] };
  }

  /** Makes `write` durable, mark included. */
  async write(write: RaftWrite): Promise<void> {
    const { hardState, snapshot, entries } = write;
    if (hardState === undefined) return;
    await this.#run(async () => {
      const first = entries[0]?.index;
      if (snapshot !== undefined) {
        // Lowered before the log is replaced: a crash in between must not look like a lost tail.
        await this.#lowerMark(Math.min(this.#last.index, this.#hardState.commitIndex));
        await this.#snapshots.save(snapshot);
        const removed = this.#restartAt(snapshot.head);
        await this.#append({ hardState, entries }, removed);
        return;
      }
      if (first !== undefined && first <= this.#last.index) await this.#lowerMark(first - 1);
      await this.#append({ hardState, entries }, []);
    });
  }

  /** Durable once settled; skipped if a newer snapshot is there. */
  async saveSnapshot(snapshot: SnapshotInstall): Promise<void> {
    await this.#run(() => this.#snapshots.save(snapshot));
  }

  /** The newest snapshot; undefined if there is none, or it can no longer be read. */
  async readSnapshot(): Promise<SnapshotInstall | undefined> {
    return this.#run(() => this.#snapshots.read());
  }

  /** Forgets entries up to `upTo`, which a durable snapshot holds. Not durable by itself. */
  async compact(upTo: EntryId): Promise<void> {
    await this.#run(async () => {
      const { head } = this.#snapshots;
      assert(head !== undefined && head.index >= upTo.index, "a snapshot holds what is forgotten");
      if (upTo.index <= this.#base.index || upTo.index > this.#last.index) return;
      const operations: WriteOperation[] = [this.#baseOperation(upTo)];
      for (let index = this.#base.index + 1; index <= upTo.index; index++) {
        operations.push({ type: "delete", key: entryKey(index) });
      }
      await this.#store.write(operations, { sync: false });
      this.#base = upTo;
    });
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    await this.#queue.catch(() => {});
    this.#failure ??= new OttlaError("CLOSED", "The metadata log is closed");
    await this.#store.close();
    await this.#markFile.close();
  }

  /** One at a time; the first failure is the last word. */
  #run<Result>(task: () => Promise<Result>): Promise<Result> {
    const result = this.#queue.then(async () => {
      if (this.#failure !== undefined) throw this.#failure;
      try {
        return await task();
      } catch (error) {
        this.#failure = error;
        throw error;
      }
    });
    this.#queue = result.catch(() => {});
    return result;
  }

  async #adopt(contents: Contents & { readonly restarted: boolean }): Promise<void> {
    const last = contents.entries[contents.entries.length - 1] ?? contents.base;
    this.#formation = contents.formation;
    this.#hardState = contents.hardState;
    this.#base = contents.base;
    this.#last = { index: last.index, term: last.term };
    const operations: WriteOperation[] = contents.excessKeys.map((key) => ({
      type: "delete",
      key,
    }));
    if (contents.restarted) operations.push(this.#baseOperation(contents.base));
    // What the last life wrote and did not see synced is vouched for from the first message on: this
    // write makes it durable before the mark says so.
    operations.push(this.#hardStateOperation(contents.hardState));
    await this.#store.write(operations, { sync: true });
    await this.#raiseMark();
  }

  async #append(
    { hardState, entries }: { hardState: HardState; entries: readonly RaftEntry[] },
    operations: readonly WriteOperation[],
  ): Promise<void> {
    const { crc32c } = this.#ports.codecs;
    const all: WriteOperation[] = [...operations];
    const first = entries[0];
    if (first !== undefined) {
      assert(
        first.index > this.#base.index && first.index <= this.#last.index + 1,
        "the stored log has no gaps",
      );
      const last = entries[entries.length - 1] as RaftEntry;
      for (let index = last.index + 1; index <= this.#last.index; index++) {
        all.push({ type: "delete", key: entryKey(index) });
      }
      for (const entry of entries) {
        const key = entryKey(entry.index);
        all.push({ type: "put", key, value: encodeEntry(entry, key, crc32c) });
      }
      this.#last = { index: last.index, term: last.term };
    }
    all.push(this.#hardStateOperation(hardState));
    await this.#store.write(all, { sync: true });
    this.#hardState = hardState;
    await this.#raiseMark();
  }

  /** The operations that empty the log, so that it continues behind `head`. */
  #restartAt(head: EntryId): readonly WriteOperation[] {
    const operations: WriteOperation[] = [];
    for (let index = this.#base.index + 1; index <= this.#last.index; index++) {
      operations.push({ type: "delete", key: entryKey(index) });
    }
    this.#base = { index: head.index, term: head.term };
    this.#last = this.#base;
    operations.push(this.#baseOperation(this.#base));
    return operations;
  }

  #baseOperation(base: EntryId): WriteOperation {
    const { index, term } = base;
    const value = encodeSealed({ index, term }, BASE_KEY, this.#ports.codecs.crc32c);
    return { type: "put", key: BASE_KEY, value };
  }

  #hardStateOperation(hardState: HardState): WriteOperation {
    const value = encodeSealed(hardState, HARD_STATE_KEY, this.#ports.codecs.crc32c);
    return { type: "put", key: HARD_STATE_KEY, value };
  }

  async #lowerMark(lastIndex: LogIndex): Promise<void> {
    if (lastIndex >= this.#mark.lastIndex) return;
    await this.#writeMark({ ...this.#mark, lastIndex, lastTerm: undefined });
  }

  async #raiseMark(): Promise<void> {
    await this.#writeMark(raisedMark(this.#mark, this.#hardState, this.#last));
  }

  async #writeMark(mark: RaftMark): Promise<void> {
    if (sameMark(mark, this.#mark)) return;
    await this.#markFile.write(encodeMark(mark));
    this.#mark = mark;
  }
}

function freshMark(
  ports: RaftLogPorts,
  brokerId: BrokerId,
  { renewed }: { readonly renewed: boolean },
): RaftMark {
  const directoryId: DirectoryId = uuidFrom(ports.random.bytes(16));
  return {
    brokerId,
    directoryId,
    renewed,
    term: 0,
    votedFor: undefined,
    lastIndex: 0,
    lastTerm: undefined,
  };
}

function isEmpty(contents: Contents): boolean {
  return (
    contents.base.index === 0 && contents.entries.length === 0 && contents.hardState.term === 0
  );
}

/** Everything stored, up to the first defect; a sentence if a value is damaged that has no other. */
async function readContents(
  store: KeyValueStore,
  { codecs }: RaftLogPorts,
): Promise<Contents | string> {
  const { crc32c } = codecs;
  const small = new Map<Uint8Array, unknown>();
  for (const key of [BASE_KEY, FORMATION_KEY, HARD_STATE_KEY]) {
    const value = await store.get(key);
    if (value === undefined) continue;
    const decoded = decodeSealed(key, value, crc32c);
    if (decoded === undefined) return "the hard state or the base is damaged";
    small.set(key, decoded);
  }
  const base = (small.get(BASE_KEY) as EntryId | undefined) ?? BEFORE_FIRST;
  const stored = small.get(HARD_STATE_KEY) as HardState | undefined;
  const entries: RaftEntry[] = [];
  const excessKeys: Uint8Array[] = [];
  const iterator = store.iterate({ gte: entryKey(0), lt: ENTRY_KEYS_END });
  try {
    for (;;) {
      const page = await iterator.next(1_000, 1024 * 1024);
      if (page.length === 0) break;
      for (const { key, value } of page) {
        const expected = base.index + entries.length + 1;
        const entry = decodeEntry(key, value, crc32c);
        const last = entries[entries.length - 1] ?? base;
        const follows = indexOfKey(key) === expected && entry !== undefined;
        if (excessKeys.length === 0 && follows && entry.term >= last.term) entries.push(entry);
        else excessKeys.push(key);
      }
    }
  } finally {
    await iterator.close();
  }
  return {
    hardState: { ...FRESH_HARD_STATE, ...stored },
    formation: (small.get(FORMATION_KEY) as readonly RaftNode[] | undefined) ?? [],
    base,
    entries,
    excessKeys,
  };
}

/**
 * Brings log and snapshot together. The snapshot is written before the log is cut for it, so after a
 * crash the log may end below the snapshot or disagree with it; then it starts anew behind it.
 */
function joinSnapshot(
  contents: Contents,
  newest: SnapshotInstall | undefined,
): (Contents & { readonly restarted: boolean }) | string {
  const head = newest?.head;
  if ((head?.index ?? 0) < contents.base.index) {
    return `the log begins behind entry ${contents.base.index}, and no snapshot reaches it`;
  }
  const log = new LogView(contents.base, contents.entries);
  if (head === undefined || log.matches(head)) return { ...contents, restarted: false };
  const excessKeys = [
    ...contents.excessKeys,
    ...contents.entries.map(({ index }) => entryKey(index)),
  ];
  const base = { index: head.index, term: head.term };
  // The hard state of that write is lost with it; its term is at least the snapshot's.
  const hardState =
    contents.hardState.term >= head.term
      ? contents.hardState
      : { term: head.term, votedFor: undefined, commitIndex: head.index };
  return { ...contents, base, entries: [], excessKeys, hardState, restarted: true };
}
