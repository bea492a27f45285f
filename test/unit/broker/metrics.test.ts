/** How a broker shows its numbers: in slices, within bounds, and nothing of what is gone. */
import { describe, expect, test } from "vitest";
import { RecentRate } from "../../../src/base/recent-rate.ts";
import { showPartitions } from "../../../src/broker/partition-metrics.ts";
import { TimeSlices } from "../../../src/broker/time-slices.ts";
import { Traffic } from "../../../src/broker/traffic.ts";
import { LIMITS } from "../../../src/model/limits.ts";
import type { Ports } from "../../../src/ports/ports.ts";
import { SimMeter } from "../../sim/world/sim-meter.ts";
import { createMemoryPorts } from "../../support/memory-ports.ts";
import { TOPIC_CONFIG } from "../runtime/cluster-image.ts";
import { MemoryLogs } from "../runtime/memory-logs.ts";

/** A clock that a test moves, and the count of how often the event loop was given back. */
function fakePorts(): {
  readonly ports: Pick<Ports, "clock" | "timers">;
  nowMs: number;
  yieldsCount: number;
} {
  const { ports } = createMemoryPorts({ name: "node-1" });
  const fake = {
    nowMs: 0,
    yieldsCount: 0,
    ports: {
      clock: { ...ports.clock, monotonicMs: () => fake.nowMs },
      timers: {
        ...ports.timers,
        yield: async () => {
          fake.yieldsCount++;
        },
      },
    },
  };
  return fake;
}

async function replicas(count: number) {
  const logs = new MemoryLogs();
  const numbers = Array.from({ length: count }, (_, partition) => partition);
  const hosts = await Promise.all(
    numbers.map(async (partition) => {
      const name = { topicId: "id", topic: "orders", partition };
      const log = await logs.open(name, TOPIC_CONFIG);
      const base = { follower: undefined, leader: undefined, offline: false };
      return { ...base, name, log, assignment: undefined as never };
    }),
  );
  return { replicas: { hosts: () => hosts }, logs };
}

describe("a scrape of many replicas", () => {
  test("gives the event loop back after every 250 of them, though no time passes", async () => {
    const fake = fakePorts();
    const shown = new Set<string>();
    const set = (_name: string, labels: object): unknown => shown.add(JSON.stringify(labels));
    await showPartitions(set, fake.ports, await replicas(1_000));
    expect(fake.yieldsCount).toBe(4);
    expect([...shown].filter((labels) => labels.includes("orders"))).toHaveLength(1_000);
  });

  test("gives it back sooner where each takes long", async () => {
    const fake = fakePorts();
    const set = (name: string): void => {
      if (name === "kafka_log_log_size") fake.nowMs += 1;
    };
    await showPartitions(set, fake.ports, await replicas(100));
    expect(fake.yieldsCount).toBe(50);
  });

  test("shows no more series than the limit, and says how many it left out", async () => {
    const fake = fakePorts();
    const count = LIMITS.partitionSeriesCount / 4 + 10;
    let seriesCount = 0;
    let dropped = -1;
    let partitions = -1;
    const set = (name: string, _labels: object, value: number): void => {
      if (name.startsWith("kafka_log_log_")) seriesCount++;
      if (name === "ottla_partition_series_dropped") dropped = value;
      if (name === "kafka_server_replicamanager_partitioncount") partitions = value;
    };
    await showPartitions(set, fake.ports, await replicas(count));
    expect([seriesCount, dropped, partitions]).toEqual([LIMITS.partitionSeriesCount, 40, count]);
  });
});

test("slices are due by count or by time, and begin anew after a pause", async () => {
  const fake = fakePorts();
  const slices = new TimeSlices(fake.ports);
  expect(slices.due).toBe(false);
  fake.nowMs += 2;
  expect(slices.due).toBe(true);
  await slices.pause();
  expect(slices.due).toBe(false);
});

describe("traffic", () => {
  const bytesIn = "kafka_server_brokertopicmetrics_bytesin_total";

  function open() {
    const { ports } = createMemoryPorts({ name: "node-1" });
    const meter = new SimMeter();
    const topics = new Set(["a", "b"]);
    const traffic = new Traffic({ ...ports, meter }, { isTopic: (name) => topics.has(name) });
    return { meter, topics, traffic };
  }

  test("is shown by topic, and in sum without one", async () => {
    const { meter, traffic } = open();
    traffic.of("a").bytesIn += 5;
    traffic.of("b").bytesIn += 7;
    traffic.unknown.produceFailures++;
    await meter.collectAll();
    traffic.of("a").bytesIn += 1;
    await meter.collectAll();
    expect(["a", "b", ""].map((topic) => meter.counter(bytesIn, { topic }))).toEqual([6, 7, 13]);
    const failed = "kafka_server_brokertopicmetrics_failedproducerequests_total";
    expect(meter.counter(failed, { topic: "" })).toBe(1);
  });

  test("of a deleted topic goes, and stays in the sum", async () => {
    const { meter, topics, traffic } = open();
    traffic.of("a").bytesIn += 5;
    await meter.collectAll();
    expect(meter.series(`${bytesIn}{topic="a"}`)).toBe(5);
    topics.delete("a");
    // A batch that was under way when the topic went.
    traffic.of("a").bytesIn += 2;
    await meter.collectAll();
    expect(meter.series(`${bytesIn}{topic="a"}`)).toBeUndefined();
    expect(meter.counter(bytesIn, { topic: "" })).toBe(7);
  });
});

describe("a recent rate", () => {
  test("looks back ten seconds at least, however often it is read", () => {
    const rate = new RecentRate();
    expect(rate.read(0, 100)).toBe(0);
    expect(rate.read(5_000, 150)).toBe(10);
    expect(rate.read(10_000, 300)).toBe(20);
    // From the reading at 0 s on: 10 s have not passed since the next one was taken.
    expect(rate.read(15_000, 300)).toBeCloseTo(200 / 15);
    expect(rate.read(20_000, 300)).toBe(0);
  });

  test("of a number that fell is 0", () => {
    const rate = new RecentRate();
    rate.read(0, 100);
    expect(rate.read(1_000, 50)).toBe(0);
  });
});
