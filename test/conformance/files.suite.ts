/** What the few file operations promise, on the simulator's disk and on the real one. */
import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import type { Files } from "../../src/ports/files.ts";

export interface FilesSubject {
  readonly files: Files;
  /** A directory that exists and is empty. */
  fresh(): Promise<string>;
}

export function filesSuite(name: string, make: () => FilesSubject): void {
  describe(`${name} as Files`, () => {
    test("replaces and reads whole files; a missing one is undefined", async () => {
      const { files, fresh } = make();
      const root = await fresh();
      expect(await files.read(`${root}/a`)).toBeUndefined();
      await files.replace(`${root}/a`, utf8("one, and long"));
      await files.replace(`${root}/a`, utf8("two"));
      expect(await files.read(`${root}/a`)).toEqual(utf8("two"));
      await files.replace(`${root}/empty`, new Uint8Array(0));
      expect(await files.read(`${root}/empty`)).toEqual(new Uint8Array(0));
      expect(await files.list(root)).toEqual(["a", "empty"]);
    });

    test("lists sorted names, of a missing directory none", async () => {
      const { files, fresh } = make();
      const root = await fresh();
      expect(await files.list(`${root}/none`)).toEqual([]);
      await files.makeDirectory(`${root}/b/deep`);
      await files.makeDirectory(`${root}/b/deep`);
      await files.replace(`${root}/c`, utf8("c"));
      await files.replace(`${root}/a`, utf8("a"));
      expect(await files.list(root)).toEqual(["a", "b", "c"]);
      expect(await files.list(`${root}/b`)).toEqual(["deep"]);
    });

    test("renames directories with what they hold", async () => {
      const { files, fresh } = make();
      const root = await fresh();
      await files.makeDirectory(`${root}/from/sub`);
      await files.replace(`${root}/from/sub/file`, utf8("content"));
      await files.rename(`${root}/from`, `${root}/to`);
      expect(await files.list(root)).toEqual(["to"]);
      expect(await files.read(`${root}/to/sub/file`)).toEqual(utf8("content"));
    });

    test("removes files and whole directories, and minds nothing missing", async () => {
      const { files, fresh } = make();
      const root = await fresh();
      await files.makeDirectory(`${root}/directory/sub`);
      await files.replace(`${root}/directory/sub/file`, utf8("content"));
      await files.replace(`${root}/directory-beside`, utf8("stays"));
      await files.remove(`${root}/directory`);
      await files.remove(`${root}/directory`);
      expect(await files.list(root)).toEqual(["directory-beside"]);
    });

    test("sums sizes, and tells free bytes", async () => {
      const { files, fresh } = make();
      const root = await fresh();
      expect(await files.sizeBytes(`${root}/none`)).toBe(0);
      await files.makeDirectory(`${root}/d`);
      await files.replace(`${root}/d/a`, new Uint8Array(1_000));
      await files.replace(`${root}/d/b`, new Uint8Array(500));
      expect(await files.sizeBytes(`${root}/d`)).toBeGreaterThanOrEqual(1_500);
      const freeBytes = await files.freeBytes(root);
      expect(freeBytes).toBeGreaterThan(0);
      expect(await files.totalBytes(root)).toBeGreaterThanOrEqual(freeBytes);
    });

    test("a directory has one holder; release gives it back", async () => {
      const { files, fresh } = make();
      const root = await fresh();
      const lock = await files.lock(root);
      await expect(files.lock(root)).rejects.toMatchObject({ code: "DIRECTORY_LOCKED" });
      await lock.release();
      await (await files.lock(root)).release();
    });

    test("a slot file keeps its newest value over writes and reopening", async () => {
      const { files, fresh } = make();
      const root = await fresh();
      let slot = await files.openSlotFile(`${root}/slot`);
      expect(slot.read()).toBeUndefined();
      for (const value of ["one", "two", "three, which is longer", "", "five"]) {
        await slot.write(utf8(value));
        expect(slot.read()).toEqual(utf8(value));
        await slot.close();
        slot = await files.openSlotFile(`${root}/slot`);
        expect(slot.read()).toEqual(utf8(value));
      }
      const largest = new Uint8Array(4_000).fill(7);
      await slot.write(largest);
      await slot.close();
      const again = await files.openSlotFile(`${root}/slot`);
      expect(again.read()).toEqual(largest);
      await again.close();
    });

    test("a slot file refuses a value over 4,000 bytes", async () => {
      const { files, fresh } = make();
      const slot = await files.openSlotFile(`${await fresh()}/slot`);
      await expect(slot.write(new Uint8Array(4_001))).rejects.toThrow();
      await slot.close();
    });
  });
}
