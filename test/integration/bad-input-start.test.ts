/**
 * What may be wrong where a broker starts: configuration, ports, identities, directories. A broker
 * that cannot start says why in one line and exits with 2 (its configuration), 3 (this machine or the
 * cluster refuses) or a code for the kind of refusal; the others go on.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Admin, Producer } from "../../src/client/index.ts";
import { freePorts } from "../../src/main/local-cluster.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { ottla } from "../support/cli.ts";

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "ottla-start-"));
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function file(name: string, text: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, text);
  return path;
}

describe("configuration", () => {
  it("names a file that cannot be read", async () => {
    const path = join(directory, "missing.properties");
    const result = await ottla(["broker", "--config", path]);
    expect(result.code).toBe(2);
    expect(result.stderr).toContain(path);
    expect(result.stderr).toContain("CONFIG_UNREADABLE");
  });

  it("names the line of a malformed file", async () => {
    const path = await file("malformed.properties", "node.id=1\n\nlog.dirs\n");
    const result = await ottla(["broker", "--config", path]);
    expect(result.code).toBe(2);
    expect(result.stderr).toContain("line 3");
  });

  const wrong: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    [
      "an unknown key, with the nearest known one",
      ["log.dirss=/tmp/x"],
      ["log.dirss", "did you mean log.dirs"],
    ],
    ["a value of the wrong kind", ["log.retention.ms=soon"], ["log.retention.ms", "soon"]],
    ["a value out of range", ["min.insync.replicas=0"], ["min.insync.replicas", "0"]],
    ["a malformed listener", ["listeners=GRPC:9192"], ["listeners", "NAME://host:port"]],
    ["an unknown listener", ["listeners=SSL://:1"], ["SSL", "GRPC"]],
    ["malformed voters", ["controller.quorum.voters=1:9392"], ["id@host:port"]],
    ["a negative id", ["node.id=-4"], ["node.id", "-4"]],
  ];

  it.each(wrong)("refuses %s", async (_, assignments, expected) => {
    const sets = assignments.flatMap((assignment) => ["--set", assignment]);
    const base = ["--set", "node.id=1", "--set", `log.dirs=${directory}/never`];
    const result = await ottla(["broker", ...base, ...sets]);
    expect(result.code).toBe(2);
    for (const text of expected) expect(result.stderr).toContain(text);
  });

  it("takes the environment, and --set before it", async () => {
    const environment = { OTTLA_NODE_ID: "x", OTTLA_LOG_DIRS: `${directory}/never` };
    const refused = await ottla(["broker"], { environment });
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain("node.id");
    const right = { ...environment, OTTLA_NODE_ID: "7" };
    const other = await ottla(["broker", "--set", "node.id=y"], { environment: right });
    expect(other.stderr).toContain('"y"');
  });

  it("refuses a broker without a directory, or an id of its own, in one line", async () => {
    const result = await ottla(["broker"]);
    expect(result.code).toBe(2);
    expect(result.stderr).toMatch(/^error: log\.dirs is missing.*\n$/);
    const environment = { KAFKA_CONTROLLER_QUORUM_VOTERS: "1@a:1,2@b:1,3@c:1" };
    const one = await ottla(["broker"], { environment });
    expect(one.code).toBe(2);
    expect(one.stderr).toMatch(/^error: node\.id is missing.*\n$/);
  });

  it("refuses an environment that contradicts itself", async () => {
    const environment = { OTTLA_NODE_ID: "1", KAFKA_NODE_ID: "2" };
    const { code, stderr } = await ottla(["broker"], { environment });
    expect(code).toBe(2);
    expect(stderr).toContain('OTTLA_NODE_ID is "1" and KAFKA_NODE_ID is "2"');
  });
});

describe("ports", () => {
  let server: Server;
  let taken: number;

  beforeAll(async () => {
    const [port] = await freePorts(1);
    taken = port as number;
    server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(taken, "127.0.0.1", resolve);
    });
  });

  afterAll(() => {
    server.close();
  });

  const protocols = ["PLAINTEXT", "GRPC", "INTERNAL", "HTTP"];
  it.each(protocols)("refuses a %s port in use and names it", async (name) => {
    const ports = await freePorts(3);
    const others = protocols.filter((other) => other !== name);
    const listeners = [
      `${name}://127.0.0.1:${taken}`,
      ...others.map((other, index) => `${other}://127.0.0.1:${ports[index]}`),
    ].join(",");
    const data = join(directory, `ports-${name}`);
    const set = ["node.id=1", `log.dirs=${data}`, `listeners=${listeners}`];
    const result = await ottla(["broker", ...set.flatMap((one) => ["--set", one])]);
    expect(result.code).toBe(3);
    expect(result.stderr).toContain("PORT_IN_USE");
    expect(result.stderr).toContain(String(taken));
  });

  it("refuses a dev cluster on a port in use and names the way out", async () => {
    // Broker 1's gRPC port is 9192 plus the offset.
    const offset = String(taken - 9192);
    const result = await ottla(["dev", "--data", join(directory, "dev"), "--port-offset", offset]);
    expect(result.code).toBe(3);
    expect(result.stderr).toContain("PORT_IN_USE");
    expect(result.stderr).toContain("--port-offset");
  });
});

describe("identities and directories", () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await startCluster({ brokers: 3 });
  });

  afterAll(async () => {
    await cluster.stop();
  });

  /** The cluster takes writes on three replicas, whatever was refused. */
  afterEach(async () => {
    await using admin = new Admin({ bootstrapServers: cluster.bootstrapServers });
    await using producer = new Producer({ bootstrapServers: cluster.bootstrapServers });
    const name = `alive-${Date.now()}`;
    await admin.createTopics([{ name, partitions: 3, replicationFactor: 3 }]);
    await producer.send({ topic: name, value: "still here" });
  });

  /** A broker beside the cluster, with its voters. */
  async function intruder(properties: Readonly<Record<string, string>>) {
    const [grpc, internal, http] = await freePorts(3);
    const voters = cluster.brokerIds
      .map((id) => `${id}@127.0.0.1:${cluster.portsOf(id).internalPort}`)
      .join(",");
    const all = {
      listeners: `GRPC://127.0.0.1:${grpc},INTERNAL://127.0.0.1:${internal},HTTP://127.0.0.1:${http}`,
      "controller.quorum.voters": voters,
      ...properties,
    };
    const sets = Object.entries(all).flatMap(([key, value]) => ["--set", `${key}=${value}`]);
    return await ottla(["broker", ...sets], { timeoutMs: 30_000 });
  }

  it("refuses a directory that another process uses", async () => {
    const result = await intruder({
      "node.id": "7",
      "log.dirs": cluster.logDirsOf(2).join(","),
    });
    expect(result.code).toBe(3);
    expect(result.stderr).toContain("DIRECTORY_LOCKED");
  });

  it("refuses a second broker with the id of a live one", async () => {
    const result = await intruder({
      "node.id": "2",
      "log.dirs": join(directory, "twin"),
    });
    expect(result.code).toBe(3);
    expect(`${result.stderr}${result.stdout}`).toContain("DUPLICATE_BROKER_REGISTRATION");
  });

  it("refuses a directory of another broker", async () => {
    await cluster.stopBroker(3);
    try {
      const result = await intruder({
        "node.id": "8",
        "log.dirs": cluster.logDirsOf(3).join(","),
      });
      expect(result.code).toBe(13);
      expect(result.stderr).toContain("DIRECTORY_FOREIGN");
    } finally {
      await cluster.startBroker(3);
    }
  });

  it("refuses a directory of another cluster", async () => {
    const foreign = join(directory, "foreign");
    {
      await using other = await startCluster({ brokers: 1, directory: foreign });
      await using admin = new Admin({ bootstrapServers: other.bootstrapServers });
      await admin.createTopics([{ name: "elsewhere" }]);
    }
    const result = await intruder({
      "node.id": "1",
      "log.dirs": join(foreign, "broker-1", "data"),
    });
    const { stderr, code } = result;
    // Which of the two is seen first is chance: the id is taken by a broker that lives, too.
    if (code === 3) expect(stderr).toContain("DUPLICATE_BROKER_REGISTRATION");
    else expect([code, stderr]).toEqual([13, expect.stringContaining("INCONSISTENT_CLUSTER_ID")]);
    const named = await intruder({
      "node.id": "1",
      "log.dirs": join(foreign, "broker-1", "data"),
      "cluster.id": "wanted",
    });
    expect([named.code, named.stderr]).toEqual([13, expect.stringContaining("cluster wanted")]);
  });
});
