import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { GrpcPeerNetwork } from "../../src/adapters/grpc-peer-network.ts";
import { levelStores } from "../../src/adapters/level-stores.ts";
import { nativeCodecs } from "../../src/adapters/native-codecs.ts";
import { nodeFiles } from "../../src/adapters/node-files.ts";
import { PinoLogger } from "../../src/adapters/pino-logger.ts";
import { PrometheusMeter } from "../../src/adapters/prometheus-meter.ts";
import { systemClock } from "../../src/adapters/system-clock.ts";
import { systemRandom } from "../../src/adapters/system-random.ts";
import { systemTimers } from "../../src/adapters/system-timers.ts";
import { eventually } from "../support/eventually.ts";
import { codecsSuite } from "./codecs.suite.ts";
import { filesSuite } from "./files.suite.ts";
import { keyValueStoreSuite } from "./key-value-store.suite.ts";
import { loggerSuite, meterSuite } from "./observability.suite.ts";
import { peerNetworkSuite } from "./peer-network.suite.ts";
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

codecsSuite("native codecs", () => nativeCodecs);

loggerSuite("pino", () => {
  const lines: string[] = [];
  return {
    logger: PinoLogger.create({ destination: { write: (line) => lines.push(line) } }),
    lines: () =>
      lines.map((text) => ({ ...(JSON.parse(text) as { level: string; message: string }), text })),
  };
});

meterSuite("prom-client", () => {
  const meter = new PrometheusMeter();
  return {
    meter,
    read: async (series) => {
      const line = (await meter.scrape()).split("\n").find((each) => each.startsWith(`${series} `));
      return line === undefined ? undefined : Number(line.slice(series.length));
    },
  };
});

const silent = PinoLogger.create({ level: "error" });

peerNetworkSuite("gRPC", async () => {
  const left = new GrpcPeerNetwork(silent, { count: () => {} });
  const right = new GrpcPeerNetwork(silent, { count: () => {} });
  return {
    left,
    right,
    address: { host: "127.0.0.1", port: 0 },
    until: (condition) => eventually("the peers' condition", condition),
    dispose: async () => {
      left.close();
      right.close();
    },
  };
});
