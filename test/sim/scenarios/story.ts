/**
 * The vocabulary of scenarios. A story happens on a cluster of production brokers, on virtual time,
 * from a seed of its own, with every invariant on; its steps read as sentences: `produce`, `cut`,
 * `kill`, `losePower`, `until`, `expect`. Whatever it broke is mended at the end, the cluster must
 * come to rest, and what was acknowledged must be read, once each.
 */
import type { MetadataImage, PartitionImage } from "../../../src/metadata/image.ts";
import type { BrokerConfig } from "../../../src/model/broker-config.ts";
import { type BrokerId, NONE, partitionKey } from "../../../src/model/ids.ts";
import type { ReplicationUp } from "../../../src/replica/messages.ts";
import { Cluster, type SimBroker } from "../cluster/cluster.ts";
import { highWatermarkTap } from "../cluster/high-watermark-tap.ts";
import type { ObservedLog } from "../cluster/observed-logs.ts";
import { startProductionBroker } from "../cluster/production-broker.ts";
import { allInvariants } from "../invariants/all.ts";
import type { SimulationResult } from "../simulation.ts";
import type { SentMessage } from "../world/sim-network.ts";
import type { LogLine } from "../world/sim-node.ts";
import { describe, World } from "../world/world.ts";
import type { Scenario } from "./scenario.ts";
import {
  type Read,
  type ReadOptions,
  type SendOptions,
  type Sent,
  StoryClients,
} from "./story-clients.ts";

export interface StoryShape {
  /** Default 3, numbered from 1. */
  readonly brokers?: number;
  /** Default 3: the first brokers; the controller is one of them. */
  readonly voters?: number;
  /** Of the one partition, the preferred leader first. Default 1, 2, 3. */
  readonly replicas?: readonly BrokerId[];
  /** Default 2. */
  readonly minIsr?: number;
  readonly configs?: Readonly<Record<string, string>>;
  readonly snapshotBytes?: number;
  /** What the brokers are to do otherwise than by default, e.g. a retention check each second. */
  readonly overrides?: Partial<BrokerConfig>;
  readonly seed?: number;
  /** Brokers also serve Kafka's protocol, at port `KAFKA_PORT`. Default false. */
  readonly kafkaDoor?: boolean;
}

/**
 * Brokers 2, 3 and 4 hold the partition, broker 1 alone is the quorum: what a story does to the
 * replicas leaves the controller as it is.
 */
export const CONTROLLER_ASIDE = { brokers: 4, voters: 1, replicas: [2, 3, 4] } as const;
export const TOPIC = "orders";

const EXPLAINED_BY_DISK = /storage|disk|database|log|replica|segment|directory|write|flush|open/i;
const FORM_MS = 30_000;
const REST_MS = 90_000;
/** A story that needs more goes round in circles. */
const EVENTS_MAX = 300_000;

export function scenario(
  name: string,
  title: string,
  shape: StoryShape,
  tell: (story: Story) => Promise<void>,
): Scenario {
  return { name, title, run: () => Story.play(shape, tell) };
}

export class Story {
  readonly world: World;
  readonly cluster: Cluster;
  readonly clients: StoryClients;
  readonly #shape: StoryShape;
  readonly #said: LogLine[] = [];
  #stepsCount = 0;

  private constructor(shape: StoryShape) {
    const { seed = 1, brokers = 3, voters = 3, snapshotBytes = 20 * 1024 * 1024 } = shape;
    const { kafkaDoor = false } = shape;
    this.#shape = shape;
    this.world = new World(seed);
    this.cluster = new Cluster({
      world: this.world,
      shape: {
        brokersCount: brokers,
        votersCount: voters,
        properties: new Map(),
        snapshotBytes,
        kafkaDoor,
      },
      // Nobody but the story moves a leader.
      startBroker: (ports, config) =>
        startProductionBroker(ports, {
          ...config,
          autoLeaderRebalanceEnable: false,
          ...shape.overrides,
        }),
    });
    const invariants = allInvariants(this.cluster);
    this.cluster.watch([...invariants, highWatermarkTap(invariants)]);
    this.cluster.onLog = (line) => this.#hear(line);
    const replicasCount = this.replicas.length;
    this.clients = new StoryClients(this.cluster, {
      topic: TOPIC,
      minIsr: Math.min(shape.minIsr ?? 2, replicasCount),
    });
  }

