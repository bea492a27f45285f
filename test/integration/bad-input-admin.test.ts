/**
 * What a person may ask wrongly of a running cluster, by command: each is refused with its code, the
 * value and what is allowed, and with the right exit code; the cluster goes on.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Admin, Producer } from "../../src/client/index.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { jsonLines, ottla } from "../support/cli.ts";

let cluster: Cluster;
let environment: Readonly<Record<string, string>>;

beforeAll(async () => {
  cluster = await startCluster({ brokers: 3 });
  environment = { OTTLA_BOOTSTRAP_SERVERS: cluster.bootstrapServers.join(",") };
  await using admin = new Admin({ bootstrapServers: cluster.bootstrapServers });
  await admin.createTopics([{ name: "orders", partitions: 3, replicationFactor: 3 }]);
});

afterAll(async () => {
  await cluster?.stop();
});

interface Refusal {
  readonly what: string;
  readonly words: readonly string[];
  readonly code: number;
  readonly says: readonly string[];
}

const REFUSALS: readonly Refusal[] = [
  {
    what: "an unknown topic, described",
    words: ["topic", "describe", "nowhere"],
    code: 3,
    says: ["nowhere", "UNKNOWN_TOPIC_OR_PARTITION"],
  },
  {
    what: "an unknown topic, consumed",
    words: ["consume", "nowhere"],
    code: 3,
    says: ["nowhere", "UNKNOWN_TOPIC_OR_PARTITION"],
  },
  {
    what: "an unknown topic, deleted",
    words: ["topic", "delete", "nowhere"],
    code: 3,
    says: ["nowhere", "UNKNOWN_TOPIC_OR_PARTITION"],
  },
  {
    what: "an unknown partition",
    words: ["consume", "orders", "--partition", "9"],
    code: 3,
    says: ["9", "0 to 2"],
  },
  {
    what: "a topic that exists",
    words: ["topic", "create", "orders"],
    code: 3,
    says: ["orders", "TOPIC_ALREADY_EXISTS"],
  },
  {
    what: "an illegal name",
    words: ["topic", "create", "a/b"],
    code: 3,
    says: ["a/b", "INVALID_TOPIC_EXCEPTION"],
  },
  {
    what: "the name ..",
    words: ["topic", "create", ".."],
    code: 3,
    says: ["INVALID_TOPIC_EXCEPTION"],
  },
  {
    what: "a name that is too long",
    words: ["topic", "create", "x".repeat(250)],
    code: 3,
    says: ["249", "INVALID_TOPIC_EXCEPTION"],
  },
  {
    what: "a replication factor above the live brokers",
    words: ["topic", "create", "wide", "--replication-factor", "4"],
    code: 3,
    says: ["4", "3", "INVALID_REPLICATION_FACTOR"],
  },
  {
    what: "a replication factor of 0",
    words: ["topic", "create", "wide", "--replication-factor", "0"],
    code: 3,
    says: ["0", "INVALID_REPLICATION_FACTOR"],
  },
  {
    what: "0 partitions",
    words: ["topic", "create", "none", "--partitions", "0"],
    code: 3,
    says: ["0", "10000", "INVALID_PARTITIONS"],
  },
  {
    what: "negative partitions",
    words: ["topic", "create", "none", "--partitions", "-7"],
    code: 3,
    says: ["-7", "INVALID_PARTITIONS"],
  },
  {
    what: "very many partitions",
    words: ["topic", "create", "none", "--partitions", "2000000000"],
    code: 3,
    says: ["2000000000", "10000", "INVALID_PARTITIONS"],
  },
  {
    what: "fewer partitions than now",
    words: ["topic", "add-partitions", "orders", "--partitions", "2"],
    code: 3,
    says: ["2", "3", "INVALID_PARTITIONS"],
  },
  {
    what: "an unknown key, with the nearest known one",
    words: ["topic", "create", "keys", "--config", "retention.mss=1"],
    code: 3,
    says: ["retention.mss", "retention.ms", "INVALID_CONFIG"],
  },
  {
    what: "a value of the wrong kind",
    words: ["topic", "alter", "orders", "--config", "retention.ms=soon"],
    code: 3,
    says: ["retention.ms", "soon", "INVALID_CONFIG"],
  },
  {
    what: "a value out of range",
    words: ["topic", "alter", "orders", "--config", "min.insync.replicas=0"],
    code: 3,
    says: ["min.insync.replicas", "0", "INVALID_CONFIG"],
  },
  {
    what: "an assignment to a broker that is not there",
    words: ["topic", "create", "far", "--replica-assignment", "1:2:9"],
    code: 3,
    says: ["9"],
  },
  {
    what: "an election of a leader that leads already",
    words: ["partition", "elect-leader", "nowhere:0"],
    code: 3,
    says: ["nowhere"],
  },
  {
    what: "an offset out of range",
    words: ["consume", "orders", "--partition", "0", "--from", "999"],
    code: 3,
    says: ["999", "OFFSET_OUT_OF_RANGE"],
  },
  {
    what: "records deleted above the high watermark",
    words: ["topic", "delete-records", "orders", "--before", "0:12345"],
    code: 3,
    says: ["12345", "OFFSET_OUT_OF_RANGE"],
  },
  {
    what: "a wrong option",
    words: ["topic", "create", "x", "--shards", "3"],
    code: 2,
    says: ["--shards"],
  },
  {
    what: "a value that is no number",
    words: ["topic", "create", "x", "--partitions", "many"],
    code: 2,
    says: ["many", "integer"],
  },
  {
    what: "a format with an unknown token",
    words: ["consume", "orders", "--format", "%q"],
    code: 2,
    says: ["%q", "%k key"],
  },
  {
    what: "a position that is none",
    words: ["consume", "orders", "--from", "yesterday"],
    code: 2,
    says: ["yesterday", "ISO-8601"],
  },
  {
    what: "a setting without a value",
    words: ["topic", "create", "x", "--config", "retention.ms"],
    code: 2,
    says: ["retention.ms", "key=value"],
  },
  {
    what: "a server without a port",
    words: ["topic", "list", "--bootstrap-server", "localhost"],
    code: 2,
    says: ["localhost", "host:port"],
  },
  {
    what: "no command",
    words: ["topic", "destroy"],
    code: 2,
    says: ["destroy"],
  },
  {
    what: "brokers that cannot be reached",
    words: ["topic", "list", "--bootstrap-server", "127.0.0.1:9"],
    code: 4,
    says: ["127.0.0.1:9", "NO_BROKER_REACHABLE"],
  },
];

describe("commands", () => {
  it.each(REFUSALS)("refuses $what", async ({ words, code, says }) => {
    const result = await ottla(words, { environment });
    for (const text of says) expect(result.stderr).toContain(text);
    expect(result.code, result.stderr).toBe(code);
    expect(result.stdout).toBe("");
  });

  it("refuses to produce to an unknown topic, and says how little was done", async () => {
    const result = await ottla(["produce", "nowhere"], { environment, input: "a\nb\n" });
    expect(result.stderr).toContain("UNKNOWN_TOPIC_OR_PARTITION");
    expect(jsonLines(result.stdout)).toMatchObject([{ acknowledged: 0, failed: 2 }]);
    expect(result.code).toBe(3);
  });

  it("writes the good records of an input with bad ones, and exits with 5", async () => {
    const input = `good:1\nbad line\n${"x".repeat(1_100_000)}:2\ngood:3\n`;
    const words = ["produce", "orders", "--key-separator", ":"];
    const result = await ottla(words, { environment, input });
    expect(jsonLines(result.stdout)).toMatchObject([{ acknowledged: 2, failed: 2 }]);
    expect(result.stderr).toContain("line 2");
    expect(result.stderr).toContain("MESSAGE_TOO_LARGE");
    expect(result.code).toBe(5);
  });

  it("still does what it is asked rightly", async () => {
    await using producer = new Producer({ bootstrapServers: cluster.bootstrapServers });
    await producer.send({ topic: "orders", value: "well" });
    for (const id of cluster.brokerIds) expect(cluster.isRunning(id)).toBe(true);
  });
});

describe("deleting topics", () => {
  it("is refused where delete.topic.enable is false", async () => {
    await using strict = await startCluster({
      brokers: 1,
      properties: { "delete.topic.enable": "false" },
    });
    await using admin = new Admin({ bootstrapServers: strict.bootstrapServers });
    await admin.createTopics([{ name: "kept" }]);
    await expect(admin.deleteTopics(["kept"])).rejects.toMatchObject({
      code: "TOPIC_DELETION_DISABLED",
    });
    expect(await admin.describeTopics(["kept"])).toHaveLength(1);
  });
});
