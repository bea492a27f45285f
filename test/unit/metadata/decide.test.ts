/** What operators ask for: what is granted, and how it is refused. */
import { beforeEach, describe, expect, it } from "vitest";
import type { CreateTopics, NewTopic } from "../../../src/metadata/commands.ts";
import { decideAlterConfigs } from "../../../src/metadata/decide/alter-configs.ts";
import { decideAlterPartition } from "../../../src/metadata/decide/alter-partition.ts";
import { decideCreatePartitions } from "../../../src/metadata/decide/create-partitions.ts";
import { decideCreateTopics } from "../../../src/metadata/decide/create-topics.ts";
import { decideDeleteTopics } from "../../../src/metadata/decide/delete-topics.ts";
import { decideFenceBrokers } from "../../../src/metadata/decide/fence-brokers.ts";
import { decideReassignPartitions } from "../../../src/metadata/decide/reassign-partitions.ts";
import { decideUnregisterBroker } from "../../../src/metadata/decide/unregister-broker.ts";
import { topicByName } from "../../../src/metadata/image.ts";
import { OFFSETS_TOPIC } from "../../../src/model/internal-topics.ts";
import { LIMITS } from "../../../src/model/limits.ts";
import { MetadataCluster } from "../../support/metadata-cluster.ts";

let cluster: MetadataCluster;

beforeEach(() => {
  cluster = new MetadataCluster();
  cluster.start(1, 2, 3);
});

function create(topic: Partial<NewTopic> & { name: string }, options: Partial<CreateTopics> = {}) {
  const { topics } = cluster.run((image, context) =>
    decideCreateTopics(
      image,
      {
        topics: [
          { partitionsCount: -1, replicationFactor: -1, assignment: [], configs: {}, ...topic },
        ],
        validateOnly: false,
        ...options,
      },
      context,
    ),
  );
  return topics[0];
}

function alter(
  name: string,
  key: string,
  value: string | null,
  operation: "set" | "delete" | "append" | "subtract" = "set",
) {
  const { resources } = cluster.run((image) =>
    decideAlterConfigs(
      image,
      {
        resources: [
          {
            resource: name === "" || /^\d+$/.test(name) ? "broker" : "topic",
            name,
            operations: [{ key, operation, value }],
          },
        ],
        validateOnly: false,
      },
      cluster,
    ),
  );
  return resources[0]?.error ?? null;
}

