/**
 * Consumer groups: how soon fifty members are settled, before and after their coordinator's kill -9;
 * what a cooperative join costs those who do not move; and what being in a group costs a consumer at
 * full speed. Members and client share this process.
 */
import { Admin, Consumer, Producer } from "../../src/client/index.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import type { Figure } from "../report.ts";
import { areSettled, closeAll, consume, makeMembers, type Strategy, until } from "./members.ts";
import { produce } from "./throughput.ts";

const MEMBERS = 50;
const PARTITIONS = 100;
const GAP_PARTITIONS = 12;
const GAP_PERIOD_MS = 5;
const GAP_SECONDS = 4;
const FULL_SPEED = { valueBytes: 1024, records: 600_000 };
const FULL_SPEED_PARTITIONS = 6;

export async function groups(runs: number): Promise<Figure[]> {
  const eager: number[] = [];
  const cooperative: number[] = [];
  const killed: number[] = [];
  const gaps: number[] = [];
  const shares: number[] = [];
  const speeds: number[] = [];
  for (let run = 0; run < runs; run++) {
    await using cluster = await startCluster({
      brokers: 3,
      properties: { "group.initial.rebalance.delay.ms": "0" },
    });
    await using admin = new Admin({ bootstrapServers: cluster.bootstrapServers });
    await admin.createTopics([
      { name: "many", partitions: PARTITIONS, replicationFactor: 3 },
      { name: "gap", partitions: GAP_PARTITIONS, replicationFactor: 3 },
      { name: "full", partitions: FULL_SPEED_PARTITIONS, replicationFactor: 3 },
    ]);
    eager.push(await joinAll(cluster, "eager", ["range"]));
    cooperative.push(
      await joinAll(cluster, "cooperative", ["cooperative-sticky"], async (members) => {
        killed.push(await killCoordinator(cluster, admin, "cooperative", members));
      }),
    );
    gaps.push(await joinGap(cluster.bootstrapServers));
    const { assigned, grouped } = await fullSpeed(cluster.bootstrapServers);
    shares.push(grouped / assigned);
    speeds.push((grouped * FULL_SPEED.valueBytes) / 1e6);
  }
  return [
    {
      name: `${MEMBERS} members over ${PARTITIONS} partitions settled after the last join, eager`,
      unit: "s",
      values: eager,
      bound: { must: 3, aim: 2, least: false },
    },
    {
      name: "the same, cooperative",
      unit: "s",
      values: cooperative,
      bound: { must: 3, aim: 2, least: false },
    },
    {
      name: "each of them commits again after its coordinator's kill -9",
      unit: "s",
      values: killed,
      bound: { must: 3, aim: 1.5, least: false },
    },
    {
      name: "cooperative join: longest gap of partitions that stay",
      unit: "ms",
      values: gaps,
      bound: { must: 300, aim: 100, least: false },
      note: `a record every ${GAP_PERIOD_MS} ms to each of ${GAP_PARTITIONS} partitions`,
    },
    {
      name: "consumer in a group, 1 KiB values",
      unit: "MB/s",
      values: speeds,
    },
    {
      name: "the same, of one with partitions by hand",
      unit: "x",
      values: shares,
      bound: { must: 0.8, aim: 0.9, least: true },
    },
  ];
}

/** Seconds from the last join until everything is divided; then `meanwhile`. */
async function joinAll(
  cluster: Cluster,
  groupId: string,
  partitionAssignmentStrategy: Strategy,
  meanwhile: (members: readonly Consumer[]) => Promise<void> = async () => undefined,
): Promise<number> {
  const members = makeMembers({
    bootstrapServers: cluster.bootstrapServers,
    groupId,
    partitionAssignmentStrategy,
    count: MEMBERS,
  });
  const running: Promise<void>[] = [];
  try {
    const first = members[0] as Consumer;
    // The coordinator's topic and the connections of the first are there; then all others at once.
    await first.subscribe({ topics: ["many"] });
    for (const each of members.slice(1)) {
      each.subscribe({ topics: ["many"] }).catch(() => undefined);
    }
    const began = performance.now();
    running.push(...members.map(consume));
    await until(`${groupId} is settled`, () => areSettled(members, PARTITIONS));
    const seconds = (performance.now() - began) / 1000;
    await meanwhile(members);
    return seconds;
  } finally {
    await closeAll(members);
    await Promise.all(running);
  }
}

