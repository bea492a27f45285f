/**
 * What groups cost their coordinators: memory of a thousand groups with a member and offsets each,
 * and how long a new coordinator reads a million commits.
 */
import { readFileSync } from "node:fs";
import { Admin } from "../../src/client/index.ts";
import { encodeAssignment, encodeSubscription } from "../../src/group/consumer-protocol.ts";
import { OFFSETS_TOPIC, partitionOfGroup } from "../../src/group/partition-of.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { GroupSession } from "../../test/support/group-client.ts";
import type { Figure } from "../report.ts";
import { until } from "./members.ts";
import { processSeconds } from "./processor.ts";

const GROUPS = 1_000;
const WARM_UP_GROUPS = 500;
const GROUP_PARTITIONS = 10;
const AT_ONCE = 20;
const COMMITS = 1_000_000;
const PARTITIONS = 100;
const CALLS_AT_ONCE = 50;
const SESSION_TIMEOUT_MS = 600_000;
const SETTLE_MS = 5_000;
const TOPIC = "work";

interface Loaded {
  readonly seconds: number;
  readonly processorSeconds: number;
}

export async function coordinator(runs: number): Promise<Figure[]> {
  const megabytes: number[] = [];
  const loads: Loaded[] = [];
  for (let run = 0; run < runs; run++) {
    megabytes.push(await memoryOfGroups());
    loads.push(await loadOfCommits());
  }
  return [
    {
      name: `${GROUPS} groups of a member and ${GROUP_PARTITIONS} offsets: growth of three brokers`,
      unit: "MB",
      values: megabytes,
      bound: { must: 50, aim: 25, least: false },
      note: "anonymous resident memory, garbage that was not collected yet with it",
    },
    {
      name: `a new coordinator reads ${COMMITS} commits`,
      unit: "s",
      values: loads.map(({ seconds }) => seconds),
      bound: { must: 3, aim: 2, least: false },
    },
    {
      name: "the same, processor time of its broker since the kill",
      unit: "s",
      values: loads.map(({ processorSeconds }) => processorSeconds),
    },
  ];
}

async function memoryOfGroups(): Promise<number> {
  await using cluster = await startCluster({
    brokers: 3,
    properties: { "group.initial.rebalance.delay.ms": "0" },
  });
  await using coordinators = await Coordinators.of(cluster);
  // The connections, compiled code and young generation of a broker at work are not the groups'.
  await coordinators.join("before", WARM_UP_GROUPS);
  await sleep(SETTLE_MS);
  const before = anonymousMegabytes(cluster);
  await coordinators.join("group", GROUPS);
  await sleep(SETTLE_MS);
  return anonymousMegabytes(cluster) - before;
}

async function loadOfCommits(): Promise<Loaded> {
  await using cluster = await startCluster({
    brokers: 3,
    properties: { "log.cleaner.enable": "false" },
  });
  await using coordinators = await Coordinators.of(cluster);
  const groupId = "many-commits";
  await coordinators.commit(groupId, COMMITS);
  const victim = coordinators.idOf(groupId);
  const others = cluster.brokerIds.filter((id) => id !== victim);
  const before = new Map(others.map((id) => [id, processSeconds(pidOf(cluster, id))]));
  await cluster.killBroker(victim);
  let loaded: Loaded | undefined;
  await until("the next coordinator has read the commits", () => {
    for (const id of others) {
      const durationMs = durationOf(cluster.logOf(id));
      if (durationMs === undefined) continue;
      const processorSeconds = processSeconds(pidOf(cluster, id)) - (before.get(id) ?? 0);
      loaded = { seconds: durationMs / 1_000, processorSeconds };
    }
    return loaded !== undefined;
  });
  return loaded as unknown as Loaded;
}

/** Of the log that has all the commits. */
function durationOf(log: string): number | undefined {
  for (const line of log.split("\n")) {
    if (!line.includes("groups were loaded")) continue;
    const { durationMs, offsets } = JSON.parse(line) as Record<string, number>;
    if (offsets !== undefined && offsets >= COMMITS) return durationMs;
  }
  return undefined;
}

/** Calls to whoever coordinates, by one stream to each broker. */
class Coordinators implements AsyncDisposable {
  readonly #leaders: readonly number[];
  readonly #sessions: ReadonlyMap<number, GroupSession>;

  private constructor(leaders: readonly number[], sessions: ReadonlyMap<number, GroupSession>) {
    this.#leaders = leaders;
    this.#sessions = sessions;
  }