  static async play(
    shape: StoryShape,
    tell: (story: Story) => Promise<void>,
  ): Promise<SimulationResult> {
    const story = new Story(shape);
    const { world } = story;
    const onUnhandled = (thrown: unknown): void =>
      world.fail("no unhandled rejection", describe(thrown));
    process.on("unhandledRejection", onUnhandled);
    try {
      await story.#form();
      await tell(story);
      await story.#rest();
    } catch (thrown) {
      if (world.failure === undefined) world.fail("the story goes as told", describe(thrown));
    } finally {
      process.off("unhandledRejection", onUnhandled);
    }
    const { failure } = world;
    return {
      seed: world.seed,
      traceHash: world.traceHash,
      virtualMs: world.nowMs,
      eventsCount: world.eventsCount,
      acknowledgedCount: story.clients.acknowledged.length,
      faultsCount: story.#stepsCount,
      failure: failure && { invariant: failure.invariant, message: failure.message },
      timeline: world.timeline,
    };
  }

  get replicas(): readonly BrokerId[] {
    return this.#shape.replicas ?? [1, 2, 3];
  }

  get image(): MetadataImage {
    return this.cluster.newestImage();
  }

  /** The partition as the newest metadata has it. */
  get partition(): PartitionImage {
    const { topicId } = this;
    const partition = this.image.topics.get(topicId)?.partitions[0];
    if (partition === undefined) throw new Error(`${TOPIC} does not exist`);
    return partition;
  }

  get topicId(): string {
    return this.image.topicIds.get(TOPIC) ?? "";
  }

  get key(): string {
    return partitionKey(this.topicId, 0);
  }

  get leader(): BrokerId {
    return this.partition.leader;
  }

  get isr(): string {
    return this.partition.isr.join(",");
  }

  get elr(): string {
    return this.partition.elr.join(",");
  }

  /** As the brokers that run know it. */
  get controller(): BrokerId {
    for (const { running } of this.cluster.brokers) {
      const id = running?.api.controllerId() ?? NONE;
      if (id !== NONE) return id;
    }
    return NONE;
  }

  /** What lies on the broker's disk. */
  log(id: BrokerId): ObservedLog | undefined {
    return this.cluster.logs.log(this.cluster.nodeOf(id), this.key);
  }

  logEnd(id: BrokerId): number {
    return this.log(id)?.endOffset ?? 0;
  }

  broker(id: BrokerId): SimBroker {
    return this.cluster.broker(id);
  }

  // ---- What clients do ----

  /** Sends one record, and does not wait. */
  send(value: string, options: Partial<SendOptions> = {}): Sent {
    return this.clients.send(value, { to: this.leader, ...options });
  }

  /** Sends each record to whoever leads, again and again until it is acknowledged. */
  async produce(...values: readonly string[]): Promise<void> {
    for (const value of values) {
      const sent = this.clients.prepare(value);
      await this.deliver(sent);
    }
  }

  /** Sends it, or sends it again, until it is acknowledged. */
  async deliver(sent: Sent, maxMs = 30_000): Promise<void> {
    let nextMs = 0;
    await this.until(
      `"${sent.value}" is acknowledged`,
      () => {
        if (sent.outcome === "acknowledged") return true;
        const { nowMs } = this.world;
        if ((sent.outcome !== "waiting" || nowMs >= nextMs) && nowMs >= nextMs - 2_900) {
          nextMs = nowMs + 3_000;
          this.clients.dispatch(sent, { to: this.leader });
        }
        return false;
      },
      maxMs,
    );
  }

  async answer(sent: Sent, maxMs = 10_000): Promise<string> {
    await this.until(`"${sent.value}" is answered`, () => sent.outcome !== "waiting", maxMs);
    return sent.outcome;
  }

  /** What a consumer gets from the leader, or from `from`, up to its high watermark. */
  async read(options: Partial<ReadOptions> = {}): Promise<Read> {
    const read = this.clients.read({ from: this.leader, offset: 0, epoch: NONE, ...options });
    await this.until("a consumer gets its answer", () => read.done, 10_000);
    return read;
  }

  /** What a consumer gets once the leader's high watermark is at the end of its log. */
  async everything(): Promise<readonly string[]> {
    const offset = this.log(this.leader)?.startOffset ?? 0;
    let read = await this.read({ offset });
    for (let times = 0; times < 50 && read.highWatermark < this.logEnd(this.leader); times++) {
      await this.wait(100);
      read = await this.read({ offset });
    }
    return read.values;
  }

