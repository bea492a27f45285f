/**
 * All clients of one run: starts them, lets some crash and lose connections, ends them, reads
 * everything once more and has the history judged.
 */
import type { Prng } from "../../../src/base/prng.ts";
import { partitionKey } from "../../../src/model/ids.ts";
import { checkHistory, type Verdict } from "../../history/check.ts";
import { type HistoryLine, HistoryWriter } from "../../history/format.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { bootstrapServers } from "../cluster/cluster-config.ts";
import { administer, HistoryAdmin } from "./admin-life.ts";
import { churn } from "./churn-life.ts";
import { type ClientLife, ClientMachine } from "./client-process.ts";
import type { ClientShared } from "./client-shared.ts";
import { consume } from "./consume-life.ts";
import { readAll } from "./final-read.ts";
import { GroupLedger } from "./group-ledger.ts";
import { consumeInGroup, tuneOffsetsTopic } from "./group-life.ts";
import { produce } from "./produce-life.ts";
import type { GroupPlan, WorkloadPlan } from "./workload-plan.ts";

export interface WorkloadOptions {
  readonly cluster: Cluster;
  readonly prng: Prng;
  readonly plan: WorkloadPlan;
}

const REPLICATION_FACTOR = 3;
/** Delivery timeouts as short as 1.5 s let much time out: what is read at the end proves enough. */
const MIN_OK_PERCENT = 10;
/** A link between a client and a broker stays broken for so long. */
const BREAK_MS = [1, 600] as const;

export class Workload {
  readonly history: HistoryWriter;
  readonly #writers: readonly ClientMachine[];
  readonly #readers: readonly ClientMachine[];
  readonly #members: readonly { readonly plan: GroupPlan; readonly machine: ClientMachine }[];
  readonly #ledger: GroupLedger;
  readonly #cluster: Cluster;
  readonly #prng: Prng;
  readonly #plan: WorkloadPlan;
  readonly #shared: ClientShared;
  readonly #faults: Prng;
  #disturbing = false;
  #created = false;
  #finallyRead = false;

  constructor({ cluster, prng, plan }: WorkloadOptions) {
    const { world } = cluster;
    this.#cluster = cluster;
    this.#prng = prng;
    this.#plan = plan;
    this.#faults = prng.fork("faults");
    this.history = new HistoryWriter({ nowMs: () => world.nowMs });
    this.#shared = {
      cluster,
      history: this.history,
      bootstrapServers: bootstrapServers(cluster.shape),
      topics: plan.topics.map(({ name, partitionsCount, keysCount }) => ({
        name,
        partitionsCount,
        keysCount,
      })),
      counts: { sent: 0, acknowledged: 0, polled: 0, unsettled: new Map() },
    };
    const shared = this.#shared;
    const { admin } = plan;
    this.#writers = [
      ...plan.producers.map((each, index) =>
        this.#machine(`producer-${index + 1}`, (life) => produce(shared, each, life)),
      ),
      ...(admin === undefined
        ? []
        : [this.#machine("admin", (life) => administer(shared, admin, life))]),
      ...(admin?.churns === true ? [this.#machine("churn", (life) => churn(shared, life))] : []),
    ];
    const keepsAll = plan.topics.filter(({ keysCount }) => keysCount === undefined);
    const wholeTopics = admin?.deletes === true ? [] : keepsAll.map(({ name }) => name);
    this.#ledger = new GroupLedger(cluster, wholeTopics);
    cluster.watch([this.#ledger]);
    const ledger = this.#ledger;
    this.#members = plan.groups.flatMap((each) =>
      Array.from({ length: each.membersCount }, (_, index) => {
        const membership = { plan: each, index, ledger };
        const name = `${each.groupId}-member-${index + 1}`;
        const machine = this.#machine(name, (life) => consumeInGroup(shared, membership, life));
        return { plan: each, machine };
      }),
    );
    this.#readers = [
      ...plan.consumers.map((each, index) =>
        this.#machine(`consumer-${index + 1}`, (life) => consume(shared, each, life)),
      ),
      ...this.#members.map(({ machine }) => machine),
    ];
  }

  get #machines(): readonly ClientMachine[] {
    return [...this.#writers, ...this.#readers];
  }

  get acknowledgedCount(): number {
    return this.#shared.counts.acknowledged;
  }

  get lines(): readonly HistoryLine[] {
    return this.history.lines;
  }

  /** True once the topics are there. */
  get ready(): boolean {
    return this.#created;
  }

  /** Every send has its outcome, and everything that changes something has come to its end. */
  get writersEnded(): boolean {
    return (
      this.#shared.counts.unsettled.size === 0 && !this.#writers.some(({ running }) => running)
    );
  }

  get ended(): boolean {
    return this.writersEnded && !this.#readers.some(({ running }) => running);
  }

  get finallyRead(): boolean {
    return this.#finallyRead;
  }

  /** Makes the topics, as soon as there is somebody to ask. */
  createTopics(): void {
    const founder = this.#machine("founder", async (life) => {
      await this.#create(life);
      founder.end();
    });
    founder.start();
  }

