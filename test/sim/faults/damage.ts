/**
 * What happens to a disk while its machine is down. Stories name the part that is hit; drawn faults
 * count through the parts there are.
 */
import { utf8 } from "../../../src/base/bytes.ts";
import { type Offset, partitionKey } from "../../../src/model/ids.ts";
import type { Entry } from "../../../src/ports/key-value-store.ts";
import { placeBatch, readBatchHeader } from "../../../src/record/batch.ts";
import { decodeMarks } from "../../../src/storage/durable-marks.ts";
import { parseDirectoryName } from "../../../src/storage/replica-names.ts";
import { batchKey, isBatchKey, keyOffset, segmentBase } from "../../../src/storage/segment-keys.ts";
import type { SimBroker } from "../cluster/cluster.ts";
import { crc32c } from "../world/sim-codecs.ts";
import type { StoreState } from "../world/store-state.ts";

const LOGS = "/data/logs";
const METADATA_LOG = "/data/raft";
const SNAPSHOTS = "/data/snapshots";
const MARKS = "/data/marks";

/** One bit of the record at `offset` is another one. */
export function flipRecord(broker: SimBroker, offset: Offset): void {
  const { store, entries } = lastSegment(broker);
  const entry = entries.find(({ key }) => keyOffset(key) >= offset);
  if (entry === undefined) throw new Error(`there is no record at ${offset}`);
  // The last bytes of a batch are those of a value, before the count of no headers.
  put(broker, store, entry.key, flipped(entry.value, entry.value.length - 2));
}

/** What was fsynced is gone from `offset` on: a disk that lied. */
export function loseTail(broker: SimBroker, offset: Offset): void {
  const { store, entries } = lastSegment(broker);
  const lost = entries.filter(({ key }) => keyOffset(key) >= offset);
  store.perform(
    lost.map(({ key }) => ({ type: "delete", key })),
    true,
  );
  broker.node.disk.faultsCount++;
}

/** A batch behind a hole of as many offsets, as a torn journal leaves it. */
export function tearTail(broker: SimBroker, hole: number): void {
  const { store, entries } = lastSegment(broker);
  const last = entries.at(-1);
  if (last === undefined) throw new Error("there is no batch");
  const header = readBatchHeader(last.value);
  const baseOffset = keyOffset(last.key) + 1 + hole;
  const { leaderEpoch } = header;
  const torn = placeBatch({ bytes: last.value.slice(), header }, { baseOffset, leaderEpoch });
  put(broker, store, batchKey(baseOffset + header.lastOffsetDelta), torn.bytes);
}

/** One bit of the newest entry of the metadata log that says something. */
export function flipMetadata(broker: SimBroker): void {
  const store = storeAt(broker, METADATA_LOG);
  const entry = [...store.entries()].findLast(
    ({ key, value }) => key.length === 9 && value.length > 100,
  );
  if (entry === undefined) throw new Error("the metadata log is empty");
  put(broker, store, entry.key, flipped(entry.value, entry.value.length - 20));
}

/** The newest entries of the metadata log are gone, fsynced as they were. */
export function loseMetadata(broker: SimBroker, count: number): void {
  const store = storeAt(broker, METADATA_LOG);
  const keys = [...store.entries()].map(({ key }) => key).filter((key) => key.length === 9);
  store.perform(
    keys.slice(-count).map((key) => ({ type: "delete", key })),
    true,
  );
  broker.node.disk.faultsCount++;
}

/** A letter of every snapshot of the metadata, in a place where it stays well formed. */
export function flipSnapshots(broker: SimBroker, word: string): void {
  const { disk } = broker.node;
  let count = 0;
  for (const [, node] of disk.below(SNAPSHOTS)) {
    if (node.type !== "file") continue;
    const at = indexOf(node.content, utf8(word));
    if (at < 0) continue;
    node.content = flipped(node.content, at);
    count++;
  }
  if (count === 0) throw new Error(`no snapshot says ${word}`);
  disk.faultsCount++;
}

/**
 * One bit of a batch in some segment; false: there is no batch. Only of those that the broker has
 * noted to be durable: what lies above its mark and is not whole is taken for a write that was torn,
 * and no log could tell the difference.
 */