  /** A consumer that stays. */
  follow(from: BrokerId, offset: number): Read {
    return this.clients.read({ from, offset, epoch: NONE, stays: true });
  }

  // ---- What goes wrong ----

  kill(...ids: readonly BrokerId[]): void {
    for (const id of ids) this.#step(() => this.cluster.kill(this.broker(id), "crash"));
  }

  losePower(...ids: readonly BrokerId[]): void {
    for (const id of ids) this.#step(() => this.cluster.kill(this.broker(id), "power loss"));
  }

  start(...ids: readonly BrokerId[]): void {
    for (const id of ids) this.#step(() => this.cluster.start(this.broker(id)));
  }

  /** In order; settles when the process has ended. */
  async stop(id: BrokerId): Promise<void> {
    this.#step(() => this.cluster.stop(this.broker(id), 10_000));
    const { node } = this.broker(id);
    await this.until(`broker ${id} has stopped`, () => node.incarnation === undefined, 11_000);
  }

  wipe(id: BrokerId): void {
    this.#step(() => this.cluster.wipe(this.broker(id)));
  }

  pause(id: BrokerId): void {
    this.#step(() => this.cluster.pause(this.broker(id)));
  }

  resume(id: BrokerId): void {
    this.#step(() => this.cluster.resume(this.broker(id)));
  }

  /** Nothing passes between the two sides, in either direction. */
  cut(left: readonly BrokerId[], right: readonly BrokerId[]): void {
    this.#links(left, right, "hold", true);
  }

  join(left: readonly BrokerId[], right: readonly BrokerId[]): void {
    this.#links(left, right, "open", true);
  }

  /** What `from` says does not reach `to`; `to` is still heard. */
  mute(from: readonly BrokerId[], to: readonly BrokerId[]): void {
    this.#links(from, to, "hold", false);
  }

  unmute(from: readonly BrokerId[], to: readonly BrokerId[]): void {
    this.#links(from, to, "open", false);
  }

  // ---- What is waited for ----

