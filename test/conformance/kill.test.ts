import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { levelStores } from "../../src/adapters/level-stores.ts";
import { nodeFiles } from "../../src/adapters/node-files.ts";
import { text, utf8 } from "../../src/base/bytes.ts";

// S1 of the real store: what had settled when the process was killed is there, whole, and so is the
// newest value of a slot file. The simulator's crash keeps exactly that.

const project = join(import.meta.dirname, "../..");
let root = "";

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "ottla-kill-"));
  const tsc = join(project, "node_modules/typescript/bin/tsc");
  const config = join(import.meta.dirname, "kill-child.tsconfig.json");
  await promisify(execFile)(process.execPath, [tsc, "-p", config], { cwd: project });
});

afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

async function killedAfter(directory: string, lines: number): Promise<readonly string[]> {
  const script = join(project, "dist-test/test/conformance/kill-child.js");
  const child: ChildProcess = spawn(process.execPath, [script, directory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout?.setEncoding("utf8");
  child.stdout?.on("data", (chunk: string) => {
    output += chunk;
    if (output.split("\n").length > lines) child.kill("SIGKILL");
  });
  await new Promise((resolve) => {
    child.on("close", resolve);
  });
  // The last line may be torn.
  return output.slice(0, output.lastIndexOf("\n")).split("\n");
}

function last(lines: readonly string[], kind: string): number {
  const numbers = lines
    .filter((line) => line.startsWith(`${kind} `))
    .map((line) => Number(line.slice(kind.length + 1)));
  return Math.max(...numbers);
}

test.each([3, 60, 400, 1_500])(
  "what settled before a kill -9 after %i steps is there",
  async (steps) => {
    const directory = join(root, `run-${steps}`);
    await nodeFiles.makeDirectory(directory);
    const lines = await killedAfter(directory, steps);
    const settled = last(lines, "store");
    expect(settled).toBeGreaterThanOrEqual(1);
    const store = await levelStores.open(`${directory}/store`);
    for (let number = 0; number <= settled + 5; number++) {
      const name = String(number).padStart(8, "0");
      const value = await store.get(utf8(name));
      expect(await store.get(utf8(`twin-${name}`))).toEqual(value);
      if (number > settled) continue;
      expect(value && text(value)).toBe(`value of ${number} `.repeat(1 + (number % 50)));
    }
    await store.close();
    const slot = await nodeFiles.openSlotFile(`${directory}/slot`);
    const value = slot.read();
    expect(Number(value && text(value))).toBeGreaterThanOrEqual(last(lines, "slot"));
    await slot.close();
  },
);
