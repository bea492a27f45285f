/** The Prometheus meter: slices, what it derives, and what a process shows of itself. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { registerProcessMetrics } from "../../../src/adapters/process-metrics.ts";
import { PrometheusMeter } from "../../../src/adapters/prometheus-meter.ts";
import { RequestSummary } from "../../../src/adapters/request-summary.ts";
import { eventually } from "../../support/eventually.ts";
import { NODE_METRICS, samplesOf } from "../../support/metric-catalogue.ts";

/** Value of one series of a scrape. */
function sampleOf(text: string, series: string): number | undefined {
  const line = text.split("\n").find((each) => each.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

test("a scrape of many series lets others run in between", async () => {
  const meter = new PrometheusMeter();
  const partitionsCount = 20_000;
  meter.onCollect((set) => {
    for (let partition = 0; partition < partitionsCount; partition++) {
      set("kafka_log_log_size", { topic: "orders", partition }, partition);
    }
  });
  let turnsCount = 0;
  let scraping = true;
  const turn = (): void => {
    turnsCount++;
    if (scraping) setImmediate(turn);
  };
  setImmediate(turn);
  const text = await meter.scrape();
  scraping = false;
  expect(text.split("\n").filter((line) => line.startsWith("kafka_log_log_size{"))).toHaveLength(
    partitionsCount,
  );
  // One turn a thousand series: whoever waited had at least so many chances.
  expect(turnsCount).toBeGreaterThanOrEqual(partitionsCount / 1_000);
});

test("a counter that is forgotten goes, and begins anew", async () => {
  const meter = new PrometheusMeter();
  const name = "kafka_server_brokertopicmetrics_bytesin_total";
  const count = (amount: number): void => meter.count(name, { topic: "a" }, amount);
  count(5);
  meter.forget(name, { topic: "b" });
  expect(sampleOf(await meter.scrape(), `${name}{topic="a"}`)).toBe(5);
  meter.forget(name, { topic: "a" });
  expect(sampleOf(await meter.scrape(), `${name}{topic="a"}`)).toBeUndefined();
  count(2);
  expect(sampleOf(await meter.scrape(), `${name}{topic="a"}`)).toBe(2);
});

test("requests and their quantiles are read off the histogram", async () => {
  const meter = new PrometheusMeter();
  for (let index = 0; index < 100; index++) {
    meter.observe("ottla_request_duration_seconds", { request: "Produce" }, 0.0015);
  }
  for (let scrapes = 0; scrapes < 2; scrapes++) {
    const text = await meter.scrape();
    const requests = 'kafka_network_requestmetrics_requests_total{request="Produce"}';
    expect(sampleOf(text, requests)).toBe(100);
    const times = "kafka_network_requestmetrics_totaltimems";
    expect(sampleOf(text, `${times}{request="Produce",quantile="0.50"}`)).toBeCloseTo(1.5);
    expect(sampleOf(text, `${times}{request="Produce",quantile="0.99"}`)).toBeCloseTo(1.99);
  }
});

describe("quantiles", () => {
  const buckets = (...counts: readonly number[]) =>
    [0.001, 0.01, Number.POSITIVE_INFINITY].map((le, at) => ({ le, count: counts[at] ?? 0 }));

  test("are those of the last minute or two", () => {
    const summary = new RequestSummary();
    expect(summary.read(0, buckets(100, 100, 100))?.["0.99"]).toBeCloseTo(0.99);
    summary.read(60_000, buckets(100, 100, 100));
    expect(summary.read(61_000, buckets(100, 200, 200))?.["0.50"]).toBeCloseTo(5.5);
  });

  test("are absent where nothing was asked, and no more than the last bound", () => {
    const summary = new RequestSummary();
    expect(summary.read(0, buckets(0, 0, 0))).toBeUndefined();
    expect(summary.read(1, buckets(0, 0, 10))?.["0.50"]).toBe(10);
  });
});

test("connections are counted by the listener that took them", async () => {
  const server = createServer((_, response) => response.end("ok"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const meter = new PrometheusMeter();
  const listeners = [
    { name: "HTTP", port },
    { name: "GRPC", port: port === 1 ? 2 : 1 },
  ];
  const metrics = registerProcessMetrics(meter, { version: "1.2.3", listeners });
  try {
    await (await fetch(`http://127.0.0.1:${port}/`)).text();
    const prefix = "kafka_server_socket_server_metrics_connection";
    const http = async (which: string, listener = "HTTP"): Promise<number | undefined> =>
      sampleOf(await meter.scrape(), `${prefix}_${which}{listener="${listener}"}`);
    expect(await http("count")).toBe(1);
    expect(await http("creation_total")).toBe(1);
    expect(await http("close_total")).toBe(0);
    expect(await http("count", "GRPC")).toBe(0);
    server.closeAllConnections();
    await eventually("the connection ended", async () => (await http("count")) === 0);
    expect(await http("close_total")).toBe(1);
    const text = await meter.scrape();
    const node = process.versions.node;
    expect(sampleOf(text, `ottla_build_info{version="1.2.3",node="${node}"}`)).toBe(1);
  } finally {
    metrics.stop();
    server.close();
  }
});

test("the table of Node's metrics is the library's", async () => {
  const text = await new PrometheusMeter().scrape();
  const typed = [...text.matchAll(/^# TYPE ((?:process|nodejs)_\S+) (\S+)$/gm)];
  const found = typed.map(([, name, type]) => `${name} ${type}`);
  expect(new Set(found)).toEqual(new Set(NODE_METRICS.map(({ name, type }) => `${name} ${type}`)));
  const samples = samplesOf(text);
  for (const { labels, name } of NODE_METRICS) {
    // What has not happened yet (a collection of garbage) has no sample.
    const own = samples.get(name);
    if (own !== undefined) expect([name, own]).toEqual([name, labels]);
  }
});