  async wait(durationMs: number): Promise<void> {
    const endMs = this.world.nowMs + durationMs;
    await this.world.runUntil(() => this.#patient && this.world.nowMs >= endMs, durationMs);
    if (this.world.nowMs < endMs) await this.world.runFor(endMs - this.world.nowMs);
  }

  async until(what: string, condition: () => boolean, maxMs = 15_000): Promise<void> {
    if (await this.world.runUntil(() => this.#patient && condition(), maxMs)) return;
    this.#fail(`until ${what}`, `not within ${maxMs} ms: ${this.cluster.describe()}`);
  }

  /** Until somebody sends such a message; it has left and has not arrived. */
  async untilSent(what: string, wanted: (sent: SentMessage) => boolean): Promise<SentMessage> {
    let found: SentMessage | undefined;
    this.cluster.network.onSend.push((sent) => {
      if (found === undefined && wanted(sent)) found = sent;
    });
    await this.until(what, () => found !== undefined);
    return found as unknown as SentMessage;
  }

  /** Until it knows so itself. */
  async untilLeader(id: BrokerId, maxMs?: number): Promise<void> {
    await this.until(`broker ${id} leads`, () => this.#knows(id) && this.leader === id, maxMs);
  }

  /** Until the leader knows so itself. */
  async untilIsr(...ids: readonly BrokerId[]): Promise<void> {
    const wanted = ids.join(",");
    await this.until(
      `the ISR is ${wanted}`,
      () => this.isr === wanted && (this.leader === NONE || this.#knows(this.leader)),
    );
  }

  /** Until the broker asks its leader for records: its request is on the way. */
  async untilFetching(id: BrokerId): Promise<void> {
    await this.untilSent(`broker ${id} begins to fetch`, ({ from, channel, message }) => {
      const isStart = channel === "replication" && (message as ReplicationUp).type === "start";
      return isStart && from.node.name === this.cluster.nodeOf(id);
    });
  }

  async untilAtRest(): Promise<void> {
    await this.until("the cluster is at rest", () => this.cluster.atRest, REST_MS);
  }

  expect(what: string, holds: boolean, detail = ""): void {
    if (!holds) this.#fail(`expect ${what}`, `${detail} ${this.cluster.describe()}`.trim());
  }

  expectEqual(what: string, found: unknown, wanted: unknown): void {
    const texts = [JSON.stringify(found), JSON.stringify(wanted)];
    this.expect(what, texts[0] === texts[1], `found ${texts[0]}, wanted ${texts[1]};`);
  }

  /** Lines that brokers have logged so far. */
  said(pattern: RegExp): readonly LogLine[] {
    return this.#said.filter(({ message }) => pattern.test(message));
  }

  // ---- The frame of every story ----

  async #form(): Promise<void> {
    for (const broker of this.cluster.brokers) this.cluster.start(broker);
    const { minIsr = 2, configs } = this.#shape;
    await this.until("everybody is registered", () => this.#allUnfenced, FORM_MS);
    await this.createTopic({ "min.insync.replicas": String(minIsr), ...configs });
    await this.untilAtRest();
    await this.clients.takeIds((what, condition) => this.until(what, condition));
    // What the quorum and the sessions still have to say after forming is said.
    await this.wait(1_000);
  }

  async createTopic(configs: Readonly<Record<string, string>>): Promise<void> {
    const topic = {
      name: TOPIC,
      partitionsCount: NONE,
      replicationFactor: NONE,
      assignment: [this.replicas],
      configs,
    };
    const request = { topics: [topic], validateOnly: false };
    const created = this.clients.call(this.#anybody(), "create topic", (api) =>
      api.controller("create-topics", request, 5_000),
    );
    await this.until("the topic is created", () => created.settled, FORM_MS);
    const error = created.value?.topics[0]?.error ?? created.error ?? null;
    this.expect("the topic is created", error === null, JSON.stringify(error));
    await this.until("everybody knows the topic", () => this.topicId !== "");
  }

  async #rest(): Promise<void> {
    const { network, brokers } = this.cluster;
    network.healAll();
    for (const broker of brokers) {
      const { disk } = broker.node;
      disk.full = false;
      disk.disarm();
      broker.node.wallOffsetMs = 0;
      this.cluster.resume(broker);
      this.cluster.start(broker);
    }
    await this.untilAtRest();
    await this.produce("the last record");
    await this.until("all replicas have everything", () => {
      const end = this.logEnd(this.leader);
      return this.replicas.every((id) => this.logEnd(id) === end);
    });
    const values = await this.everything();
    const wanted = this.clients.acknowledged;
    const lost = wanted.filter((value) => !values.includes(value));
    const twice = values.filter((value, index) => values.indexOf(value) !== index);
    this.expectEqual("what was acknowledged is read", lost, []);
    this.expectEqual("nothing is read twice", twice, []);
    this.cluster.finish();
    if (this.world.failure !== undefined) throw this.world.failure;
  }

  #knows(id: BrokerId): boolean {
    return this.broker(id).image?.index === this.image.index;
  }

  get #allUnfenced(): boolean {
    const { brokers } = this.image;
    return this.cluster.brokers.every(({ id }) => brokers.get(id)?.fenced === false);
  }

  get #patient(): boolean {
    if (this.world.eventsCount > EVENTS_MAX) {
      this.#fail("a story ends", `${EVENTS_MAX} events, and still not over`);
    }
    return true;
  }

  #anybody(): BrokerId {
    return this.cluster.brokers.find(({ running }) => running !== undefined)?.id ?? 1;
  }

  #step(run: () => void): void {
    this.#stepsCount++;
    run();
  }

  #links(
    left: readonly BrokerId[],
    right: readonly BrokerId[],
    state: "hold" | "open",
    both: boolean,
  ): void {
    this.#stepsCount++;
    const [verb, way] = [state === "hold" ? "is cut" : "is open", both ? "and" : "to"];
    this.world.note(`the network ${verb} from ${left.join(",")} ${way} ${right.join(",")}`);
    for (const from of left) {
      for (const to of right) {
        const [near, far] = [this.cluster.nodeOf(from), this.cluster.nodeOf(to)];
        this.cluster.network.setLink(near, far, state);
        if (both) this.cluster.network.setLink(far, near, state);
      }
    }
  }

  #hear(line: LogLine): void {
    this.#said.push(line);
    if (line.level === "debug" || line.level === "info") return;
    const text = `${line.node} ${line.level}: ${line.message} ${JSON.stringify(line.fields)}`;
    this.world.note(text);
    if (line.level !== "error") return;
    const broker = this.cluster.brokers.find(({ node }) => node.name === line.node);
    const explained =
      (broker?.node.disk.faultsCount ?? 0) > 0 && EXPLAINED_BY_DISK.test(line.message);
    if (!explained) this.cluster.fail("nothing is logged as an error without a cause", text);
  }

  #fail(what: string, detail: string): never {
    this.world.fail(what, detail);
    throw this.world.failure;
  }
}