describe("reassigning partitions", () => {
  beforeEach(() => {
    cluster.start(4, 5);
    create({ name: "t", assignment: [[1, 2, 3]] });
  });

  function reassign(replicas: readonly number[] | null, allowReplicationFactorChange = true) {
    const { partitions } = cluster.run((image) =>
      decideReassignPartitions(image, {
        partitions: [{ topic: "t", partition: 0, replicas }],
        allowReplicationFactorChange,
      }),
    );
    return partitions[0]?.error ?? null;
  }

  /** What the leader asks for once followers have caught up, or lag. */
  function setIsr(...isr: readonly number[]) {
    const { leader, leaderEpoch, partitionEpoch } = cluster.partition("t", 0);
    const topicId = topicByName(cluster.image, "t")?.id ?? "";
    const epochOf = (id: number) => cluster.image.brokers.get(id)?.epoch ?? -1;
    const newIsr = isr.map((brokerId) => ({ brokerId, brokerEpoch: epochOf(brokerId) }));
    const { partitions } = cluster.run((image) =>
      decideAlterPartition(image, {
        brokerId: leader,
        brokerEpoch: epochOf(leader),
        partitions: [{ topicId, partition: 0, leaderEpoch, partitionEpoch, newIsr }],
      }),
    );
    return partitions[0]?.error ?? null;
  }

  it("keeps old and new side by side until all of the new are in sync", () => {
    expect(reassign([4, 2, 5])).toBeNull();
    const begun = cluster.partition("t", 0);
    expect(begun).toMatchObject({
      replicas: [4, 2, 5, 1, 3],
      adding: [4, 5],
      removing: [1, 3],
      isr: [1, 2, 3],
      leader: 1,
      leaderEpoch: 0,
    });
    expect(setIsr(1, 2, 3, 4)).toBeNull();
    expect(cluster.partition("t", 0).replicas).toHaveLength(5);
    expect(setIsr(1, 2, 4, 5)).toBeNull();
    expect(cluster.partition("t", 0)).toMatchObject({
      replicas: [4, 2, 5],
      directories: ["", "", ""],
      adding: [],
      removing: [],
      isr: [4, 2, 5],
      elr: [],
      leader: 4,
      leaderEpoch: 1,
    });
  });

  it("waits for a replica that stays and is not in sync", () => {
    expect(setIsr(1, 3)).toBeNull();
    expect(reassign([4, 2])).toBeNull();
    expect(setIsr(1, 3, 4)).toBeNull();
    expect(cluster.partition("t", 0)).toMatchObject({ removing: [1, 3], leader: 1 });
    expect(setIsr(1, 2, 4)).toBeNull();
    expect(cluster.partition("t", 0)).toMatchObject({ replicas: [4, 2], leader: 4 });
  });

  it("is over at once where nothing has to be copied", () => {
    expect(reassign([3, 1])).toBeNull();
    expect(cluster.partition("t", 0)).toMatchObject({
      replicas: [3, 1],
      removing: [],
      isr: [3, 1],
      leader: 1,
      leaderEpoch: 0,
    });
    expect(reassign([1, 3])).toBeNull();
    expect(cluster.partition("t", 0)).toMatchObject({ replicas: [1, 3], adding: [], removing: [] });
    const { partitionEpoch } = cluster.partition("t", 0);
    expect(reassign([1, 3])).toBeNull();
    expect(cluster.partition("t", 0).partitionEpoch).toBe(partitionEpoch);
  });

  it("is given up, and another one takes its place", () => {
    expect(reassign([4, 5, 2])).toBeNull();
    expect(reassign([4, 3, 2])).toBeNull();
    expect(cluster.partition("t", 0)).toMatchObject({
      replicas: [4, 3, 2, 5, 1],
      adding: [4, 5],
      removing: [5, 1],
    });
    expect(setIsr(1, 2, 3, 5)).toBeNull();
    expect(reassign(null)).toBeNull();
    expect(cluster.partition("t", 0)).toMatchObject({
      replicas: [3, 2, 1],
      adding: [],
      removing: [],
      isr: [3, 2, 1],
      leader: 1,
    });
    expect(reassign(null)?.code).toBe("NO_REASSIGNMENT_IN_PROGRESS");
  });

  it("does not go back to replicas of which too few are in sync", () => {
    expect(reassign([4, 5, 2])).toBeNull();
    expect(setIsr(1, 4)).toBeNull();
    expect(reassign(null)?.code).toBe("INVALID_REPLICA_ASSIGNMENT");
    expect(cluster.partition("t", 0).adding).toEqual([4, 5]);
  });

  it("goes on when the leader dies, by one of either side", () => {
    expect(reassign([4, 5, 2])).toBeNull();
    expect(setIsr(1, 4, 5)).toBeNull();
    cluster.apply(decideFenceBrokers(cluster.image, [1], cluster.properties));
    expect(cluster.partition("t", 0)).toMatchObject({ leader: 4, isr: [4, 5], removing: [1, 3] });
    expect(setIsr(4, 5, 2)).toBeNull();
    expect(cluster.partition("t", 0)).toMatchObject({ replicas: [4, 5, 2], isr: [4, 5, 2] });
  });

  it("refuses what is no assignment", () => {
    expect(reassign([])?.code).toBe("INVALID_REPLICA_ASSIGNMENT");
    expect(reassign([1, 1])?.code).toBe("INVALID_REPLICA_ASSIGNMENT");
    expect(reassign([1, 9])?.message).toContain("broker 9 is not registered");
    expect(reassign([4], false)?.code).toBe("INVALID_REPLICATION_FACTOR");
    expect(reassign([4, 2, 1], false)).toBeNull();
  });
});

describe("replacing a configuration", () => {
  it("takes what is named, and the default of everything else", () => {
    create({ name: "t", configs: { "retention.ms": "1", "segment.ms": "60000" } });
    const { resources } = cluster.run((image) =>
      decideAlterConfigs(
        image,
        {
          resources: [
            {
              resource: "topic",
              name: "t",
              operations: [{ key: "max.message.bytes", operation: "set", value: "7" }],
              replace: true,
            },
          ],
          validateOnly: false,
        },
        cluster,
      ),
    );
    expect(resources[0]?.error).toBeNull();
    expect([...(cluster.image.configs.get("topic:t") ?? [])]).toEqual([["max.message.bytes", "7"]]);
  });
});

