/** Consumer groups on real brokers, by raw calls: members, their coordinator, and its death. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { Admin } from "../../src/client/index.ts";
import { ottla } from "../../src/gen/ottla.js";
import { encodeSubscription } from "../../src/group/consumer-protocol.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { callGroups, GroupSession } from "../support/group-client.ts";

const { v1 } = ottla;
const TOPIC = "flow";
const GROUP = "workers";

let cluster: Cluster;
let admin: Admin;
const sessions: GroupSession[] = [];

beforeAll(async () => {
  cluster = await startCluster({ brokers: 3 });
  admin = new Admin({ bootstrapServers: cluster.bootstrapServers });
  await admin.createTopics([{ name: TOPIC, partitions: 2, replicationFactor: 3 }]);
});

afterAll(async () => {
  for (const session of sessions) session.close();
  await admin.close();
  await cluster.stop();
});

function sessionTo(brokerId: number): GroupSession {
  const session = new GroupSession(cluster.portsOf(brokerId).grpcPort);
  sessions.push(session);
  return session;
}

/** As any live broker says. */
async function coordinatorOf(groupId: string): Promise<number> {
  const id = cluster.brokerIds.find((broker) => cluster.isRunning(broker)) as number;
  const { client } = sessionTo(id);
  let brokerId = 0;
  await eventually("a coordinator", async () => {
    const found = await callGroups(
      client,
      "FindCoordinator",
      { request: v1.FindCoordinatorRequest, response: v1.FindCoordinatorResponse },
      { groupIds: [groupId] },
    );
    brokerId = found.coordinators[0]?.coordinator?.brokerId ?? 0;
    return brokerId !== 0 && cluster.isRunning(brokerId);
  });
  // Its own metadata may be a moment behind that of the broker that named it.
  const session = sessionTo(brokerId);
  await eventually("it knows that it coordinates", async () => {
    const { error } = await session.call({ heartbeat: { groupId, memberId: "x" } });
    return error?.code === "UNKNOWN_MEMBER_ID";
  });
  return brokerId;
}

class Member {
  readonly name: string;
  session: GroupSession;
  memberId = "";
  generationId = -1;
  isLeader = false;
  members: readonly string[] = [];

  constructor(name: string, session: GroupSession) {
    this.name = name;
    this.session = session;
  }

  get identity() {
    const { memberId, generationId } = this;
    return { groupId: GROUP, memberId, generationId };
  }

  /** Settles once it is in a generation. */
  async join(): Promise<void> {
    const metadata = encodeSubscription({
      topics: [TOPIC],
      userData: null,
      ownedPartitions: [],
      generationId: -1,
      rackId: null,
    });
    for (;;) {
      const { error, join } = await this.session.call({
        join: {
          groupId: GROUP,
          memberId: this.memberId,
          clientId: this.name,
          sessionTimeoutMs: 10_000,
          rebalanceTimeoutMs: 30_000,
          protocolType: "consumer",
          protocols: [{ name: "range", metadata }],
        },
      });
      if (join) this.memberId = join.memberId ?? "";
      if (error?.code === "MEMBER_ID_REQUIRED") continue;
      if (error || !join) throw new Error(`${error?.code}: ${error?.message}`);
      this.generationId = join.generationId ?? -1;
      this.isLeader = join.leader === this.memberId;
      this.members = (join.members ?? []).map(({ memberId }) => memberId ?? "");
      return;
    }
  }

  /** The leader gives each member the bytes of its own id. */
  async sync(): Promise<string> {
    const assignments = this.members.map((memberId) => ({
      memberId,
      assignment: Buffer.from(memberId),
    }));
    const { error, sync } = await this.session.call({ sync: { ...this.identity, assignments } });
    if (error || !sync) throw new Error(`${error?.code}: ${error?.message}`);
    return Buffer.from(sync.assignment ?? []).toString();
  }

  async commit(partition: number, offset: number): Promise<string> {
    const offsets = [{ topic: TOPIC, partition, offset, leaderEpoch: 0, metadata: this.name }];
    const { error, commit } = await this.session.call({ commit: { ...this.identity, offsets } });
    return error?.code ?? commit?.partitions?.[0]?.error?.code ?? "";
  }

  async heartbeat(): Promise<string> {
    const { error } = await this.session.call({ heartbeat: this.identity });
    return error?.code ?? "";
  }

  /** Committed offsets by partition. */
  async fetch(): Promise<readonly (number | undefined)[]> {
    const partitions = [0, 1].map((partition) => ({ topic: TOPIC, partition }));
    const { error, fetch } = await this.session.call({
      fetch: { groupId: GROUP, partitions, requireStable: true },
    });
    if (error) throw new Error(error.code ?? "");
    return (fetch?.partitions ?? []).map(({ offset }) => offset ?? undefined);
  }
}

it("a group outlives its coordinator, with its generation and its offsets", async () => {
  const first = await coordinatorOf(GROUP);
  const topics = await admin.describeTopics(["__consumer_offsets"]);
  expect(topics[0]?.partitions).toHaveLength(50);
  expect(topics[0]?.partitions[0]?.replicas).toHaveLength(3);
  // Whoever does not coordinate says who does.
  const other = cluster.brokerIds.find((id) => id !== first) as number;
  const refused = await sessionTo(other).call({
    heartbeat: { groupId: GROUP, memberId: "x", generationId: 1 },
  });
  expect(refused.error?.code).toBe("NOT_COORDINATOR");
  expect(refused.coordinator?.brokerId).toBe(first);

  const a = new Member("a", sessionTo(first));
  const b = new Member("b", sessionTo(first));
  await a.join();
  await a.sync();
  // b's join is answered once a has joined again, which it does when it is told.
  const joining = b.join();
  await eventually("a is told", () => a.session.rebalancing.includes(GROUP));
  expect(await a.heartbeat()).toBe("REBALANCE_IN_PROGRESS");
  await Promise.all([joining, a.join()]);
  expect(a.generationId).toBe(2);
  expect(b.generationId).toBe(2);
  expect(await Promise.all([b.sync(), a.sync()])).toEqual([b.memberId, a.memberId]);
  expect(await a.commit(0, 10)).toBe("");
  expect(await b.commit(1, 20)).toBe("");
  expect(await b.commit(2, 20)).toBe("UNKNOWN_TOPIC_OR_PARTITION");
  expect(await a.fetch()).toEqual([10, 20]);

  const killedMs = performance.now();
  await cluster.killBroker(first);
  const second = await coordinatorOf(GROUP);
  expect(second).not.toBe(first);
  a.session = sessionTo(second);
  b.session = sessionTo(second);
  await eventually("the new coordinator has loaded", async () => (await a.heartbeat()) === "");
  console.log(`coordinator moved in ${Math.round(performance.now() - killedMs)} ms`);
  expect(await b.heartbeat()).toBe("");
  expect(await a.fetch()).toEqual([10, 20]);
  expect(await a.commit(0, 11)).toBe("");
  expect(await b.sync()).toBe(b.memberId);
  // A zombie of an earlier generation is refused, and changes nothing.
  b.generationId = 1;
  expect(await b.commit(1, 5)).toBe("ILLEGAL_GENERATION");
  expect(await b.fetch()).toEqual([11, 20]);

  const described = await callGroups(
    a.session.client,
    "DescribeGroups",
    { request: v1.DescribeGroupsRequest, response: v1.DescribeGroupsResponse },
    { groupIds: [GROUP] },
  );
  expect(described.groups[0]).toMatchObject({ state: "Stable", generationId: 2 });
  expect(described.groups[0]?.members).toHaveLength(2);
  await cluster.startBroker(first);
});
