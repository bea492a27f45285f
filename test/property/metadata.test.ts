/**
 * Whatever brokers and operators do, in whatever order: every image on the way is lawful, the same
 * decision gives the same records, and a log, its bytes and a snapshot of it give the same image.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decideAlterConfigs } from "../../src/metadata/decide/alter-configs.ts";
import { decideAlterPartition } from "../../src/metadata/decide/alter-partition.ts";
import { decideControlledShutdown } from "../../src/metadata/decide/controlled-shutdown.ts";
import { decideCreatePartitions } from "../../src/metadata/decide/create-partitions.ts";
import { decideCreateTopics } from "../../src/metadata/decide/create-topics.ts";
import type { DecideContext, Decision } from "../../src/metadata/decide/decision.ts";
import { decideDeleteTopics } from "../../src/metadata/decide/delete-topics.ts";
import { decideBalance, decideElectLeaders } from "../../src/metadata/decide/elect-leaders.ts";
import { decideFenceBrokers } from "../../src/metadata/decide/fence-brokers.ts";
import { decideAllocateProducerIds } from "../../src/metadata/decide/producer-ids.ts";
import { decideReassignPartitions } from "../../src/metadata/decide/reassign-partitions.ts";
import { decideReconcile } from "../../src/metadata/decide/reconcile.ts";
import {
  decideAssignDirectories,
  decideReplicasFailed,
} from "../../src/metadata/decide/replica-reports.ts";
import { decideUnregisterBroker } from "../../src/metadata/decide/unregister-broker.ts";
import { imageToRecords, MetadataDelta, recordsToImage } from "../../src/metadata/delta.ts";
import type { MetadataImage } from "../../src/metadata/image.ts";
import { decodeRecords, encodeInEntries, encodeRecords } from "../../src/metadata/record-codec.ts";
import { OttlaError } from "../../src/model/errors.ts";
import { MetadataCluster } from "../support/metadata-cluster.ts";

const BROKERS = 4;
const TOPICS = ["a", "b", "c"];

/** A step is an operation and numbers that say on what. */
const step = fc.record({
  operation: fc.constantFrom(
    "register",
    "register-lost",
    "register-clean",
    "fence",
    "fence-two",
    "unfence",
    "unfence",
    "create",
    "create",
    "delete",
    "add-partitions",
    "alter-partition",
    "alter-partition",
    "alter-partition",
    "min-isr",
    "unclean",
    "relaxed",
    "elect-preferred",
    "elect-unclean",
    "balance",
    "shutdown",
    "failed",
    "assign",
    "producer-ids",
    "unregister",
    "reconcile",
    "reassign",
    "reassign",
    "reassign-back",
  ),
  broker: fc.integer({ min: 1, max: BROKERS }),
  topic: fc.constantFrom(...TOPICS),
  number: fc.integer({ min: 0, max: 1_000 }),
});
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

function allPartitions(image: MetadataImage) {
  return [...image.topics.values()].flatMap((topic) =>
    topic.partitions.map((state, partition) => ({ topic, state, topicId: topic.id, partition })),
  );
}

function pick<Item>(items: readonly Item[], number: number): Item | undefined {
  return items[number % Math.max(1, items.length)];
}

/** Decided twice, and equal. */
function run(
  cluster: MetadataCluster,
  decide: (image: MetadataImage, context: DecideContext) => Decision<unknown>,
): void {
  const { image, context } = cluster;
  try {
    const decision = decide(image, context);
    expect(decide(image, context)).toEqual(decision);
    cluster.apply(decision.records);
  } catch (thrown) {
    if (!(thrown instanceof OttlaError)) throw thrown;
  }
}

function setConfig(cluster: MetadataCluster, name: string, key: string, value: string): void {
  run(cluster, (image) =>
    decideAlterConfigs(
      image,
      {
        resources: [
          {
            resource: name === "" ? "broker" : "topic",
            name,
            operations: [{ key, operation: "set", value }],
          },
        ],
        validateOnly: false,
      },
      cluster,
    ),
  );
}

