/** Three replica managers in one simulated network, over logs in memory; the test is the controller. */
import { serveOffsets } from "../../../src/broker/groups/answer-offsets.ts";
import type {
  AlterPartition,
  AssignDirectories,
  ControllerRequests,
} from "../../../src/metadata/commands.ts";
import type { MetadataImage } from "../../../src/metadata/image.ts";
import type { TopicConfig } from "../../../src/model/topic-config.ts";
import { validateProducedBatch } from "../../../src/record/validate.ts";
import type { LeaderReplica } from "../../../src/runtime/leader-replica.ts";
import { ReplicaManager } from "../../../src/runtime/replica-manager.ts";
import { createMemoryPorts, type MemoryPorts } from "../../support/memory-ports.ts";
import { sealedBatch, TOPIC_CONFIG, TOPIC_ID } from "./cluster-image.ts";
import { type MemoryLog, MemoryLogs } from "./memory-logs.ts";

export interface Member {
  readonly id: number;
  readonly memory: MemoryPorts;
  readonly logs: MemoryLogs;
  readonly manager: ReplicaManager;
}

export class ReplicaCluster {
  readonly members: readonly Member[];
  readonly proposals: AlterPartition[] = [];
  readonly failed: string[] = [];
  readonly assigned: AssignDirectories["partitions"][number][] = [];
  /** How the controller answers ISR changes; default: accepts, and publishes nothing by itself. */
  answer: (request: AlterPartition) => ControllerRequests["alter-partition"]["reply"] = (
    request,
  ) => ({
    partitions: request.partitions.map(({ topicId, partition }) => ({
      topicId,
      partition,
      error: null,
    })),
  });
  config: TopicConfig = TOPIC_CONFIG;
  /** Called when a replica on broker `id` begins to lead. */
  onLeader: (id: number, leader: LeaderReplica) => void = () => undefined;

  private constructor(members: readonly Member[]) {
    this.members = members;
  }

  static async start(): Promise<ReplicaCluster> {
    const first = createMemoryPorts({ name: "node-1", auto: false });
    const { world, network } = first;
    const memories = [
      first,
      createMemoryPorts({ name: "node-2", world, network }),
      createMemoryPorts({ name: "node-3", world, network }),
    ];
    const members: Member[] = [];
    const cluster = new ReplicaCluster(members);
    for (const [index, memory] of memories.entries()) {
      const id = index + 1;
      const logs = new MemoryLogs();
      const manager = new ReplicaManager(memory.ports, {
        self: id,
        incarnationId: `life-${id}`,
        logs,
        interBrokerListenerName: "INTERNAL",
        lagTimeMaxMs: 10_000,
        retentionCheckIntervalMs: 300_000,
        producerIdExpirationMs: 86_400_000,
        brokerEpoch: () => 10 + id,
        topicConfig: () => cluster.config,
        request: async (name, body) => cluster.#request(name, body) as never,
        onStarted: () => undefined,
        onLeaderStarted: (leader) => cluster.onLeader(id, leader),
      });
      members.push({ id, memory, logs, manager });
      await world.settle(
        memory.ports.network.listen(
          { host: `node-${id}`, port: 9392 },
          {
            raft: (stream) => stream.close(),
            controller: (stream) => stream.close(),
            replication: (stream) => manager.accept(stream),
            offsets: (stream) =>
              serveOffsets(
                memory.ports,
                stream,
                (topicId, index) => manager.get(topicId, index)?.leader,
              ),
          },
        ),
      );
    }
    return cluster;
  }

  member(id: number): Member {
    return this.members[id - 1] as Member;
  }

  log(id: number, partition = 0): MemoryLog {
    return this.member(id).logs.get(TOPIC_ID, partition);
  }

  leader(id: number, partition = 0): LeaderReplica | undefined {
    return this.member(id).manager.get(TOPIC_ID, partition)?.leader;
  }

  publish(image: MetadataImage, ...ids: readonly number[]): void {
    for (const { id, manager } of this.members) {
      if (ids.length === 0 || ids.includes(id)) manager.onMetadata(image);
    }
  }

  /**
   * The brokers' own registrations, with no partition led, then the image: epochs of the second
   * are of this life.
   */
  async begin(image: MetadataImage): Promise<void> {
    this.publish({ ...image, topics: new Map(), topicIds: new Map() });
    this.publish(image);
    await this.run(50);
  }

  append(id: number, text: string, partition = 0): number {
    const leader = this.leader(id, partition);
    if (leader === undefined) throw new Error(`broker ${id} does not lead`);
    const { crc32c } = this.member(id).memory.ports.codecs;
    const batch = validateProducedBatch(sealedBatch(text, crc32c), {
      maxMessageBytes: 1_048_588,
      crc32c,
    });
    return leader.append(batch);
  }

  /** Nothing reaches the broker any more; its connections stay, until their keepalive. */
  holdBack(id: number): void {
    const { network } = this.member(1).memory;
    for (const other of this.members) {
      if (other.id !== id) network.setLink(`node-${other.id}`, `node-${id}`, "hold");
    }
  }

  async run(durationMs: number): Promise<void> {
    await this.member(1).memory.world.runFor(durationMs);
  }

  async until(condition: () => boolean, maxMs = 10_000): Promise<void> {
    const { world } = this.member(1).memory;
    if (!(await world.runUntil(condition, maxMs))) throw new Error("the condition never held");
  }

  #request(name: string, body: unknown): unknown {
    if (name === "alter-partition") {
      this.proposals.push(body as AlterPartition);
      return this.answer(body as AlterPartition);
    }
    if (name === "replicas-failed") {
      const { partitions } = body as ControllerRequests["replicas-failed"]["request"];
      for (const { topicId, partition } of partitions) this.failed.push(`${topicId}-${partition}`);
    }
    if (name === "assign-directories") {
      this.assigned.push(...(body as AssignDirectories).partitions);
      return { index: 100 };
    }
    return {};
  }
}
