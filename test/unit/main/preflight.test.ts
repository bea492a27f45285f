import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkMachine, type Machine, MEMORY_LEAST_BYTES } from "../../../src/main/preflight.ts";

const MIB = 1024 * 1024;
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "ottla-preflight-"));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

function machine(given: { readonly memoryBytes?: number; readonly freeBytes?: number }): Machine {
  const { memoryBytes = Number.POSITIVE_INFINITY, freeBytes = 1024 * MIB } = given;
  return { memoryBytes, userId: process.getuid?.(), freeBytes: async () => freeBytes };
}

describe("checkMachine", () => {
  it("takes a directory that is there, and one that is still to be made", async () => {
    const logDirs = [directory, join(directory, "a", "b")];
    await checkMachine({ logDirs }, machine({ memoryBytes: MEMORY_LEAST_BYTES }));
  });

  it("wants memory", async () => {
    await expect(
      checkMachine({ logDirs: [directory] }, machine({ memoryBytes: 100 * MIB })),
    ).rejects.toMatchObject({
      code: "NOT_ENOUGH_MEMORY",
      message: "this broker may use 100 MiB of memory; it needs 384 MiB",
    });
  });

  it("wants room: more for a new directory than for one with data", async () => {
    const config = { logDirs: [directory] };
    const tight = machine({ freeBytes: 100 * MIB });
    await expect(checkMachine(config, tight)).rejects.toMatchObject({
      code: "DISK_FULL",
      message: `log.dirs: ${directory} has 100 MiB free; a broker without data starts with at least 256 MiB`,
    });
    await writeFile(join(directory, "meta.json"), "{}");
    await checkMachine(config, tight);
    await expect(checkMachine(config, machine({ freeBytes: 3 * MIB }))).rejects.toMatchObject({
      code: "DISK_FULL",
    });
  });

  // Who may do everything is refused nothing.
  it.skipIf(process.getuid?.() === 0)("names what belongs to somebody else", async () => {
    await mkdir(join(directory, "raft"));
    await chmod(join(directory, "raft"), 0o555);
    await expect(checkMachine({ logDirs: [directory] }, machine({}))).rejects.toMatchObject({
      code: "DIRECTORY_DENIED",
      field: "log.dirs",
      message: expect.stringContaining(join(directory, "raft")),
    });
  });
});
