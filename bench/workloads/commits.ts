/**
 * Commits at a fixed rate by the members of one group: how long they take, and what they cost in
 * processor time beside what the same cluster and members cost that do nothing. Latencies depend on
 * who else wants the machine's cores, the costs much less.
 */
import { Admin, type Consumer } from "../../src/client/index.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { type Figure, quantile } from "../report.ts";
import { areSettled, closeAll, consume, makeMembers, until } from "./members.ts";
import { brokersSeconds, ownSeconds } from "./processor.ts";

const MEMBERS = 50;
const PARTITIONS = 100;
const COMMITS_PER_SECOND = 10_000;
const TICK_MS = 5;
/** Until V8 has compiled the hot paths of four fresh processes. */
const WARM_UP_SECONDS = 15;
const SECONDS = 10;
const IDLE_SECONDS = 5;

interface Run {
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Microseconds of a processor for one commit. */
  readonly brokersMicros: number;
  readonly membersMicros: number;
}

export async function commits(runs: number): Promise<Figure[]> {
  const results: Run[] = [];
  for (let run = 0; run < runs; run++) results.push(await once());
  return [
    {
      name: `${COMMITS_PER_SECOND} commits a second by ${MEMBERS} members, p50`,
      unit: "ms",
      values: results.map(({ p50Ms }) => p50Ms),
    },
    {
      name: "the same, p99",
      unit: "ms",
      values: results.map(({ p99Ms }) => p99Ms),
      bound: { must: 50, aim: 20, least: false },
      note: "a member's commits that come while one is under way ride in its next",
    },
    {
      name: "one of these commits, processor time of three brokers",
      unit: "us",
      values: results.map(({ brokersMicros }) => brokersMicros),
    },
    {
      name: "the same, of the members",
      unit: "us",
      values: results.map(({ membersMicros }) => membersMicros),
    },
  ];
}

async function once(): Promise<Run> {
  await using cluster = await startCluster({
    brokers: 3,
    properties: { "group.initial.rebalance.delay.ms": "0" },
  });
  const { bootstrapServers } = cluster;
  await using admin = new Admin({ bootstrapServers });
  await admin.createTopics([{ name: "many", partitions: PARTITIONS, replicationFactor: 3 }]);
  const members = makeMembers({
    bootstrapServers,
    groupId: "commits",
    partitionAssignmentStrategy: ["cooperative-sticky"],
    count: MEMBERS,
  });
  const running: Promise<void>[] = [];
  try {
    await Promise.all(members.map((each) => each.subscribe({ topics: ["many"] })));
    running.push(...members.map(consume));
    await until("the group is settled", () => areSettled(members, PARTITIONS));
    await commitAtRate(members, WARM_UP_SECONDS);
    const idle = await spentDuring(cluster, () => sleep(IDLE_SECONDS * 1_000));
    const latencies: number[] = [];
    const busy = await spentDuring(cluster, async () => {
      latencies.push(...(await commitAtRate(members, SECONDS)));
    });
    const share = busy.seconds / idle.seconds;
    const micros = (all: number, without: number): number =>
      ((all - without * share) * 1e6) / latencies.length;
    latencies.sort((left, right) => left - right);
    return {
      p50Ms: quantile(latencies, 0.5),
      p99Ms: quantile(latencies, 0.99),
      brokersMicros: micros(busy.brokers, idle.brokers),
      membersMicros: micros(busy.members, idle.members),
    };
  } finally {
    await closeAll(members);
    await Promise.all(running);
  }
}

async function spentDuring(
  cluster: Cluster,
  work: () => Promise<void>,
): Promise<{ readonly seconds: number; readonly brokers: number; readonly members: number }> {
  const began = performance.now();
  const brokers = brokersSeconds(cluster);
  const members = ownSeconds();
  await work();
  return {
    seconds: (performance.now() - began) / 1_000,
    brokers: brokersSeconds(cluster) - brokers,
    members: ownSeconds() - members,
  };
}

/** Milliseconds from when each commit was due: what the loop was late counts. */
async function commitAtRate(
  members: readonly Consumer[],
  seconds: number,
): Promise<readonly number[]> {
  const perTick = (COMMITS_PER_SECOND * TICK_MS) / 1_000;
  const ticks = (seconds * 1_000) / TICK_MS;
  const latencies: number[] = [];
  const errors: unknown[] = [];
  const partitions = members.map((member) => member.assignment()[0]);
  const began = performance.now();
  for (let tick = 0; tick < ticks; tick++) {
    const dueMs = began + tick * TICK_MS;
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    for (let index = 0; index < perTick; index++) {
      const who = (tick * perTick + index) % members.length;
      const partition = partitions[who];
      if (partition === undefined) throw new Error(`member ${who} has no partition`);
      (members[who] as Consumer).commit([{ ...partition, offset: 0 }]).then(
        () => latencies.push(performance.now() - dueMs),
        (error: unknown) => errors.push(error),
      );
    }
  }
  const count = ticks * perTick;
  await until("all is committed", () => latencies.length + errors.length === count);
  if (errors.length > 0) throw errors[0];
  return latencies;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