describe("create topics", () => {
  it("takes the defaults: one partition, three replicas, all of them in sync", () => {
    expect(create({ name: "t" })).toMatchObject({
      error: null,
      partitionsCount: 1,
      replicationFactor: 3,
    });
    const { isr, leader, replicas } = cluster.partition("t", 0);
    expect(isr).toEqual(replicas);
    expect(leader).toBe(replicas[0]);
  });

  it.each<[Partial<NewTopic> & { name: string }, string, string]>([
    [{ name: "" }, "INVALID_TOPIC_EXCEPTION", "is empty"],
    [{ name: ".." }, "INVALID_TOPIC_EXCEPTION", "means a directory"],
    [{ name: "a/b" }, "INVALID_TOPIC_EXCEPTION", "a-z A-Z 0-9 . _ -"],
    [{ name: "x".repeat(250) }, "INVALID_TOPIC_EXCEPTION", "has 250 characters"],
    [{ name: "t", partitionsCount: 0 }, "INVALID_PARTITIONS", "partitions is 0"],
    [{ name: "t", partitionsCount: -2 }, "INVALID_PARTITIONS", "partitions is -2"],
    [{ name: "t", partitionsCount: 2_000_000 }, "INVALID_PARTITIONS", "allowed is 1 to"],
    [{ name: "t", replicationFactor: 4 }, "INVALID_REPLICATION_FACTOR", "allowed is 1 to 3"],
    [{ name: "t", replicationFactor: 0 }, "INVALID_REPLICATION_FACTOR", "factor is 0"],
    [{ name: "t", assignment: [[1, 1]] }, "INVALID_REPLICA_ASSIGNMENT", "stands twice"],
    [{ name: "t", assignment: [[1, 7]] }, "INVALID_REPLICA_ASSIGNMENT", "7 is not registered"],
    [{ name: "t", assignment: [[1, 2], [3]] }, "INVALID_REPLICA_ASSIGNMENT", "expected are 2"],
    [{ name: "t", assignment: [[]] }, "INVALID_REPLICA_ASSIGNMENT", "expected are 1"],
    [{ name: "t", assignment: [[1]], partitionsCount: 2 }, "INVALID_REQUEST", "leave it out"],
    [{ name: "t", configs: { retention: "1" } }, "INVALID_CONFIG", "unknown topic"],
    [{ name: "t", configs: { "retention.ms": "week" } }, "INVALID_CONFIG", "at least -1"],
  ])("refuses %j", (topic, code, message) => {
    const error = create(topic)?.error;
    expect(error?.code).toBe(code);
    expect(error?.message).toContain(message);
    expect(cluster.image.topics.size).toBe(0);
  });

  it("refuses names that metrics cannot tell apart, and a name that exists", () => {
    create({ name: "a.b" });
    expect(create({ name: "a_b" })?.error?.code).toBe("INVALID_TOPIC_EXCEPTION");
    expect(create({ name: "a.b" })?.error?.code).toBe("TOPIC_ALREADY_EXISTS");
  });

  it("counts only live brokers for a factor that was asked for, all for the default", () => {
    cluster.apply(decideFenceBrokers(cluster.image, [3], cluster.properties));
    expect(create({ name: "t", replicationFactor: 3 })?.error?.code).toBe(
      "INVALID_REPLICATION_FACTOR",
    );
    expect(create({ name: "u" })).toMatchObject({ error: null, replicationFactor: 3 });
    const { isr, leader, replicas } = cluster.partition("u", 0);
    expect(replicas).toContain(3);
    expect(isr).not.toContain(3);
    expect(leader).not.toBe(3);
  });

  it("takes fewer replicas than asked for, and fenced brokers, where it is told to", () => {
    const internal = { partitionsCount: 2, replicationFactor: 5, clampReplicationFactor: true };
    cluster.apply(decideFenceBrokers(cluster.image, [3], cluster.properties));
    expect(create({ name: "t", ...internal })).toMatchObject({ error: null, replicationFactor: 3 });
    expect(cluster.partition("t", 0).replicas).toContain(3);
    expect(cluster.partition("t", 0).isr).not.toContain(3);
  });

  it("decides no default factor while a new cluster's brokers are still coming", () => {
    const young = new MetadataCluster();
    young.start(1);
    const { topics } = young.run((image, context) =>
      decideCreateTopics(
        image,
        {
          topics: [
            {
              name: "t",
              partitionsCount: 1,
              replicationFactor: -1,
              assignment: [],
              configs: {},
            },
          ],
          validateOnly: false,
        },
        { ...context, votersCount: 3 },
      ),
    );
    expect(topics[0]?.error?.code).toBe("BROKER_NOT_AVAILABLE");
  });

  it("changes nothing where it is only to be validated", () => {
    expect(create({ name: "t" }, { validateOnly: true })).toMatchObject({
      error: null,
      topicId: "",
      replicationFactor: 3,
    });
    expect(cluster.image.topics.size).toBe(0);
  });

  it("gives a topic of an old name a new id, and none of the old configuration", () => {
    const first = create({ name: "t", configs: { "retention.ms": "5" } });
    cluster.run((image) => decideDeleteTopics(image, { topics: [{ name: "t" }] }, cluster));
    expect(cluster.image.configs.has("topic:t")).toBe(false);
    const second = create({ name: "t" });
    expect(second?.topicId).not.toBe(first?.topicId);
  });
});