async function killCoordinator(
  cluster: Cluster,
  admin: Admin,
  groupId: string,
  members: readonly Consumer[],
): Promise<number> {
  const [described] = await admin.describeGroups([groupId]);
  const victim = described?.coordinator as number;
  const began = performance.now();
  await cluster.killBroker(victim);
  await Promise.all(
    members.map(async (member) => {
      const [partition] = member.assignment();
      if (partition !== undefined) await member.commit([{ ...partition, offset: 0 }]);
    }),
  );
  const seconds = (performance.now() - began) / 1000;
  if (!areSettled(members, PARTITIONS)) throw new Error("the coordinator's death moved something");
  await cluster.startBroker(victim);
  return seconds;
}

/** Longest time without a record of a partition that keeps its member, around a fourth one's join. */
async function joinGap(bootstrapServers: readonly string[]): Promise<number> {
  const options = {
    bootstrapServers,
    groupId: "gap",
    partitionAssignmentStrategy: ["cooperative-sticky"],
  } as const;
  const last = new Map<number, number>();
  const longest = new Map<number, number>();
  const moved = new Set<number>();
  const members = Array.from({ length: 4 }, () => new Consumer(options));
  const running: Promise<void>[] = [];
  const start = async (member: Consumer): Promise<void> => {
    await member.subscribe({
      topics: ["gap"],
      onRevoked: (partitions) => {
        for (const { partition } of partitions) moved.add(partition);
      },
    });
    running.push(
      member.run({
        onError: () => undefined,
        eachMessage: ({ partition }) => {
          const nowMs = performance.now();
          const gapMs = nowMs - (last.get(partition) ?? nowMs);
          longest.set(partition, Math.max(longest.get(partition) ?? 0, gapMs));
          last.set(partition, nowMs);
        },
      }),
    );
  };
  await using producer = new Producer({ bootstrapServers, lingerMs: 0 });
  let stopped = false;
  const writing = (async () => {
    while (!stopped) {
      for (let partition = 0; partition < GAP_PARTITIONS; partition++) {
        producer.send({ topic: "gap", partition, value: "x" }).catch(() => undefined);
      }
      await new Promise((resolve) => setTimeout(resolve, GAP_PERIOD_MS));
    }
  })();
  try {
    const [fourth, ...others] = members as [Consumer, Consumer, Consumer, Consumer];
    for (const member of others) await start(member);
    await new Promise((resolve) => setTimeout(resolve, (GAP_SECONDS * 1000) / 2));
    moved.clear();
    longest.clear();
    await start(fourth);
    await until("the fourth has its part", () => fourth.assignment().length === 3);
    await new Promise((resolve) => setTimeout(resolve, (GAP_SECONDS * 1000) / 2));
    const stayed = [...longest].filter(([partition]) => !moved.has(partition));
    return Math.max(...stayed.map(([, gapMs]) => gapMs));
  } finally {
    stopped = true;
    await writing;
    await Promise.all(members.map((each) => each.close({ timeoutMs: 10_000 })));
    await Promise.all(running);
  }
}

/** Records a second by either way, each twice: the second time everything is warm. */
async function fullSpeed(
  bootstrapServers: readonly string[],
): Promise<{ readonly assigned: number; readonly grouped: number }> {
  await produce(bootstrapServers, "full", FULL_SPEED);
  let assigned = 0;
  let grouped = 0;
  for (let turn = 0; turn < 3; turn++) {
    await using byHand = new Consumer({ bootstrapServers });
    const partitions = Array.from({ length: FULL_SPEED_PARTITIONS }, (_, partition) => ({
      topic: "full",
      partition,
    }));
    assigned = Math.max(assigned, await speedOf(byHand, () => byHand.assign(partitions)));
    await using inGroup = new Consumer({
      bootstrapServers,
      groupId: `full-${turn}`,
      autoOffsetReset: "earliest",
    });
    const topics = ["full"];
    grouped = Math.max(grouped, await speedOf(inGroup, () => inGroup.subscribe({ topics })));
  }
  return { assigned, grouped };
}

async function speedOf(consumer: Consumer, start: () => Promise<void>): Promise<number> {
  await start();
  const began = performance.now();
  let records = 0;
  for await (const { messages } of consumer.batches()) {
    records += messages.length;
    if (records >= FULL_SPEED.records) break;
  }
  return records / ((performance.now() - began) / 1000);
}
