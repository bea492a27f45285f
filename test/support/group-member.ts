/** A member of a consumer group without an SDK: it joins, takes what it is given, and stays. */
import {
  encodeAssignment,
  encodeSubscription,
  type TopicPartitions,
} from "../../src/group/consumer-protocol.ts";
import type { Cluster } from "../../src/testing/index.ts";
import { eventually } from "./eventually.ts";
import { GroupSession } from "./group-client.ts";

export interface MemberOptions {
  readonly groupId: string;
  readonly clientId: string;
  readonly topics: readonly string[];
  /** What it assigns to itself, being alone. */
  readonly partitions: readonly TopicPartitions[];
  readonly sessionTimeoutMs?: number;
}

/** The broker that coordinates the group, once it knows it; the offsets topic is made if need be. */
export async function coordinatorOf(cluster: Cluster, groupId: string): Promise<number> {
  let brokerId = 0;
  await eventually("a coordinator that knows it is one", async () => {
    for (const id of cluster.brokerIds.filter((each) => cluster.isRunning(each))) {
      const session = new GroupSession(cluster.portsOf(id).grpcPort);
      try {
        const { error } = await session.call({ heartbeat: { groupId, memberId: "x" } });
        if (error?.code === "UNKNOWN_MEMBER_ID") brokerId = id;
      } catch {
        // It is on its way down, or up.
      } finally {
        session.close();
      }
    }
    return brokerId !== 0;
  });
  return brokerId;
}

export class LoneMember {
  readonly #options: MemberOptions;
  readonly #session: GroupSession;
  memberId = "";
  generationId = -1;

  private constructor(options: MemberOptions, session: GroupSession) {
    this.#options = options;
    this.#session = session;
  }

  /** Settles once the group is Stable with this member alone. */
  static async join(cluster: Cluster, options: MemberOptions): Promise<LoneMember> {
    const brokerId = await coordinatorOf(cluster, options.groupId);
    const session = new GroupSession(cluster.portsOf(brokerId).grpcPort);
    const member = new LoneMember(options, session);
    await member.#join();
    await member.#sync();
    return member;
  }

  /** The code of a refusal, or "". */
  async commit(topic: string, partition: number, offset: number): Promise<string> {
    const { error, commit } = await this.#session.call({
      commit: { ...this.#identity, offsets: [{ topic, partition, offset, leaderEpoch: -1 }] },
    });
    return error?.code ?? commit?.partitions?.[0]?.error?.code ?? "";
  }

  async heartbeat(): Promise<string> {
    const { error } = await this.#session.call({ heartbeat: this.#identity });
    return error?.code ?? "";
  }

  /** Joins the rebalance under way, and asks for no assignment: as leader it keeps all others waiting. */
  async rejoin(): Promise<void> {
    await this.#join();
  }

  /** It leaves; the connection stays open until `close`. */
  async leave(): Promise<void> {
    const { groupId } = this.#options;
    await this.#session.call({ leave: { groupId, members: [{ memberId: this.memberId }] } });
  }

  close(): void {
    this.#session.close();
  }

  get #identity() {
    const { memberId, generationId } = this;
    return { groupId: this.#options.groupId, memberId, generationId };
  }

  async #join(): Promise<void> {
    const { clientId, groupId, sessionTimeoutMs = 60_000, topics } = this.#options;
    const metadata = encodeSubscription({
      topics,
      userData: null,
      ownedPartitions: [],
      generationId: -1,
      rackId: null,
    });
    for (;;) {
      const { error, join } = await this.#session.call({
        join: {
          groupId,
          memberId: this.memberId,
          clientId,
          sessionTimeoutMs,
          rebalanceTimeoutMs: 60_000,
          protocolType: "consumer",
          protocols: [{ name: "range", metadata }],
        },
      });
      if (join) this.memberId = join.memberId ?? "";
      if (error?.code === "MEMBER_ID_REQUIRED") continue;
      if (error || !join) throw new Error(`${error?.code}: ${error?.message}`);
      this.generationId = join.generationId ?? -1;
      return;
    }
  }

  async #sync(): Promise<void> {
    const assignment = encodeAssignment({ partitions: this.#options.partitions, userData: null });
    const assignments = [{ memberId: this.memberId, assignment }];
    const { error } = await this.#session.call({ sync: { ...this.#identity, assignments } });
    if (error) throw new Error(`${error.code}: ${error.message}`);
  }
}
