import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { levelStores } from "../../../src/adapters/level-stores.ts";
import { nodeFiles } from "../../../src/adapters/node-files.ts";
import { utf8 } from "../../../src/base/bytes.ts";

let root = "";
let paths = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "ottla-adapters-"));
});

afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

const fresh = (): string => join(root, `path-${paths++}`);

/** Overwrites bytes of a file in place. */
async function damage(path: string, at: number, bytes: Uint8Array): Promise<void> {
  const content = await readFile(path);
  content.set(bytes, at);
  await writeFile(path, content);
}

describe("slot files", () => {
  const SLOT_BYTES = 4_096;

  async function written(values: readonly string[]): Promise<string> {
    const path = fresh();
    const slot = await nodeFiles.openSlotFile(path);
    for (const value of values) await slot.write(utf8(value));
    await slot.close();
    return path;
  }

  async function readBack(path: string): Promise<string | undefined> {
    const slot = await nodeFiles.openSlotFile(path);
    const value = slot.read();
    await slot.close();
    return value === undefined ? undefined : new TextDecoder().decode(value);
  }

  // A crash in the middle of a write leaves any mixture of old and new bytes in its slot.
  test.each([0, 5, 13, 17, 21])("a slot torn at byte %i leaves the value before", async (at) => {
    const path = await written(["one", "two", "three"]);
    expect(await readBack(path)).toBe("three");
    await damage(path, at, new Uint8Array([99, 99]));
    expect(await readBack(path)).toBe("two");
    // The damaged slot is the next to be written, never the good one.
    const slot = await nodeFiles.openSlotFile(path);
    await slot.write(utf8("four"));
    await slot.close();
    expect(await readBack(path)).toBe("four");
    await damage(path, 20, new Uint8Array([99]));
    expect(await readBack(path)).toBe("two");
  });

  test("a torn first write means that none was ever whole", async () => {
    const path = await written(["one"]);
    await damage(path, 20, new Uint8Array([99]));
    expect(await readBack(path)).toBeUndefined();
  });

  test("two damaged slots are damage, not emptiness", async () => {
    const path = await written(["one", "two"]);
    await damage(path, 20, new Uint8Array([99]));
    await damage(path, SLOT_BYTES + 20, new Uint8Array([99]));
    await expect(nodeFiles.openSlotFile(path)).rejects.toMatchObject({
      code: "DIRECTORY_DAMAGED",
    });
  });
});

describe("the lock of a directory", () => {
  test("is another process's while it lives, and free the moment it is killed", async () => {
    const directory = fresh();
    await (await nodeFiles.lock(directory)).release();
    // Any process that holds the kernel's lock will do: this one opens the same store.
    const script = `
      import { ClassicLevel } from "classic-level";
      await new ClassicLevel(${JSON.stringify(join(directory, ".lock"))}).open();
      console.log("locked");
      setInterval(() => {}, 1_000);
    `;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exited = new Promise((resolve) => child.once("exit", resolve));
    await new Promise((resolve) => child.stdout.once("data", resolve));
    await expect(nodeFiles.lock(directory)).rejects.toMatchObject({
      code: "DIRECTORY_LOCKED",
      field: "log.dirs",
      message: `log.dirs: ${directory} is in use by another process`,
    });
    child.kill("SIGKILL");
    await exited;
    const lock = await nodeFiles.lock(directory);
    await lock.release();
    expect(await nodeFiles.list(directory)).toEqual([]);
  });

  test("is made anew if a power loss damaged it", async () => {
    const directory = fresh();
    await (await nodeFiles.lock(directory)).release();
    await writeFile(join(directory, ".lock", "CURRENT"), "");
    await (await nodeFiles.lock(directory)).release();
  });
});

describe("files", () => {
  test("overlapping replacements leave the last one whole, and no trace", async () => {
    const directory = fresh();
    await nodeFiles.makeDirectory(directory);
    const path = join(directory, "meta.json");
    const contents = Array.from({ length: 12 }, (_, index) => String(index).repeat(5_000));
    await Promise.all(contents.map((content) => nodeFiles.replace(path, utf8(content))));
    expect(await readFile(path, "utf8")).toBe(contents.at(-1));
    expect(await readdir(directory)).toEqual(["meta.json"]);
  });

  test("a replacement that a crash left unfinished is not listed", async () => {
    const directory = fresh();
    await nodeFiles.makeDirectory(directory);
    await writeFile(join(directory, "meta.json.draft~"), "half");
    expect(await nodeFiles.list(directory)).toEqual([]);
    await nodeFiles.replace(join(directory, "meta.json"), utf8("whole"));
    expect(await readdir(directory)).toEqual(["meta.json"]);
  });

  test("the free space of a path that is still to be made is that of its disk", async () => {
    expect(await nodeFiles.freeBytes(join(fresh(), "a", "b"))).toBeGreaterThan(0);
  });

  test("errors have codes of the table", async () => {
    const path = fresh();
    await writeFile(path, "a file");
    await expect(nodeFiles.list(path)).rejects.toMatchObject({ code: "KAFKA_STORAGE_ERROR" });
    await expect(nodeFiles.makeDirectory(join(path, "x"))).rejects.toMatchObject({
      code: "KAFKA_STORAGE_ERROR",
    });
    await expect(nodeFiles.read(root)).rejects.toMatchObject({ code: "KAFKA_STORAGE_ERROR" });
  });
});

describe("LevelDB", () => {
  test("says which damage it found", async () => {
    const path = fresh();
    const store = await levelStores.open(path);
    await store.write([{ type: "put", key: utf8("a"), value: utf8("1") }], { sync: true });
    await store.close();
    const current = await readFile(join(path, "CURRENT"));
    await writeFile(join(path, "CURRENT"), "");
    await expect(levelStores.open(path)).rejects.toMatchObject({ code: "DIRECTORY_DAMAGED" });
    await writeFile(join(path, "CURRENT"), current);
    const again = await levelStores.open(path);
    expect(await again.get(utf8("a"))).toEqual(utf8("1"));
    await again.close();
  });

  // Native code that is handed a closed database ends the process.
  test("closing amid reads, writes and iterators is safe", async () => {
    for (let round = 0; round < 30; round++) {
      const store = await levelStores.open(join(root, "busy"));
      const calls: Promise<unknown>[] = [];
      const iterators = [store.iterate({}), store.iterate({ reverse: true })];
      for (let index = 0; index < 20; index++) {
        const key = utf8(`key-${index}`);
        calls.push(store.write([{ type: "put", key, value: key }], { sync: index % 7 === 0 }));
        calls.push(store.get(key));
        for (const iterator of iterators) calls.push(iterator.next(3, 1_000));
      }
      const outcomes = Promise.allSettled(calls);
      await Promise.all([store.close(), iterators[0]?.close()]);
      for (const outcome of await outcomes) {
        if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "CLOSED" });
      }
      await expect(iterators[1]?.next(1, 1)).rejects.toMatchObject({ code: "CLOSED" });
    }
  });
});