  static async of(cluster: Cluster): Promise<Coordinators> {
    await using admin = new Admin({ bootstrapServers: cluster.bootstrapServers });
    await admin.createTopics([{ name: TOPIC, partitions: PARTITIONS, replicationFactor: 1 }]);
    // The first commit makes the offsets topic.
    await admin.alterGroupOffsets("first", [{ topic: TOPIC, partition: 0, offset: 0 }]);
    const [topic] = await admin.describeTopics([OFFSETS_TOPIC]);
    const leaders = (topic?.partitions ?? []).map(({ leader }) => leader);
    // Each partition's groups have been opened once all can be listed.
    await admin.listGroups();
    const sessions = cluster.brokerIds.map(
      (id) => [id, new GroupSession(cluster.portsOf(id).grpcPort)] as const,
    );
    return new Coordinators(leaders, new Map(sessions));
  }

  idOf(groupId: string): number {
    return this.#leaders[partitionOfGroup(groupId, this.#leaders.length)] as number;
  }

  async join(prefix: string, count: number): Promise<void> {
    for (let at = 0; at < count; at += AT_ONCE) {
      const names = Array.from({ length: Math.min(AT_ONCE, count - at) }, (_, index) => {
        return `${prefix}-${at + index}`;
      });
      await Promise.all(names.map((groupId) => this.#join(groupId)));
    }
  }

  /** From outside; `PARTITIONS` offsets in a call. */
  async commit(groupId: string, count: number): Promise<void> {
    for (let at = 0; at < count; at += CALLS_AT_ONCE * PARTITIONS) {
      const calls = Array.from({ length: CALLS_AT_ONCE }, () =>
        this.#commit(groupId, { memberId: "", generationId: -1 }, PARTITIONS),
      );
      await Promise.all(calls);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#sessions.values()) session.close();
  }

  async #join(groupId: string): Promise<void> {
    const session = this.#sessionOf(groupId);
    const metadata = encodeSubscription({
      topics: [TOPIC],
      userData: null,
      ownedPartitions: [],
      generationId: -1,
      rackId: null,
    });
    const join = {
      groupId,
      clientId: "bench",
      sessionTimeoutMs: SESSION_TIMEOUT_MS,
      rebalanceTimeoutMs: SESSION_TIMEOUT_MS,
      protocolType: "consumer",
      protocols: [{ name: "range", metadata }],
    };
    const given = await session.call({ join });
    const memberId = given.join?.memberId ?? "";
    const joined = await session.call({ join: { ...join, memberId } });
    const generationId = joined.join?.generationId ?? -1;
    const partitions = Array.from({ length: GROUP_PARTITIONS }, (_, index) => index);
    const assignment = encodeAssignment({
      partitions: [{ topic: TOPIC, partitions }],
      userData: null,
    });
    const identity = { groupId, memberId, generationId };
    const synced = await session.call({
      sync: { ...identity, assignments: [{ memberId, assignment }] },
    });
    refuse(joined.error ?? synced.error);
    await this.#commit(groupId, { memberId, generationId }, GROUP_PARTITIONS);
  }

  async #commit(
    groupId: string,
    who: { readonly memberId: string; readonly generationId: number },
    count: number,
  ): Promise<void> {
    const offsets = Array.from({ length: count }, (_, partition) => {
      return { topic: TOPIC, partition, offset: partition, leaderEpoch: 0, metadata: "" };
    });
    const { error } = await this.#sessionOf(groupId).call({ commit: { groupId, ...who, offsets } });
    refuse(error);
  }

  #sessionOf(groupId: string): GroupSession {
    return this.#sessions.get(this.idOf(groupId)) as GroupSession;
  }
}

function refuse(error: { readonly message?: string | null } | null | undefined): void {
  if (error) throw new Error(`refused: ${error.message}`);
}

function pidOf(cluster: Cluster, id: number): number {
  const pid = cluster.pidOf(id);
  if (pid === undefined) throw new Error(`broker ${id} does not run`);
  return pid;
}

function anonymousMegabytes(cluster: Cluster): number {
  let kilobytes = 0;
  for (const id of cluster.brokerIds) {
    const status = readFileSync(`/proc/${pidOf(cluster, id)}/status`, "utf8");
    kilobytes += Number(/RssAnon:\s+(\d+) kB/.exec(status)?.[1]);
  }
  return kilobytes / 1_000;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