describe("create partitions", () => {
  const grow = (partitionsCount: number, assignment: readonly number[][] = []) =>
    cluster.run((image, context) =>
      decideCreatePartitions(
        image,
        { topic: "t", partitionsCount, assignment, validateOnly: false },
        context,
      ),
    );

  it("only adds", () => {
    expect(() => grow(2)).toThrow("does not exist");
    create({ name: "t", partitionsCount: 2 });
    grow(4);
    expect(topicByName(cluster.image, "t")?.partitions).toHaveLength(4);
    expect(() => grow(4)).toThrow("can only be added");
    expect(() => grow(3)).toThrow("can only be added");
    expect(() => grow(LIMITS.partitionsPerTopicCount + 1)).toThrow("allowed is 1 to");
    expect(() => grow(6, [[1, 2, 3]])).toThrow("new are 2");
    grow(5, [[2, 3, 1]]);
    expect(cluster.partition("t", 4).leader).toBe(2);
  });

  it("leaves the offsets topic as it is: groups would be parted from their offsets", () => {
    create({ name: OFFSETS_TOPIC, partitionsCount: 2 });
    const request = { topic: OFFSETS_TOPIC, partitionsCount: 4, assignment: [] };
    const more = () =>
      cluster.run((image, context) =>
        decideCreatePartitions(image, { ...request, validateOnly: false }, context),
      );
    expect(more).toThrow("keeps its 2");
    expect(topicByName(cluster.image, OFFSETS_TOPIC)?.partitions).toHaveLength(2);
  });
});

describe("delete topics", () => {
  it("finds them by name or id, and refuses what is unknown or named twice", () => {
    const topicId = create({ name: "t" })?.topicId ?? "";
    const { topics } = cluster.run((image) =>
      decideDeleteTopics(
        image,
        { topics: [{ topicId }, { name: "t" }, { name: "u" }, { topicId: "none" }, {}] },
        cluster,
      ),
    );
    expect(topics.map(({ error }) => error?.code ?? null)).toEqual([
      null,
      "DUPLICATE_RESOURCE",
      "UNKNOWN_TOPIC_OR_PARTITION",
      "UNKNOWN_TOPIC_ID",
      "INVALID_REQUEST",
    ]);
    expect(cluster.image.topics.size).toBe(0);
  });

  it("is guarded by delete.topic.enable", () => {
    const properties = new Map([["delete.topic.enable", "false"]]);
    expect(() =>
      decideDeleteTopics(cluster.image, { topics: [{ name: "t" }] }, { properties }),
    ).toThrow("delete.topic.enable is false");
  });
});

describe("alter configs", () => {
  beforeEach(() => {
    create({ name: "t" });
  });

  it("sets, appends to and subtracts from a list, and deletes", () => {
    expect(alter("t", "cleanup.policy", "compact", "append")).toBeNull();
    expect(cluster.image.configs.get("topic:t")?.get("cleanup.policy")).toBe("delete,compact");
    expect(alter("t", "cleanup.policy", "delete", "subtract")).toBeNull();
    expect(cluster.image.configs.get("topic:t")?.get("cleanup.policy")).toBe("compact");
    expect(alter("t", "cleanup.policy", null, "delete")).toBeNull();
    expect(cluster.image.configs.has("topic:t")).toBe(false);
  });

  it.each([
    ["t", "retention.ms", "-5", "INVALID_CONFIG"],
    ["t", "retension.ms", "5", "INVALID_CONFIG"],
    ["t", "retention.ms", null, "INVALID_CONFIG"],
    ["u", "retention.ms", "5", "UNKNOWN_TOPIC_OR_PARTITION"],
    ["7", "log.retention.ms", "5", "BROKER_ID_NOT_REGISTERED"],
    ["", "node.id", "5", "INVALID_CONFIG"],
    ["", "listeners", "GRPC://:1", "INVALID_CONFIG"],
    ["1", "min.insync.replicas", "1", "INVALID_CONFIG"],
  ])("refuses %s %s=%s", (name, key, value, code) => {
    const before = cluster.image;
    expect(alter(name, key, value)?.code).toBe(code);
    expect(cluster.image).toBe(before);
  });

  it("keeps min.insync.replicas of all brokers written down", () => {
    expect(alter("", "min.insync.replicas", "1")).toBeNull();
    expect(alter("", "min.insync.replicas", null, "delete")).toBeNull();
    expect(cluster.image.configs.get("broker:")?.get("min.insync.replicas")).toBe("2");
  });
});

