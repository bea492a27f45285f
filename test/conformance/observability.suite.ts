/** Logger and meter, lightly: that every level, child and kind of number is taken. */
import { describe, expect, test } from "vitest";
import type { Logger } from "../../src/ports/logger.ts";
import type { Meter } from "../../src/ports/meter.ts";

export interface LoggerSubject {
  readonly logger: Logger;
  /** What was logged so far, one object a line. */
  lines(): readonly { readonly level: string; readonly message: string; readonly text: string }[];
}

export function loggerSuite(name: string, make: () => LoggerSubject): void {
  describe(`${name} as Logger`, () => {
    test("writes each line with its level, message and all fields, a child's first", () => {
      const { logger, lines } = make();
      const child = logger.child({ partition: 7 }).child({ topic: "orders" });
      child.info("partition leads", { leaderEpoch: 42 });
      logger.warn("disk is slow");
      logger.error("disk failed", { cause: new Error("EIO here") });
      const found = lines();
      expect(found.map(({ level, message }) => [level, message])).toEqual([
        ["info", "partition leads"],
        ["warn", "disk is slow"],
        ["error", "disk failed"],
      ]);
      for (const part of ["7", "orders", "42"]) expect(found[0]?.text).toContain(part);
      expect(found[2]?.text).toContain("EIO here");
    });
  });
}

export interface MeterSubject {
  readonly meter: Meter;
  /** The value of a series, as the next scrape shows it. */
  read(series: string): Promise<number | undefined>;
}

export function meterSuite(name: string, make: () => MeterSubject): void {
  describe(`${name} as Meter`, () => {
    test("adds up counters by label", async () => {
      const { meter, read } = make();
      meter.count("kafka_server_brokertopicmetrics_messagesin_total", { topic: "a" }, 2);
      meter.count("kafka_server_brokertopicmetrics_messagesin_total", { topic: "a" }, 3);
      meter.count("kafka_server_brokertopicmetrics_messagesin_total", { topic: "b" }, 7);
      const series = "kafka_server_brokertopicmetrics_messagesin_total";
      expect(await read(`${series}{topic="a"}`)).toBe(5);
      expect(await read(`${series}{topic="b"}`)).toBe(7);
    });

    test("asks for gauges at each scrape, and forgets those that were not set again", async () => {
      const { meter, read } = make();
      let partitions = [1, 2];
      meter.onCollect((set) => {
        for (const partition of partitions) {
          set("ottla_replica_lag_records", { topic: "a", partition, follower: 3 }, partition * 10);
        }
      });
      const series = (partition: number): string =>
        `ottla_replica_lag_records{topic="a",partition="${partition}",follower="3"}`;
      expect(await read(series(2))).toBe(20);
      partitions = [1];
      expect(await read(series(1))).toBe(10);
      expect(await read(series(2))).toBeUndefined();
    });
  });
}
