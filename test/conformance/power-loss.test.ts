import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { levelStores } from "../../src/adapters/level-stores.ts";
import { Prng } from "../../src/base/prng.ts";
import type { KeyValueStore, WriteOperation } from "../../src/ports/key-value-store.ts";
import { BLOCK_BYTES, layOut, operationBytes } from "../sim/world/power-loss.ts";
import { copyOf, cutWal, emptyWal, removeWal, walBytes, walNames, zeroWal } from "./level-files.ts";

// What the simulator says that a loss of power leaves of a store, done to real files: the log is
// cut, punched, zeroed or removed behind what a sync covered, and LevelDB opens what is left.

const SYNCED = 20;
const WRITTEN = 120;

let root = "";
/** The store after all writes, as it lay there while it was open. */
let written = "";
/** Of each write, where it lies in the write-ahead log, by the model. */
const extents: { readonly begin: number; readonly end: number }[] = [];
let syncedBytes = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "ottla-power-"));
  const directory = `${root}/store`;
  const store = await levelStores.open(directory);
  const prng = new Prng(1);
  for (let number = 0; number < WRITTEN; number++) {
    const operations = operationsOf(number, prng.pick([0, 10, 500, 3_000, 3_000, 40_000]));
    await store.write(operations, { sync: number === SYNCED - 1 });
    const bytes = operations.reduce((sum, each) => sum + sizeOf(each), 0);
    extents.push(...layOut(extents.at(-1)?.end ?? 0, [bytes]));
    if (number === SYNCED - 1) syncedBytes = await walBytes(directory);
  }
  written = await copyOf(directory, `${root}/written`);
  await store.close();
});

afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

/** Two keys, one deleted in the same write every other time. */
function operationsOf(number: number, valueBytes: number): readonly WriteOperation[] {
  const value = new Uint8Array(valueBytes).fill(number);
  return [
    { type: "put", key: keyOf(number), value },
    { type: "put", key: Uint8Array.of(1, number), value: Uint8Array.of(number) },
    ...(number % 2 === 0 ? [{ type: "delete", key: Uint8Array.of(2, number) } as const] : []),
  ];
}

function keyOf(number: number): Uint8Array {
  return Uint8Array.of(0, number);
}

function sizeOf(operation: WriteOperation): number {
  return operationBytes(
    operation.key.length,
    operation.type === "put" ? operation.value.length : undefined,
  );
}

/** Which writes are there; each whole. */
async function found(directory: string): Promise<readonly boolean[]> {
  const store = await levelStores.open(directory);
  const out: boolean[] = [];
  for (let number = 0; number < WRITTEN; number++) {
    const value = await store.get(keyOf(number));
    const twin = await store.get(Uint8Array.of(1, number));
    expect(twin === undefined).toBe(value === undefined);
    expect(value?.every((byte) => byte === number) ?? true).toBe(true);
    out.push(value !== undefined);
  }
  await store.close();
  return out;
}

async function foundAfter(
  damage: (directory: string) => Promise<void>,
): Promise<readonly boolean[]> {
  const directory = await copyOf(written, `${root}/damaged`);
  await damage(directory);
  return found(directory);
}

test("the model knows where each write lies in the log, to the byte", async () => {
  expect(syncedBytes).toBe(extents[SYNCED - 1]?.end);
  expect(await walBytes(written)).toBe(extents.at(-1)?.end);
});

test("a log that is cut off gives every whole write before the cut", async () => {
  const end = extents.at(-1)?.end ?? 0;
  const prng = new Prng(2);
  const cuts = [syncedBytes, end - 1, end];
  for (let times = 0; times < 25; times++) cuts.push(prng.between(syncedBytes, end));
  for (const cut of cuts) {
    const left = await foundAfter((directory) => cutWal(directory, cut));
    expect(left).toEqual(extents.map((extent) => extent.end <= cut));
  }
});

test("zeros hide the writes that they touch and the rest of their last block, and no more", async () => {
  const end = extents.at(-1)?.end ?? 0;
  const prng = new Prng(3);
  const ranges: [number, number][] = [];
  for (let block = Math.ceil(syncedBytes / BLOCK_BYTES); block * BLOCK_BYTES < end; block++) {
    if (ranges.length < 12) ranges.push([block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES]);
  }
  for (let times = 0; times < 30; times++) {
    const from = Math.max(syncedBytes, prng.between(0, Math.floor(end / 4_096)) * 4_096);
    ranges.push([from, (Math.floor(from / 4_096) + prng.between(1, 16)) * 4_096]);
  }
  let holes = 0;
  for (const [from, to] of ranges) {
    const left = await foundAfter((directory) => zeroWal(directory, from, to));
    const hidden = Math.ceil(to / BLOCK_BYTES) * BLOCK_BYTES;
    const expected = extents.map((extent) => extent.end <= from || extent.begin >= hidden);
    expect(left).toEqual(expected);
    if (left.lastIndexOf(true) > left.indexOf(false)) holes++;
  }
  // Holes in the middle are what recovery must find by itself: LevelDB says nothing of them.
  expect(holes).toBeGreaterThan(20);
});

test("without its log a store opens without a word, and without what the log held", async () => {
  const left = await foundAfter(removeWal);
  expect(left).toEqual(extents.map(() => false));
});

test("what an opening found in the log is in a table afterwards, and needs the log no more", async () => {
  const directory = await copyOf(written, `${root}/reopened`);
  expect((await found(directory)).every(Boolean)).toBe(true);
  for (const name of await walNames(directory)) await emptyWal(`${directory}/${name}`);
  expect((await found(directory)).every(Boolean)).toBe(true);
});

async function fill(store: KeyValueStore, from: number, count: number): Promise<void> {
  for (let number = from; number < from + count; number++) {
    const key = new Uint8Array([number >> 8, number & 0xff]);
    const value = new Uint8Array(10_000).fill(number);
    await store.write([{ type: "put", key, value }], { sync: false });
  }
}

test("memory that became a table needs the log no more", async () => {
  const directory = `${root}/tables`;
  const store = await levelStores.open(directory, { writeBufferBytes: 1024 * 1024 });
  await fill(store, 0, 1_000);
  await store.close();
  const copy = await copyOf(directory, `${root}/tables-copy`);
  for (const name of await walNames(copy)) await emptyWal(`${copy}/${name}`);
  const again = await levelStores.open(copy);
  let count = 0;
  const iterator = again.iterate({});
  for (;;) {
    const entries = await iterator.next(1_000, Number.MAX_SAFE_INTEGER);
    if (entries.length === 0) break;
    count += entries.length;
  }
  await iterator.close();
  await again.close();
  // Of 10 MB all but what the last write buffer held.
  expect(count).toBeGreaterThan(800);
  expect(count).toBeLessThan(1_000);
});
