import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { levelStores } from "../../src/adapters/level-stores.ts";
import { Prng } from "../../src/base/prng.ts";
import type { Entry, KeyValueStore } from "../../src/ports/key-value-store.ts";
import { createMemoryPorts } from "../support/memory-ports.ts";
import { hashOf, makeStep, readAll, type Step, sameEntries, stepOf } from "./store-sequence.ts";

// The simulator's store against LevelDB: the same random operations on both, one process after the
// other ended with SIGKILL at a random step. What LevelDB holds then must be what the model holds
// after the last settled write, or after some of those under way, in order and each whole.

const SEQUENCES = 6;
const LIVES = 4;
const OPERATIONS_MIN = 10_000;

const project = join(import.meta.dirname, "../..");
let root = "";

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "ottla-sequence-"));
  const tsc = join(project, "node_modules/typescript/bin/tsc");
  const config = join(import.meta.dirname, "kill-child.tsconfig.json");
  const outDir = join(root, "built");
  await promisify(execFile)(process.execPath, [tsc, "-p", config, "--outDir", outDir], {
    cwd: project,
  });
  await symlink(join(project, "node_modules"), join(root, "node_modules"));
  await writeFile(join(root, "package.json"), '{ "type": "module" }');
});

afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

/** What a life said before it was killed. */
interface Told {
  /** Steps that were done, with the hash of what they read. */
  readonly done: readonly { readonly index: number; readonly hash: number }[];
  /** Of the step after those: writes that settled. */
  readonly settledCount: number;
}

async function live(directory: string, seed: number, from: number, lines: number): Promise<Told> {
  const script = join(root, "built/test/conformance/sequence-child.js");
  const child = spawn(process.execPath, [script, directory, `${seed}`, `${from}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  let seen = 0;
  child.stdout.setEncoding("utf8");
  child.stdout.on("data", (chunk: string) => {
    output += chunk;
    for (const character of chunk) if (character === "\n") seen++;
    if (seen >= lines) child.kill("SIGKILL");
  });
  await new Promise((resolve) => {
    child.on("close", resolve);
  });
  // The last line may be torn.
  const told = output
    .slice(0, output.lastIndexOf("\n") + 1)
    .split("\n")
    .slice(0, -1);
  const done: { index: number; hash: number }[] = [];
  let settledCount = 0;
  for (const line of told) {
    const [index, what, hash] = line.split(" ");
    if (what === "done") {
      done.push({ index: Number(index), hash: Number(hash) });
      settledCount = 0;
    } else settledCount++;
  }
  return { done, settledCount };
}

/** The simulator's store, with the same steps made on it. */
class Model {
  readonly #memory = createMemoryPorts({ auto: false });
  #store: KeyValueStore | undefined;
  operationsCount = 0;

  async step(step: Step): Promise<number> {
    const { world } = this.#memory;
    const store = await this.#open();
    const made = await world.settle(
      makeStep(store, step, {
        reopen: async (open) => {
          await open.close();
          return this.#memory.ports.stores.open("/store");
        },
      }),
    );
    this.#store = made.store;
    if (step.type === "writes") {
      for (const { operations } of step.writes) this.operationsCount += operations.length;
    } else this.operationsCount++;
    return made.hash;
  }

  async entries(): Promise<readonly Entry[]> {
    return this.#memory.world.settle(readAll(await this.#open(), {}));
  }

  async crash(): Promise<void> {
    this.#memory.restart("crash");
    this.#store = undefined;
  }

  async #open(): Promise<KeyValueStore> {
    this.#store ??= await this.#memory.world.settle(this.#memory.ports.stores.open("/store"));
    return this.#store;
  }
}

/** Single writes of a step, which a crash may leave some of; a step that is not made of any: none. */
function partsOf(step: Step): readonly Step[] {
  if (step.type === "writes") {
    return step.writes.map((write) => ({ type: "writes", writes: [write] }));
  }
  return step.type === "clear" ? [step] : [];
}

test("LevelDB and its model agree after any kill", { timeout: 120_000 }, async () => {
  let operationsCount = 0;
  let partialCount = 0;
  for (let seed = 1; seed <= SEQUENCES; seed++) {
    const directory = join(root, `store-${seed}`);
    const model = new Model();
    const prng = new Prng(seed);
    /** The step to go on with; one that was cut short is not made again. */
    let next = 0;
    for (let life = 1; life <= LIVES; life++) {
      const told = await live(directory, seed, next, prng.between(1, 640));
      for (const { index, hash } of told.done) {
        expect(await model.step(stepOf(seed, index)), `step ${index} of seed ${seed}`).toBe(hash);
        next = index + 1;
      }
      const store = await levelStores.open(directory);
      const found = await readAll(store, {});
      await store.close();
      const parts = partsOf(stepOf(seed, next));
      let arrived = 0;
      while (arrived < told.settledCount) await model.step(parts[arrived++] as Step);
      while (!sameEntries(await model.entries(), found)) {
        const part = parts[arrived++];
        const detail = `${hashOf(found)} is found, of ${found.length} entries`;
        expect(part, `seed ${seed}, killed at step ${next}: ${detail}`).toBeDefined();
        await model.step(part as Step);
      }
      if (arrived > 0) {
        partialCount++;
        next++;
      }
      await model.crash();
      expect(sameEntries(await model.entries(), found)).toBe(true);
    }
    operationsCount += model.operationsCount;
  }
  expect(operationsCount).toBeGreaterThan(OPERATIONS_MIN);
  // Kills between two writes of a step are what this is about.
  expect(partialCount).toBeGreaterThan(5);
});
