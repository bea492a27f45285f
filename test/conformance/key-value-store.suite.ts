/**
 * What every key-value store promises. Run on the simulator's model and on LevelDB: what the model
 * claims of a store is thereby true of the real one.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareBytes, utf8 } from "../../src/base/bytes.ts";
import type {
  Entry,
  KeyRange,
  KeyValueStore,
  KeyValueStores,
  WriteOperation,
} from "../../src/ports/key-value-store.ts";

export interface KeyValueStoresSubject {
  readonly stores: KeyValueStores;
  /** A path where nothing is yet. */
  fresh(): string;
}

const NO_BOUND = Number.MAX_SAFE_INTEGER;

function put(key: string, value: string): WriteOperation {
  return { type: "put", key: utf8(key), value: utf8(value) };
}

function remove(key: string): WriteOperation {
  return { type: "delete", key: utf8(key) };
}

async function entries(store: KeyValueStore, range: KeyRange): Promise<readonly Entry[]> {
  const iterator = store.iterate(range);
  const out: Entry[] = [];
  for (;;) {
    const some = await iterator.next(7, NO_BOUND);
    if (some.length === 0) break;
    out.push(...some);
  }
  await iterator.close();
  return out;
}

async function keys(store: KeyValueStore, range: KeyRange): Promise<readonly string[]> {
  const decoder = new TextDecoder();
  return (await entries(store, range)).map(({ key }) => decoder.decode(key));
}