function take(cluster: MetadataCluster, { operation, broker, topic, number }: Step): unknown {
  const { image, properties } = cluster;
  const partitions = allPartitions(image);
  const one = pick(partitions, number);
  const brokerEpoch = image.brokers.get(broker)?.epoch ?? 0;
  const own = partitions.filter(({ state }) => state.replicas.includes(broker));
  const some = own.filter((_, index) => (number >> (index % 8)) & 1);
  switch (operation) {
    case "register":
      return cluster.register(broker);
    case "register-lost":
      return cluster.register(broker, { lostReplicas: some });
    case "register-clean":
      return cluster.register(broker, { cleanShutdownEpoch: brokerEpoch });
    case "fence":
      return cluster.apply(decideFenceBrokers(image, [broker], properties));
    case "fence-two":
      return cluster.apply(decideFenceBrokers(image, [broker, (broker % BROKERS) + 1], properties));
    case "unfence":
      return cluster.unfence(broker);
    case "create":
      return run(cluster, (now, context) =>
        decideCreateTopics(
          now,
          {
            topics: [
              {
                name: topic,
                partitionsCount: (number % 3) + 1,
                replicationFactor: number % 5 === 4 ? -1 : (number % 5) + 1,
                assignment: [],
                configs: number % 2 === 0 ? { "min.insync.replicas": "1" } : {},
              },
            ],
            validateOnly: false,
          },
          context,
        ),
      );
    case "delete":
      return run(cluster, (now) => decideDeleteTopics(now, { topics: [{ name: topic }] }, cluster));
    case "add-partitions":
      return run(cluster, (now, context) =>
        decideCreatePartitions(
          now,
          { topic, partitionsCount: (number % 6) + 1, assignment: [], validateOnly: false },
          context,
        ),
      );
    case "alter-partition": {
      if (one === undefined || one.state.leader < 0) return undefined;
      const { state, topicId, partition } = one;
      const members = state.replicas.filter(
        (id, index) => id === state.leader || (number >> index) & 1,
      );
      return run(cluster, (now) =>
        decideAlterPartition(now, {
          brokerId: state.leader,
          brokerEpoch: now.brokers.get(state.leader)?.epoch ?? 0,
          partitions: [
            {
              topicId,
              partition,
              leaderEpoch: state.leaderEpoch,
              partitionEpoch: state.partitionEpoch,
              newIsr: members.map((id) => ({
                brokerId: id,
                brokerEpoch: now.brokers.get(id)?.epoch ?? -1,
              })),
            },
          ],
        }),
      );
    }
    case "min-isr":
      return setConfig(
        cluster,
        number % 3 === 0 ? "" : topic,
        "min.insync.replicas",
        String((number % 4) + 1),
      );
    case "unclean":
      return setConfig(cluster, topic, "unclean.leader.election.enable", String(number % 2 === 0));
    case "relaxed":
      return setConfig(cluster, topic, "flush.messages", String((number % 2) + 1));
    case "elect-preferred":
    case "elect-unclean":
      return run(cluster, (now) =>
        decideElectLeaders(now, {
          type: operation === "elect-preferred" ? "preferred" : "unclean",
          partitions: null,
        }),
      );
    case "balance":
      return cluster.apply(decideBalance(image, { limit: 2, properties }));
    case "shutdown":
      return cluster.apply(decideControlledShutdown(image, broker, { limit: 2, properties }));
    case "failed":
      return run(cluster, (now) =>
        decideReplicasFailed(now, { brokerId: broker, brokerEpoch, partitions: some }, cluster),
      );
    case "assign":
      return run(cluster, (now) =>
        decideAssignDirectories(
          now,
          {
            brokerId: broker,
            brokerEpoch,
            partitions: own.map((item) => ({
              ...item,
              directoryId: `directory-${broker}`,
              lost: false,
            })),
          },
          cluster,
        ),
      );
    case "producer-ids":
      return run(cluster, (now) =>
        decideAllocateProducerIds(now, { brokerId: broker, brokerEpoch }),
      );
    case "unregister":
      return run(cluster, (now) => decideUnregisterBroker(now, { brokerId: broker }));
    case "reassign":
    case "reassign-back": {
      if (one === undefined) return undefined;
      const brokers = Array.from(
        { length: BROKERS },
        (_, index) => ((index + broker) % BROKERS) + 1,
      );
      const target = brokers.filter((_, index) => (number >> index) & 1);
      return run(cluster, (now) =>
        decideReassignPartitions(now, {
          partitions: [
            {
              topic: one.topic.name,
              partition: one.partition,
              replicas: operation === "reassign" ? target : null,
            },
          ],
          allowReplicationFactorChange: number % 5 > 0,
        }),
      );
    }
    case "reconcile":
      // A lawful image that nobody else is about to change needs nothing.
      return cluster.apply(decideReconcile(image, properties));
  }
}

describe("decisions in any order", () => {
  it("keep every image lawful, and logs, bytes and snapshots equal", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 80 }), (steps) => {
        const cluster = new MetadataCluster();
        cluster.start(1, 2, 3);
        for (const each of steps) take(cluster, each);

        const { image, records } = cluster;
        const { index, term } = image;
        expect(recordsToImage(records, index, term)).toEqual(image);
        const decoded = encodeInEntries(records, 500).flatMap((entry) => decodeRecords(entry));
        expect(decoded).toEqual(records);

        const snapshot = encodeRecords(imageToRecords(image));
        const loaded = recordsToImage(decodeRecords(snapshot), index, term);
        expect(loaded).toEqual(image);
        expect(encodeRecords(imageToRecords(loaded))).toEqual(snapshot);
        expect(MetadataDelta.between(image, loaded).changedPartitions.size).toBe(0);
      }),
      { numRuns: 200 },
    );
  });
});
