/**
 * A sequence of operations on a store that follows from a seed: whoever knows the seed knows what
 * was done up to any step. Writes of one step overlap; reads come when none is under way.
 */
import { equalBytes } from "../../src/base/bytes.ts";
import { Prng } from "../../src/base/prng.ts";
import type {
  Entry,
  KeyRange,
  KeyValueStore,
  WriteOperation,
} from "../../src/ports/key-value-store.ts";

export interface Write {
  readonly operations: readonly WriteOperation[];
  readonly sync: boolean;
}

export type Step =
  | { readonly type: "writes"; readonly writes: readonly Write[] }
  | { readonly type: "get"; readonly keys: readonly Uint8Array[] }
  | { readonly type: "iterate"; readonly range: KeyRange; readonly limit: number }
  | { readonly type: "clear"; readonly range: KeyRange }
  | { readonly type: "reopen" };

const KEYS = 200;
const NO_BOUND = Number.MAX_SAFE_INTEGER;

function keyOf(number: number): Uint8Array {
  return Uint8Array.of(number % 7, number >> 8, number & 0xff);
}

function drawKey(prng: Prng): Uint8Array {
  return keyOf(prng.below(KEYS));
}

function drawRange(prng: Prng): KeyRange {
  return {
    ...(prng.chance(2, 3) ? { gte: drawKey(prng) } : {}),
    ...(prng.chance(2, 3) ? { lt: drawKey(prng) } : {}),
    ...(prng.chance(1, 3) ? { reverse: true } : {}),
    ...(prng.chance(1, 4) ? { limit: prng.between(1, 40) } : {}),
  };
}

function drawOperation(prng: Prng): WriteOperation {
  if (prng.chance(1, 4)) return { type: "delete", key: drawKey(prng) };
  // Large ones make LevelDB begin new logs and tables, and write records over several blocks.
  const bytes = prng.pick([0, 5, 5, 80, 80, 900, 900, 5_000, 40_000]);
  return { type: "put", key: drawKey(prng), value: new Uint8Array(bytes).fill(prng.below(256)) };
}

function many<Item>(count: number, make: () => Item): Item[] {
  return Array.from({ length: count }, make);
}

export function stepOf(seed: number, index: number): Step {
  const prng = new Prng(Math.imul(seed, 0x9e3779b1) ^ index);
  const drawn = prng.below(100);
  if (drawn < 70) {
    const write = (): Write => ({
      operations: many(prng.between(1, 5), () => drawOperation(prng)),
      sync: prng.chance(1, 6),
    });
    return { type: "writes", writes: many(prng.between(1, 4), write) };
  }
  if (drawn < 80) return { type: "get", keys: many(prng.between(1, 10), () => drawKey(prng)) };
  if (drawn < 94) return { type: "iterate", range: drawRange(prng), limit: prng.between(1, 30) };
  return drawn < 97 ? { type: "clear", range: drawRange(prng) } : { type: "reopen" };
}

/** Of entries, in their order. */
export function hashOf(entries: readonly Entry[]): number {
  let hash = entries.length;
  const mix = (bytes: Uint8Array): void => {
    hash = Math.imul(hash ^ bytes.length, 0x01000193);
    for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  };
  for (const { key, value } of entries) {
    mix(key);
    mix(value);
  }
  return hash >>> 0;
}

export async function readAll(
  store: KeyValueStore,
  range: KeyRange,
  limit = 50,
): Promise<readonly Entry[]> {
  const iterator = store.iterate(range);
  const out: Entry[] = [];
  for (;;) {
    const some = await iterator.next(limit, NO_BOUND);
    if (some.length === 0) break;
    out.push(...some);
  }
  await iterator.close();
  return out;
}

/**
 * Makes the step; gives a hash of what it read, and the store to go on with. `onWrite` is told of
 * each write as it settles: they do so in order.
 */
export async function makeStep(
  store: KeyValueStore,
  step: Step,
  options: {
    readonly reopen: (store: KeyValueStore) => Promise<KeyValueStore>;
    readonly onWrite?: (number: number) => void;
  },
): Promise<{ readonly store: KeyValueStore; readonly hash: number }> {
  switch (step.type) {
    case "writes": {
      const made = step.writes.map(async ({ operations, sync }, number) => {
        await store.write(operations, { sync });
        options.onWrite?.(number);
      });
      await Promise.all(made);
      return { store, hash: 0 };
    }
    case "get": {
      const entries: Entry[] = [];
      for (const key of step.keys) {
        const value = await store.get(key);
        if (value !== undefined) entries.push({ key, value });
      }
      return { store, hash: hashOf(entries) };
    }
    case "iterate":
      return { store, hash: hashOf(await readAll(store, step.range, step.limit)) };
    case "clear": {
      const entries = await readAll(store, step.range);
      const operations = entries.map(({ key }) => ({ type: "delete" as const, key }));
      if (operations.length > 0) await store.write(operations, { sync: false });
      options.onWrite?.(0);
      return { store, hash: hashOf(entries) };
    }
    case "reopen":
      return { store: await options.reopen(store), hash: 0 };
  }
}

export function sameEntries(left: readonly Entry[], right: readonly Entry[]): boolean {
  if (left.length !== right.length) return false;
  return left.every(({ key, value }, index) => {
    const other = right[index] as Entry;
    return equalBytes(key, other.key) && equalBytes(value, other.value);
  });
}
