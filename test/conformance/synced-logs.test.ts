import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { levelStores } from "../../src/adapters/level-stores.ts";
import { walNames } from "./level-files.ts";

// A write with a sync covers all earlier ones of its store. LevelDB's own sync covers only the log
// that it writes to at present: the log before, closed without a sync when memory was full, may be
// all that holds earlier writes until a table of them is durable.

/** Names of files that were synced from here; LevelDB's own syncs are not seen. */
const synced = new Set<string>();

vi.mock("node:fs/promises", async (original) => {
  const actual = await original<typeof import("node:fs/promises")>();
  const open: typeof actual.open = async (path, ...rest) => {
    const handle = await actual.open(path, ...rest);
    const datasync = handle.datasync.bind(handle);
    handle.datasync = async () => {
      await datasync();
      synced.add(basename(String(path)));
    };
    return handle;
  };
  return { ...actual, open };
});

let root = "";

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "ottla-logs-"));
});

afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

test("a synced write leaves no older log that is needed and was not synced", async () => {
  const value = new Uint8Array(10_000);
  let older = 0;
  // How long LevelDB needs for a table is not in our hands: a few rounds meet an older log.
  for (let round = 0; round < 100 && older < 3; round++) {
    const directory = `${root}/${round}`;
    const store = await levelStores.open(directory, { writeBufferBytes: 1024 * 1024 });
    synced.clear();
    const [first] = await walNames(directory);
    for (let number = 0; (await walNames(directory)).at(-1) === first; number++) {
      const key = new Uint8Array([number >> 8, number & 0xff]);
      await store.write([{ type: "put", key, value }], { sync: false });
    }
    await store.write([{ type: "put", key: new Uint8Array([255]), value }], { sync: true });
    const needed = (await walNames(directory)).slice(0, -1);
    for (const name of needed) expect(synced).toContain(name);
    if (needed.length > 0) older++;
    await store.close();
  }
  expect(older).toBeGreaterThan(0);
});

test("where every write is synced nothing more is", async () => {
  const directory = `${root}/strict`;
  const store = await levelStores.open(directory, { writeBufferBytes: 64 * 1024 });
  synced.clear();
  const value = new Uint8Array(10_000);
  for (let number = 0; number < 50; number++) {
    await store.write([{ type: "put", key: new Uint8Array([number]), value }], { sync: true });
  }
  await store.close();
  expect(synced).toEqual(new Set());
});
