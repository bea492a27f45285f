import { describe, expect, it } from "vitest";
import type { OttlaError } from "../../../src/model/errors.ts";
import { keysWithoutEffect, parseBrokerConfig } from "../../../src/model/parse-broker-config.ts";

function parse(properties: Record<string, string>) {
  return parseBrokerConfig(
    new Map(Object.entries({ "node.id": "1", "log.dirs": "/data", ...properties })),
  );
}

function refusal(properties: Record<string, string>): string {
  try {
    parse(properties);
  } catch (thrown) {
    expect((thrown as OttlaError).code).toBe("INVALID_CONFIG");
    return (thrown as OttlaError).message;
  }
  throw new Error("nothing was refused");
}

describe("parseBrokerConfig", () => {
  it("needs only an id and a directory: the broker is then a cluster of its own", () => {
    const config = parse({});
    expect(config.listeners).toEqual([
      { name: "PLAINTEXT", protocol: "PLAINTEXT", host: "", port: 9092 },
      { name: "GRPC", protocol: "GRPC", host: "", port: 9192 },
      { name: "INTERNAL", protocol: "INTERNAL", host: "", port: 9392 },
      { name: "HTTP", protocol: "HTTP", host: "", port: 9292 },
    ]);
    expect(config.voters).toEqual([{ id: 1, host: "127.0.0.1", port: 9392 }]);
    expect(config.sessionReconnectMs).toBe(300);
    expect(config.heartbeatIntervalMs).toBe(250);
    expect(config.leaderImbalanceCheckIntervalMs).toBe(300_000);
  });

  it("reads listeners with IPv6 hosts, default ports and advertised addresses", () => {
    const config = parse({
      listeners: "GRPC://[::1]:1192, internal://0.0.0.0,HTTP://localhost:0",
      "advertised.listeners": "GRPC://broker-1.example:443",
      "controller.quorum.voters": "1@[fe80::1]:9392,2@host-2,3@host-3:9394",
    });
    expect(config.listeners).toEqual([
      { name: "GRPC", protocol: "GRPC", host: "::1", port: 1192 },
      { name: "INTERNAL", protocol: "INTERNAL", host: "", port: 9392 },
      { name: "HTTP", protocol: "HTTP", host: "localhost", port: 0 },
    ]);
    expect(config.advertisedListeners[0]).toEqual({
      name: "GRPC",
      protocol: "GRPC",
      host: "broker-1.example",
      port: 443,
    });
    expect(config.advertisedListeners[2]).toEqual(config.listeners[2]);
    expect(config.voters).toEqual([
      { id: 1, host: "fe80::1", port: 9392 },
      { id: 2, host: "host-2", port: 9392 },
      { id: 3, host: "host-3", port: 9394 },
    ]);
  });

  it("speaks on a listener what listener.security.protocol.map says of its name", () => {
    const config = parse({
      listeners: "GRPC://:9192,Outside://:9195,INTERNAL://:9392,METRICS://",
      "advertised.listeners": "OUTSIDE://broker-1.example:19195",
      "listener.security.protocol.map": "OUTSIDE:GRPC, metrics:http",
    });
    expect(config.listeners).toEqual([
      { name: "GRPC", protocol: "GRPC", host: "", port: 9192 },
      { name: "OUTSIDE", protocol: "GRPC", host: "", port: 9195 },
      { name: "INTERNAL", protocol: "INTERNAL", host: "", port: 9392 },
      { name: "METRICS", protocol: "HTTP", host: "", port: 9292 },
    ]);
    expect(config.advertisedListeners[1]).toEqual({
      name: "OUTSIDE",
      protocol: "GRPC",
      host: "broker-1.example",
      port: 19_195,
    });
  });

  it("splits log.dirs, and prefers it to log.dir", () => {
    expect(parse({ "log.dirs": "/a, /b", "log.dir": "/c" }).logDirs).toEqual(["/a", "/b"]);
  });

  it("waits for no hand-over where controlled shutdown is off", () => {
    expect(parse({}).controlledShutdownMaxMs).toBe(30_000);
    expect(parse({ "controlled.shutdown.enable": "false" }).controlledShutdownMaxMs).toBe(0);
  });

  it.each<[Record<string, string>, string]>([
    [{ "node.id": "-1" }, "node.id"],
    [{ "node.id": "one" }, 'node.id is "one"'],
    [{ "broker.id": "7" }, "the value of node.id, 1"],
    [{ "log.dirs": "" }, "log.dirs"],
    [{ "log.dirs": "/a,/a" }, "each once"],
    [
      { listeners: "OUTSIDE://:9092" },
      "or one that listener.security.protocol.map gives a protocol",
    ],
    [
      { "listener.security.protocol.map": "OUTSIDE:SSL" },
      "a protocol of PLAINTEXT, GRPC, INTERNAL, HTTP",
    ],
    [{ "listener.security.protocol.map": "OUTSIDE" }, "NAME:PROTOCOL"],
    [{ "listener.security.protocol.map": "A:GRPC,a:HTTP" }, "A stands twice"],
    [{ "inter.broker.listener.name": "GRPC" }, "protocol INTERNAL, but GRPC is GRPC"],
    [
      {
        listeners: "INTERNAL://:9392,HTTP://:9292,METRICS://:9293",
        "listener.security.protocol.map": "METRICS:HTTP",
      },
      "one listener of protocol HTTP",
    ],
    [{ listeners: "GRPC://:9192,INTERNAL://:9192" }, "each address once"],
    [{ listeners: "GRPC://:9192,GRPC://:9193" }, "GRPC stands twice"],
    [{ listeners: "GRPC://:99999,INTERNAL://:1" }, "0 to 65535"],
    [{ listeners: "GRPC:9192" }, "NAME://host:port"],
    [{ listeners: "GRPC://:9192" }, "inter.broker.listener.name"],
    [{ "advertised.listeners": "GRPC://0.0.0.0:9192" }, "a host and a port"],
    [{ "advertised.listeners": "GRPC://a:0" }, "a host and a port"],
    [
      { "controller.quorum.voters": "2@b:1,3@c:1" },
      "advertised.listeners is missing; allowed is a list with PLAINTEXT://",
    ],
    [
      {
        listeners: "INSIDE://:1,OUTSIDE://:2,INTERNAL://:3",
        "listener.security.protocol.map": "INSIDE:GRPC,OUTSIDE:GRPC",
        "advertised.listeners": "INSIDE://broker-1:1",
      },
      "OUTSIDE://<the host that its clients know>:<port>: it is not the only one",
    ],
    [{ "advertised.listeners": "GRPC://a:1,OTHER://b:2" }, "PLAINTEXT, GRPC, INTERNAL, HTTP"],
    [{ "controller.quorum.voters": "1@a:1,1@b:2" }, "each id once"],
    [{ "controller.quorum.voters": "host:9392" }, "id@host:port"],
    [{ "controller.quorum.voters": "1@:9392" }, "a host and a port"],
    [{ "cluster.id": "a cluster" }, "letters, digits"],
    [{ "process.roles": "controller" }, "allowed is broker,controller"],
    [
      {
        "process.roles": "broker,controller",
        "controller.quorum.voters": "2@b:1",
        "advertised.listeners": "GRPC://a:1,INTERNAL://a:2",
      },
      "controller.quorum.voters does not name node 1",
    ],
    [{ "broker.session.timeout.ms": "300" }, "two heartbeat intervals"],
    [{ "auto.create.topic.enable": "true" }, "did you mean auto.create.topics.enable?"],
    [{ "request.timeout.ms": "0" }, "at least 1"],
    [{ "offsets.topic.compression.codec": "9" }, "4 (zstd)"],
    [{ "group.initial.rebalance.delay.ms": "-1" }, "at least 0"],
    [
      { "group.min.session.timeout.ms": "9000", "group.max.session.timeout.ms": "8000" },
      "group.max.session.timeout.ms is 8000; allowed is at least 9000",
    ],
  ])("refuses %j and names key, value and what is allowed", (properties, expected) => {
    expect(refusal(properties)).toContain(expected);
  });

  it("needs a node.id unless it is a cluster of its own", () => {
    const log = ["log.dirs", "/data"] as const;
    expect(parseBrokerConfig(new Map([log])).nodeId).toBe(1);
    const several = new Map([log, ["controller.quorum.voters", "1@a:1,2@b:1"]]);
    expect(() => parseBrokerConfig(several)).toThrow("node.id is missing");
  });

  it("tells which given keys nothing reads", () => {
    const properties = new Map([
      ["num.io.threads", "8"],
      ["num.partitions", "6"],
      ["listener.name.grpc.ssl.protocol", "TLSv1.3"],
    ]);
    expect(keysWithoutEffect(properties)).toEqual([
      "num.io.threads",
      "listener.name.grpc.ssl.protocol",
    ]);
  });
});