describe("alter partition", () => {
  const ask = (overrides: {
    readonly brokerId?: number;
    readonly leaderEpoch?: number;
    readonly partitionEpoch?: number;
    readonly isr?: readonly (readonly [number, number])[];
    readonly lost?: readonly number[];
  }) => {
    const { topicId } = { topicId: topicByName(cluster.image, "t")?.id ?? "" };
    const brokerId = overrides.brokerId ?? 1;
    const { partitions } = cluster.run((image) =>
      decideAlterPartition(image, {
        brokerId,
        brokerEpoch: brokerId,
        partitions: [
          {
            topicId,
            partition: 0,
            leaderEpoch: overrides.leaderEpoch ?? 0,
            partitionEpoch: overrides.partitionEpoch ?? cluster.partition("t", 0).partitionEpoch,
            newIsr: (overrides.isr ?? [[1, 1]]).map(([id, epoch]) => ({
              brokerId: id,
              brokerEpoch: epoch,
            })),
            ...(overrides.lost === undefined ? {} : { lost: overrides.lost }),
          },
        ],
      }),
    );
    return partitions[0]?.error?.code ?? null;
  };

  beforeEach(() => {
    create({ name: "t", assignment: [[1, 2, 3]] });
  });

  it("is granted to the leader alone, in its epoch, knowing the partition epoch", () => {
    expect(ask({ brokerId: 2 })).toBe("INVALID_REQUEST");
    expect(ask({ leaderEpoch: -1 })).toBe("FENCED_LEADER_EPOCH");
    expect(ask({ leaderEpoch: 1 })).toBe("NOT_CONTROLLER");
    expect(ask({ partitionEpoch: 7 })).toBe("INVALID_UPDATE_VERSION");
    expect(ask({ isr: [[2, 2]] })).toBe("INVALID_REQUEST");
    expect(
      ask({
        isr: [
          [1, 1],
          [4, 4],
        ],
      }),
    ).toBe("INVALID_REQUEST");
    expect(
      ask({
        isr: [
          [1, 1],
          [2, 9],
        ],
      }),
    ).toBe("INELIGIBLE_REPLICA");
    expect(
      ask({
        isr: [
          [1, 1],
          [2, 2],
        ],
      }),
    ).toBeNull();
    expect(cluster.partition("t", 0)).toMatchObject({ isr: [1, 2], elr: [] });
  });

  it("takes nobody who is fenced", () => {
    cluster.apply(decideFenceBrokers(cluster.image, [3], cluster.properties));
    expect(
      ask({
        isr: [
          [1, 1],
          [2, 2],
          [3, 3],
        ],
      }),
    ).toBe("INELIGIBLE_REPLICA");
  });

  it("keeps in the ELR whoever left a small ISR, but not one that lost its tail", () => {
    expect(ask({ isr: [[1, 1]], lost: [3] })).toBeNull();
    expect(cluster.partition("t", 0)).toMatchObject({ isr: [1], elr: [2] });
  });

  it("refuses a broker's earlier life as a whole", () => {
    expect(() =>
      decideAlterPartition(cluster.image, { brokerId: 1, brokerEpoch: 9, partitions: [] }),
    ).toThrow("has epoch 1");
  });
});

describe("unregister", () => {
  it("forgets only a broker that is down", () => {
    const unregister = (brokerId: number) =>
      cluster.run((image) => decideUnregisterBroker(image, { brokerId }));
    expect(() => unregister(7)).toThrow("not registered");
    expect(() => unregister(3)).toThrow("is alive");
    cluster.apply(decideFenceBrokers(cluster.image, [3], cluster.properties));
    unregister(3);
    expect(cluster.image.brokers.has(3)).toBe(false);
    cluster.register(3);
    expect(cluster.image.brokers.get(3)?.epoch).toBe(4);
  });
});