export function keyValueStoreSuite(name: string, make: () => KeyValueStoresSubject): void {
  describe(`${name} as KeyValueStores`, () => {
    test("gives back what was written, and undefined for what was not", async () => {
      const { stores, fresh } = make();
      const store = await stores.open(fresh());
      await store.write([put("a", "1"), put("b", "")], { sync: false });
      expect(await store.get(utf8("a"))).toEqual(utf8("1"));
      expect(await store.get(utf8("b"))).toEqual(utf8(""));
      expect(await store.get(utf8("c"))).toBeUndefined();
      await store.close();
    });

    test("the last operation on a key wins, within one write and across writes", async () => {
      const { stores, fresh } = make();
      const store = await stores.open(fresh());
      await store.write([put("a", "1"), remove("a"), put("b", "1"), put("b", "2")], {
        sync: false,
      });
      expect(await store.get(utf8("a"))).toBeUndefined();
      expect(await store.get(utf8("b"))).toEqual(utf8("2"));
      await store.write([remove("b")], { sync: true });
      expect(await store.get(utf8("b"))).toBeUndefined();
      await store.close();
    });

    test("orders keys as unsigned bytes, and cuts by gte, lt, reverse and limit", async () => {
      const { stores, fresh } = make();
      const store = await stores.open(fresh());
      const bytes = [[], [0], [0, 0], [1], [127], [128], [128, 0], [255], [255, 255]].map(
        (key) => new Uint8Array(key),
      );
      const [, ...stored] = bytes;
      const operations = [...stored].reverse().map((key) => ({
        type: "put" as const,
        key,
        value: key,
      }));
      await store.write(operations, { sync: false });
      const found = (await entries(store, {})).map(({ key }) => key);
      expect(found).toEqual(stored);
      const gte = new Uint8Array([1]);
      const lt = new Uint8Array([128, 0]);
      const between = (await entries(store, { gte, lt })).map(({ key }) => [...key]);
      expect(between).toEqual([[1], [127], [128]]);
      const last = (await entries(store, { lt, reverse: true, limit: 2 })).map(({ key }) => [
        ...key,
      ]);
      expect(last).toEqual([[128], [127]]);
      expect(await entries(store, { gte: lt, lt: gte })).toEqual([]);
      await store.close();
    });

    test("an iterator sees the store as it was when it was made", async () => {
      const { stores, fresh } = make();
      const store = await stores.open(fresh());
      await store.write([put("a", "1"), put("b", "1")], { sync: false });
      const iterator = store.iterate({});
      await store.write([put("a", "2"), remove("b"), put("c", "2")], { sync: false });
      const seen = await iterator.next(10, NO_BOUND);
      expect(seen.map(({ value }) => value)).toEqual([utf8("1"), utf8("1")]);
      expect(await iterator.next(10, NO_BOUND)).toEqual([]);
      await iterator.close();
      expect(await keys(store, {})).toEqual(["a", "c"]);
      await store.close();
    });

    test("next gives at least one entry and stops near maxBytes", async () => {
      const { stores, fresh } = make();
      const store = await stores.open(fresh());
      const operations = Array.from({ length: 20 }, (_, index) =>
        put(String.fromCharCode(97 + index), "x".repeat(1_000)),
      );
      await store.write(operations, { sync: false });
      const iterator = store.iterate({});
      expect((await iterator.next(100, 1)).length).toBe(1);
      const some = await iterator.next(100, 5_000);
      expect(some.length).toBeGreaterThanOrEqual(1);
      expect(some.length).toBeLessThan(19);
      expect((await iterator.next(2, NO_BOUND)).length).toBe(2);
      await iterator.close();
      await store.close();
    });

    test("what was written is there after closing and opening again", async () => {
      const { stores, fresh } = make();
      const path = fresh();
      const store = await stores.open(path);
      await store.write([put("synced", "1")], { sync: true });
      await store.write([put("not synced", "2")], { sync: false });
      await store.close();
      const again = await stores.open(path);
      expect(await keys(again, {})).toEqual(["not synced", "synced"]);
      await again.close();
    });

    test("what the caller does to its bytes after a write settled changes nothing", async () => {
      const { stores, fresh } = make();
      const store = await stores.open(fresh());
      const key = utf8("key");
      const value = utf8("value");
      await store.write([{ type: "put", key, value }], { sync: false });
      key.fill(0);
      value.fill(0);
      const read = (await store.get(utf8("key"))) as Uint8Array;
      expect(read).toEqual(utf8("value"));
      read.fill(0);
      const again = (await store.get(utf8("key"))) as Uint8Array;
      expect(again).toEqual(utf8("value"));
      // As of a plain Uint8Array: a Buffer's slice would share its bytes.
      again.slice().fill(0);
      expect(again).toEqual(utf8("value"));
      await store.close();
    });

    test("writes that overlap take effect in the order in which they were made", async () => {
      const { stores, fresh } = make();
      const store = await stores.open(fresh());
      const order: number[] = [];
      const writes = Array.from({ length: 30 }, (_, index) =>
        store
          .write([put("key", String(index))], { sync: index % 3 === 0 })
          .then(() => order.push(index)),
      );
      await Promise.all(writes);
      expect(await store.get(utf8("key"))).toEqual(utf8("29"));
      await store.close();
    });

    test("a store that is open cannot be opened again", async () => {
      const { stores, fresh } = make();
      const path = fresh();
      const store = await stores.open(path);
      await expect(stores.open(path)).rejects.toMatchObject({ code: "DIRECTORY_LOCKED" });
      await store.close();
      await (await stores.open(path)).close();
    });

    test("a store that is missing is refused where it may not be made", async () => {
      const { stores, fresh } = make();
      const path = fresh();
      await expect(stores.open(path, { createIfMissing: false })).rejects.toMatchObject({
        code: "KAFKA_STORAGE_ERROR",
      });
      await (await stores.open(path)).close();
      await (await stores.open(path, { createIfMissing: false })).close();
    });

    test("after close has begun every call rejects with CLOSED; close itself is idempotent", async () => {
      const { stores, fresh } = make();
      const store = await stores.open(fresh());
      const written = store.write([put("a", "1")], { sync: true });
      const closing = store.close();
      await expect(store.get(utf8("a"))).rejects.toMatchObject({ code: "CLOSED" });
      await expect(store.write([put("b", "1")], { sync: false })).rejects.toMatchObject({
        code: "CLOSED",
      });
      await written;
      await closing;
      await store.close();
    });

    test("behaves as a sorted map under any sequence of writes, reads and reopenings", async () => {
      const key = fc.uint8Array({ minLength: 1, maxLength: 3 }).map((bytes) => bytes.slice());
      const operation: fc.Arbitrary<WriteOperation> = fc.oneof(
        fc.record({
          type: fc.constant("put" as const),
          key,
          value: fc.uint8Array({ maxLength: 40 }),
        }),
        fc.record({ type: fc.constant("delete" as const), key }),
      );
      const step = fc.oneof(
        { weight: 6, arbitrary: fc.array(operation, { minLength: 1, maxLength: 8 }) },
        { weight: 1, arbitrary: fc.constant("reopen" as const) },
      );
      const { stores, fresh } = make();
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
          const path = fresh();
          let store = await stores.open(path);
          const model = new Map<string, Entry>();
          for (const each of steps) {
            if (each === "reopen") {
              await store.close();
              store = await stores.open(path);
              continue;
            }
            await store.write(each, { sync: false });
            for (const done of each) {
              const id = done.key.join(",");
              if (done.type === "put") model.set(id, { key: done.key, value: done.value });
              else model.delete(id);
            }
          }
          const expected = [...model.values()].sort((left, right) =>
            compareBytes(left.key, right.key),
          );
          const found = await entries(store, {});
          await store.close();
          expect(found.map(({ key: bytes, value }) => [[...bytes], [...value]])).toEqual(
            expected.map(({ key: bytes, value }) => [[...bytes], [...value]]),
          );
        }),
        { numRuns: 40 },
      );
    });
  });
}