export function flipSomeBatch(broker: SimBroker, nth: number): boolean {
  const batches = segments(broker).flatMap(({ store, entries }) =>
    entries.map((entry) => ({ store, entry })),
  );
  const found = batches[nth % batches.length];
  if (found === undefined) return false;
  const { key, value } = found.entry;
  found.store.rot(key, flipped(value, nth % value.length));
  return true;
}

/** One bit of an entry of the metadata log; false: it is empty. */
export function flipSomeMetadata(broker: SimBroker, nth: number): boolean {
  const entries = metadataEntries(broker);
  const entry = entries[nth % entries.length];
  if (entry === undefined) return false;
  const { key, value } = entry;
  storeAt(broker, METADATA_LOG).rot(key, flipped(value, nth % value.length));
  return true;
}

/** One bit of a snapshot of the metadata; false: there is none. */
export function flipSomeSnapshot(broker: SimBroker, nth: number): boolean {
  const { disk } = broker.node;
  const files = [...disk.below(SNAPSHOTS)].flatMap(([, node]) =>
    node.type === "file" && node.content.length > 0 ? [node] : [],
  );
  const file = files[nth % files.length];
  if (file === undefined) return false;
  file.content = flipped(file.content, nth % file.content.length);
  return true;
}

/** The last entries of the metadata log are gone; false: it is empty. */
export function loseSomeMetadata(broker: SimBroker, count: number): boolean {
  if (metadataEntries(broker).length === 0) return false;
  loseMetadata(broker, count);
  return true;
}

function metadataEntries(broker: SimBroker): readonly Entry[] {
  if (broker.node.disk.node(METADATA_LOG)?.type !== "store") return [];
  const entries = [...storeAt(broker, METADATA_LOG).entries()];
  return entries.filter(({ key, value }) => key.length === 9 && value.length > 0);
}

/**
 * Those that hold batches which the broker vouches for, and in their place: what a cleaner has
 * written beside them is first seen when it takes theirs.
 */
function segments(
  broker: SimBroker,
): readonly { readonly store: StoreState; readonly entries: readonly Entry[] }[] {
  const { disk } = broker.node;
  const marks = disk.node(MARKS);
  const ends = marks?.type === "file" ? decodeMarks(marks.content, crc32c) : undefined;
  return [...disk.below(LOGS)].flatMap(([path, node]) => {
    if (node.type !== "store") return [];
    const [name = "", segment = ""] = path.slice(LOGS.length + 1).split("/");
    if (segmentBase(segment) === undefined) return [];
    const replica = parseDirectoryName(name);
    if (replica === undefined) return [];
    const end = ends?.get(partitionKey(replica.topicId, replica.partition))?.end ?? 0;
    const entries = [...node.state.entries()].filter(
      ({ key }) => isBatchKey(key) && keyOffset(key) < end,
    );
    return entries.length === 0 ? [] : [{ store: node.state, entries }];
  });
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice();
  copy[at] = (copy[at] as number) ^ 1;
  return copy;
}

function put(broker: SimBroker, store: StoreState, key: Uint8Array, value: Uint8Array): void {
  store.perform([{ type: "put", key, value }], true);
  broker.node.disk.faultsCount++;
}

/** The batches of the partition's newest segment, in order. */
function lastSegment(broker: SimBroker): {
  readonly store: StoreState;
  readonly entries: readonly Entry[];
} {
  const stores = [...broker.node.disk.below(LOGS)].flatMap(([path, node]) =>
    node.type === "store" ? [{ path, store: node.state }] : [],
  );
  const last = stores.sort((left, right) => (left.path < right.path ? -1 : 1)).at(-1);
  if (last === undefined) throw new Error(`broker ${broker.id} has no log`);
  const entries = [...last.store.entries()].filter(({ key }) => isBatchKey(key));
  return { store: last.store, entries };
}

function storeAt(broker: SimBroker, path: string): StoreState {
  const node = broker.node.disk.node(path);
  if (node?.type !== "store") throw new Error(`${path} is no store`);
  return node.state;
}

function indexOf(bytes: Uint8Array, word: Uint8Array): number {
  for (let at = 0; at + word.length <= bytes.length; at++) {
    if (word.every((byte, index) => bytes[at + index] === byte)) return at;
  }
  return -1;
}
