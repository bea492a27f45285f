import { createMemoryPorts, type MemoryPorts } from "../support/memory-ports.ts";
import { codecsSuite } from "./codecs.suite.ts";
import { filesSuite } from "./files.suite.ts";
import { keyValueStoreSuite } from "./key-value-store.suite.ts";
import { loggerSuite, meterSuite } from "./observability.suite.ts";
import { peerNetworkSuite } from "./peer-network.suite.ts";
import { randomSuite } from "./random.suite.ts";
import { timersSuite } from "./timers.suite.ts";

// The simulator's twins against the contracts that the adapters must meet too.

const memory: MemoryPorts = createMemoryPorts({ name: "left" });
const { world, network } = memory;
const right = createMemoryPorts({ name: "right", world, network });
const { ports } = memory;
let paths = 0;

keyValueStoreSuite("the simulator", () => ({
  stores: ports.stores,
  fresh: () => `/data/store-${paths++}`,
}));

filesSuite("the simulator", () => ({
  files: ports.files,
  fresh: async () => {
    const path = `/files/${paths++}`;
    await ports.files.makeDirectory(path);
    return path;
  },
}));

timersSuite("the simulator", () => ports);
randomSuite("the simulator", () => ports.random);
codecsSuite("the simulator", () => ports.codecs);

loggerSuite("the simulator", () => {
  const from = memory.logs.length;
  return {
    logger: ports.logger,
    lines: () =>
      memory.logs.slice(from).map(({ level, message, fields }) => {
        const values = Object.entries(fields).map(([key, value]) => `${key}=${String(value)}`);
        return { level, message, text: values.join(" ") };
      }),
  };
});

meterSuite("the simulator", () => {
  const { meter } = createMemoryPorts({ name: `meter-${paths++}`, world, network });
  return { meter, read: async (series) => meter.collect().get(series) ?? meter.series(series) };
});

peerNetworkSuite("the simulator", async () => ({
  left: ports.network,
  right: right.ports.network,
  address: { host: "right", port: 0 },
  until: async (condition) => {
    for (let turn = 0; turn < 10_000; turn++) {
      if (condition()) return;
      await ports.timers.sleep(5);
    }
    throw new Error("the condition never held");
  },
  dispose: async () => {},
}));