  start(): void {
    for (const machine of this.#machines) machine.start();
    this.#disturbing = true;
    const { breakMs, crashMs } = this.#plan;
    if (crashMs > 0) this.#crashLater(crashMs);
    if (breakMs > 0) this.#breakLater(breakMs);
    for (const group of this.#plan.groups) if (group.freezeMs > 0) this.#freezeLater(group);
    if (this.#plan.compactsOffsets) this.#tune();
  }

  /** No client crashes any more, and none is cut off. */
  heal(): void {
    this.#disturbing = false;
    for (const { machine } of this.#members) machine.thaw();
  }

  /** Every group has been given everything that the logs hold, of those that keep all. */
  get groupsCaughtUp(): boolean {
    return this.#behind() === undefined;
  }

  /** Lets all but consumers come to their ends; producers wait for their outcomes. */
  endWriters(): void {
    for (const machine of this.#writers) machine.end();
  }

  endReaders(): void {
    for (const machine of this.#readers) machine.end();
  }

  /** Reads everything; `finallyRead` once that was done. */
  readFinally(): void {
    const machine = this.#machine("final", async (life) => {
      if (!(await readAll(this.#shared, life))) return;
      this.#finallyRead = true;
      machine.end();
    });
    machine.start();
  }

  check(): Verdict {
    // Clients reach every broker, so they reach a leader that nobody else does any more.
    return checkHistory(this.lines, { minOkPercent: MIN_OK_PERCENT, staleLeaders: true });
  }

  /** What is waited for, for the report of a run that does not come to its end. */
  describe(): string {
    const { unsettled } = this.#shared.counts;
    const sends = [...unsettled.values()].slice(0, 5).map(({ key, value }) => `${value} to ${key}`);
    const running = this.#machines.filter((each) => each.running).map(({ node }) => node.name);
    const behind = this.#behind() ?? "none";
    return `groups behind: ${behind}; ${unsettled.size} sends wait (${sends.join(", ")}), running are ${running.join(", ")}`;
  }

  #behind(): string | undefined {
    const image = this.#cluster.newestImage();
    for (const { groupId } of this.#plan.groups) {
      for (const { name: topic } of this.#plan.topics) {
        const topicId = image.topicIds.get(topic) ?? "";
        const partitions = image.topics.get(topicId)?.partitions ?? [];
        for (const [partition, { leader }] of partitions.entries()) {
          const place = { topic, partition };
          const node = this.#cluster.nodeOf(leader);
          const end = this.#cluster.logs.log(node, partitionKey(topicId, partition))?.endOffset;
          const has = this.#ledger.end(groupId, place);
          if (!this.#ledger.isWhole(topic) || has >= (end ?? 0)) continue;
          return `${groupId} has ${has} of ${end} of ${topic}-${partition}`;
        }
      }
    }
    return undefined;
  }

  #tune(): void {
    const tuner = this.#machine("tuner", async (life) => {
      await tuneOffsetsTopic(this.#shared, life);
      tuner.end();
    });
    tuner.start();
  }

  #freezeLater(group: GroupPlan): void {
    const { world } = this.#cluster;
    const afterMs = (group.freezeMs * this.#faults.between(10, 190)) / 100;
    world.schedule(afterMs, "a member freezes", () => {
      if (!this.#disturbing) return;
      const members = this.#members.filter(({ plan }) => plan === group);
      const { machine } = this.#faults.pick(members);
      machine.freeze(this.#faults.between(10, 2 * group.sessionTimeoutMs));
      this.#freezeLater(group);
    });
  }

  #machine(name: string, live: (life: ClientLife) => Promise<void>): ClientMachine {
    const { network, world } = this.#cluster;
    const prng = this.#prng.fork(name);
    return new ClientMachine({ world, network, history: this.history, prng, name, live });
  }

  async #create(life: ClientLife): Promise<void> {
    const admin = new HistoryAdmin(this.#shared, life, 4_000);
    for (const { name, partitionsCount: partitions, configs } of this.#plan.topics) {
      const args = { topic: name, partitions, configs };
      const topic = { name, partitions, replicationFactor: REPLICATION_FACTOR, configs };
      for (;;) {
        const outcome = await admin.call("createTopic", args, (each) => each.createTopics([topic]));
        if ("value" in outcome || outcome.error.code === "TOPIC_ALREADY_EXISTS") break;
        await life.sleep(100);
      }
    }
    await admin.admin.close();
    this.#created = true;
  }

  #crashLater(meanMs: number): void {
    const { world } = this.#cluster;
    world.schedule((meanMs * this.#faults.between(10, 190)) / 100, "client crash", () => {
      if (!this.#disturbing) return;
      const machine = this.#faults.pick(this.#machines);
      machine.crash();
      // Nobody is left to hear of what it had sent.
      for (const [sending, { process }] of this.#shared.counts.unsettled) {
        if (process.startsWith(`${machine.node.name}.`))
          this.#shared.counts.unsettled.delete(sending);
      }
      this.#crashLater(meanMs);
    });
  }

  /** Breaks a client's connections to a broker: answers are lost, and new ones refused for a while. */
  #breakLater(meanMs: number): void {
    const { brokers, network, world } = this.#cluster;
    world.schedule((meanMs * this.#faults.between(10, 190)) / 100, "client break", () => {
      if (!this.#disturbing) return;
      const client = this.#faults.pick(this.#machines).node.name;
      const broker = this.#faults.pick(brokers).node.name;
      const state = this.#faults.chance(2, 3) ? "reset" : "hold";
      network.setLink(client, broker, state);
      world.schedule(this.#faults.between(...BREAK_MS), "client break ends", () =>
        network.setLink(client, broker, "open"),
      );
      this.#breakLater(meanMs);
    });
  }
}
