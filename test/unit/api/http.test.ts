import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { createNodePorts } from "../../../src/adapters/node-ports.ts";
import { startHttpServer } from "../../../src/api/http/server.ts";
import type { BrokerHealth } from "../../../src/broker/broker-api.ts";
import { fakeBroker } from "./door-fixture.ts";

async function openHttp(port = 0) {
  const ports = createNodePorts({ brokerId: 1, log: { level: "error" } });
  const state: { health: BrokerHealth } = { health: { live: true, ready: true, reason: "" } };
  const server = await startHttpServer({
    broker: fakeBroker({ health: () => state.health }),
    ports,
    listener: { host: "127.0.0.1", port },
  });
  return {
    ports,
    state,
    server,
    get: (path: string, init?: RequestInit) =>
      fetch(`http://127.0.0.1:${server.port}${path}`, init),
    [Symbol.asyncDispose]: () => server.close(),
  };
}

describe("the HTTP door", () => {
  test("shows the metrics of the catalogue, and Node's own", async () => {
    await using http = await openHttp();
    http.ports.meter.count(
      "kafka_server_brokertopicmetrics_messagesin_total",
      { topic: "orders" },
      3,
    );
    http.ports.meter.observe("ottla_request_duration_seconds", { request: "Produce" }, 0.004);
    http.ports.meter.onCollect((set) => set("kafka_brokers", {}, 2));
    const response = await http.get("/metrics");
    expect(response.headers.get("content-type")).toContain("text/plain");
    const text = await response.text();
    expect(text).toContain('kafka_server_brokertopicmetrics_messagesin_total{topic="orders"} 3');
    expect(text).toContain("\nkafka_brokers 2\n");
    expect(text).toContain('ottla_request_duration_seconds_bucket{le="0.005",request="Produce"} 1');
    expect(text).toContain("nodejs_eventloop_lag_seconds");
    // A gauge that nobody set is absent, not zero.
    expect(text).not.toMatch(/^kafka_server_raftmetrics_current_leader /m);
  });

  test("tells health with a reason", async () => {
    await using http = await openHttp();
    expect((await http.get("/health/ready")).status).toBe(200);
    http.state.health = { live: true, ready: false, reason: "broker 1 is fenced" };
    const ready = await http.get("/health/ready");
    expect([ready.status, await ready.text()]).toEqual([503, "broker 1 is fenced\n"]);
    expect((await http.get("/health/live")).status).toBe(200);
    http.state.health = { live: false, ready: false, reason: "the disk hangs" };
    expect((await http.get("/health/live")).status).toBe(503);
  });

  test("answers anything else with a refusal", async () => {
    await using http = await openHttp();
    expect((await http.get("/")).status).toBe(404);
    expect((await http.get("/metrics/../etc/passwd")).status).toBe(404);
    expect((await http.get("/metrics", { method: "POST", body: "x" })).status).toBe(405);
    expect((await http.get("/metrics?x=1", { method: "HEAD" })).status).toBe(200);
  });

  test("serves on after garbage", async () => {
    await using http = await openHttp();
    await new Promise<void>((resolve) => {
      const socket = connect(http.server.port, "127.0.0.1");
      socket.on("error", () => {});
      socket.on("close", () => resolve());
      socket.resume();
      socket.end(Buffer.from([0, 1, 2, 255, 254, 13, 10, 13, 10]));
    });
    expect((await http.get("/health/live")).status).toBe(200);
  });

  test("names a port in use", async () => {
    await using http = await openHttp();
    await expect(openHttp(http.server.port)).rejects.toMatchObject({ code: "PORT_IN_USE" });
  });
});
