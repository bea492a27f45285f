import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { losePower, ShimControl } from "./shim-control.ts";

const CREATED = 1;
const SYNCED = 2;

let root = "";
let shim: ShimControl;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "ottla-shim-"));
  mkdirSync(join(root, "data"));
  shim = new ShimControl(join(root, "chaos"));
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

/** As `shim/chaos.c` writes it. */
function note(kind: number, path: string, size: number): void {
  const { dev, ino } = statSync(path, { bigint: true });
  const bytes = Buffer.alloc(32);
  bytes.writeBigInt64LE(BigInt(kind), 0);
  bytes.writeBigUInt64LE(dev, 8);
  bytes.writeBigUInt64LE(ino, 16);
  bytes.writeBigInt64LE(BigInt(size), 24);
  appendFileSync(join(root, "chaos", "synced"), bytes);
}

function file(name: string, text: string): string {
  const path = join(root, "data", name);
  writeFileSync(path, text, { flag: "w" });
  return path;
}

describe("a loss of power", () => {
  it("leaves of each file what was synced last", () => {
    const [whole, part, never, anew] = [
      file("whole", "12345"),
      file("part", "12345"),
      file("never", "12345"),
      file("anew", "12345"),
    ];
    note(CREATED, whole, 0);
    note(SYNCED, whole, 5);
    note(SYNCED, part, 2);
    note(SYNCED, part, 3);
    // The inode of a file that was removed: what was synced of that one says nothing.
    note(SYNCED, anew, 5);
    note(CREATED, anew, 0);
    const lost = losePower(join(root, "data"), shim.syncedBytes());
    expect(lost).toEqual({ files: 4, cut: 3, bytes: 12 });
    expect([whole, part, never, anew].map((path) => readFileSync(path, "utf8"))).toEqual([
      "12345",
      "123",
      "",
      "",
    ]);
  });

  it("takes nothing where everything was synced, twice", () => {
    note(SYNCED, file("log", "12345"), 5);
    for (const round of [1, 2]) {
      const { cut } = losePower(join(root, "data"), shim.syncedBytes());
      expect([round, cut]).toEqual([round, 0]);
    }
  });
});

describe("the page that a shim obeys", () => {
  it("keeps each setting in its place, negative ones too", () => {
    shim.set("wallOffsetMs", -3_600_000);
    shim.set("descriptors", 40);
    expect([shim.get("syncFails"), shim.get("wallOffsetMs"), shim.get("descriptors")]).toEqual([
      0, -3_600_000, 40,
    ]);
    shim.calm();
    expect([shim.get("wallOffsetMs"), shim.get("descriptors")]).toEqual([0, 0]);
  });
});
