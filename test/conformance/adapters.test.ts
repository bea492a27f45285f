import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { levelStores } from "../../src/adapters/level-stores.ts";
import { nodeFiles } from "../../src/adapters/node-files.ts";
import { systemClock } from "../../src/adapters/system-clock.ts";
import { systemRandom } from "../../src/adapters/system-random.ts";
import { systemTimers } from "../../src/adapters/system-timers.ts";
import { filesSuite } from "./files.suite.ts";
import { keyValueStoreSuite } from "./key-value-store.suite.ts";
import { randomSuite } from "./random.suite.ts";
import { timersSuite } from "./timers.suite.ts";

// The real adapters against the contracts that the simulator's twins were held to.

let root = "";
let paths = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "ottla-conformance-"));
});

afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

keyValueStoreSuite("LevelDB", () => ({
  stores: levelStores,
  fresh: () => join(root, `store-${paths++}`),
}));

filesSuite("the file system", () => ({
  files: nodeFiles,
  fresh: async () => {
    const path = join(root, `files-${paths++}`);
    await nodeFiles.makeDirectory(path);
    return path;
  },
}));

timersSuite("Node's timers", () => ({ clock: systemClock, timers: systemTimers }));
randomSuite("the system's randomness", () => systemRandom);
