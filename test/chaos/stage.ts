/** What a fault has in hand: the cluster, the seed, and how the cluster looks from outside. */
import type { Prng } from "../../src/base/prng.ts";
import { Admin, type TopicDescription } from "../../src/client/index.ts";
import { partitionOfGroup } from "../../src/group/partition-of.ts";
import type { ChaosCluster } from "./cluster.ts";
import type { Load } from "./load.ts";
import { until } from "./waiting.ts";

export interface ClusterView {
  readonly controller: number;
  /** Of the load's partitions, in order. */
  readonly leaders: readonly number[];
  /** Leader of the partition that the group belongs to; -1 if there is none. */
  readonly coordinator: number;
  /** Partitions of all topics that lack a replica in their ISR, or a leader. */
  readonly notWhole: readonly string[];
}

export interface StageOptions {
  readonly cluster: ChaosCluster;
  readonly load: Load;
  readonly topic: string;
  readonly groupId: string;
  readonly say: (text: string) => void;
}

const REQUEST_MS = 5_000;
const OFFSETS_TOPIC = "__consumer_offsets";
/** Topics of the administrator, which come and go. */
const PASSING = /^side-/;
const WHOLE_POLL_MS = 100;

export class Stage implements AsyncDisposable {
  readonly cluster: ChaosCluster;
  readonly load: Load;
  readonly say: (text: string) => void;
  readonly #options: StageOptions;
  readonly #admin: Admin;
  /** What was missing last, before everything was whole: whom the time to full ISR is due to. */
  lastLacking = "";

  constructor(options: StageOptions) {
    this.#options = options;
    this.cluster = options.cluster;
    this.load = options.load;
    this.say = options.say;
    this.#admin = new Admin({
      bootstrapServers: options.cluster.bootstrapServers,
      requestTimeoutMs: REQUEST_MS,
    });
  }

  /** Rejects if nobody answers. */
  async view(): Promise<ClusterView> {
    const { groupId, topic } = this.#options;
    const [topics, { controllerId, brokers }] = await Promise.all([
      this.#admin.listTopics(),
      this.#admin.describeCluster(),
    ]);
    const load = topics.find(({ name }) => name === topic);
    const offsets = topics.find(({ name }) => name === OFFSETS_TOPIC);
    const fenced = brokers.filter((each) => each.fenced).map(({ id }) => `broker ${id} is fenced`);
    const missing = this.cluster.ids
      .filter((id) => !brokers.some((each) => each.id === id))
      .map((id) => `broker ${id} is unknown`);
    return {
      controller: controllerId,
      leaders: load?.partitions.map(({ leader }) => leader) ?? [],
      coordinator: coordinatorOf(offsets, groupId),
      notWhole: [
        ...fenced,
        ...missing,
        ...topics.filter(({ name }) => !PASSING.test(name)).flatMap(notWhole),
      ],
    };
  }

  /** Who leads what: leader epochs of partitions, and the term of the metadata quorum. */
  async epochs(): Promise<readonly { readonly what: string; readonly epoch: number }[]> {
    const [topics, { quorum }] = await Promise.all([
      this.#admin.listTopics(),
      this.#admin.describeCluster(),
    ]);
    return [
      { what: "the metadata quorum", epoch: quorum?.term ?? 0 },
      ...topics.flatMap(({ name, partitions }) =>
        partitions.map(({ leaderEpoch, partition }) => ({
          what: `${name}-${partition}`,
          epoch: leaderEpoch,
        })),
      ),
    ];
  }

  /** What is missing, in few words; "" once every replica is in sync. */
  async lacking(): Promise<string> {
    try {
      const { notWhole: missing } = await this.view();
      if (missing.length === 0) return "";
      return `${missing.slice(0, 3).join(", ")}${missing.length > 3 ? " ..." : ""}`;
    } catch (thrown) {
      return `nobody answers: ${String(thrown)}`;
    }
  }

  /** Undefined once every replica is in sync; else what is missing after so long. */
  async untilWhole(timeoutMs: number): Promise<string | undefined> {
    let missing = "";
    const whole = await until(
      async () => {
        missing = await this.lacking();
        if (missing !== "") this.lastLacking = missing;
        return missing === "";
      },
      { timeoutMs, periodMs: WHOLE_POLL_MS },
    );
    return whole ? undefined : missing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#admin.close();
  }
}

export interface FaultStage {
  readonly cluster: ChaosCluster;
  readonly prng: Prng;
  readonly view: ClusterView;
  readonly stage: Stage;
}

/** Any leader of the load's partitions, by the seed. */
export function someLeader({ prng, view }: FaultStage): number {
  return prng.pick(view.leaders);
}

export function someBroker({ cluster, prng }: FaultStage): number {
  return prng.pick(cluster.ids);
}

/** By the seed: who leads, who controls, or anybody. */
export function someVictim(on: FaultStage): number {
  const { cluster, prng, view } = on;
  const victim = prng.pick([someLeader(on), view.controller, someBroker(on)]);
  return cluster.ids.includes(victim) ? victim : someBroker(on);
}

function coordinatorOf(offsets: TopicDescription | undefined, groupId: string): number {
  if (offsets === undefined) return -1;
  const partition = partitionOfGroup(groupId, offsets.partitions.length);
  return offsets.partitions.find((each) => each.partition === partition)?.leader ?? -1;
}

function notWhole({ name, partitions }: TopicDescription): readonly string[] {
  return partitions
    .filter(({ isr, leader, replicas }) => leader < 0 || isr.length < replicas.length)
    .map(
      ({ isr, leader, partition }) => `${name}-${partition} leader ${leader} isr ${isr.join("+")}`,
    );
}
