/**
 * Production brokers on simulated machines. Whoever kills one may start it again; a process that
 * ends itself is started again by a supervisor, as an operator's would.
 */
import type { DoorApi } from "../../../src/broker/broker-api.ts";
import type { MetadataImage } from "../../../src/metadata/image.ts";
import type { BrokerConfig } from "../../../src/model/broker-config.ts";
import type { Ports } from "../../../src/ports/ports.ts";
import type { MetadataLogStatus } from "../../../src/runtime/metadata-log.ts";
import { parseDirectoryName } from "../../../src/storage/replica-names.ts";
import type { SimDoor } from "../clients/sim-door.ts";
import { openSimDoors } from "../clients/sim-doors.ts";
import { ShownWatermarks, tappedBroker } from "../clients/tapped-broker.ts";
import type { SimDisk } from "../world/sim-disk.ts";
import { SimNetwork } from "../world/sim-network.ts";
import { type Incarnation, type LogLine, SimNode } from "../world/sim-node.ts";
import { createIncarnation } from "../world/sim-ports.ts";
import { describe, type World } from "../world/world.ts";
import { brokerConfig, brokerName, type ClusterShape, LOG_DIR } from "./cluster-config.ts";
import { type HookArguments, Observation } from "./observation.ts";
import { observedApi } from "./observed-api.ts";
import { ObservedLogs } from "./observed-logs.ts";
import { ObservedQuorum } from "./observed-quorum.ts";
import { ObservedStates } from "./observed-states.ts";
import { type Invariant, isCompacted, partitionsOf, type RunContext } from "./run-context.ts";

export interface RunningBroker {
  readonly api: DoorApi;
  /** How it sees the metadata quorum. */
  readonly quorum?: () => MetadataLogStatus;
  /** Controlled shutdown. */
  stop(): Promise<void>;
}

/** Starts the production broker; a test of the checker may put a planted bug in between. */
export type StartBroker = (ports: Ports, config: BrokerConfig) => Promise<RunningBroker>;

export interface ClusterOptions {
  readonly world: World;
  readonly shape: ClusterShape;
  readonly startBroker: StartBroker;
}

export interface SimBroker {
  readonly id: number;
  readonly node: SimNode;
  /** Undefined while it is down or starts. */
  running: RunningBroker | undefined;
  /** Where clients come in; undefined until it listens. */
  door: SimDoor | undefined;
  /** The newest metadata that this incarnation has applied. */
  image: MetadataImage | undefined;
  /** Whether it is meant to be up. */
  wanted: boolean;
}

const RESTART_MS = [200, 2_000] as const;

export class Cluster implements RunContext {
  readonly world: World;
  readonly network: SimNetwork;
  readonly logs = new ObservedLogs();
  readonly quorum = new ObservedQuorum();
  readonly states = new ObservedStates();
  readonly brokers: readonly SimBroker[];
  readonly shape: ClusterShape;
  readonly invariants: Invariant[] = [];
  readonly #shown = new ShownWatermarks();
  /** Whether the statement need not hold any more: more was destroyed than is promised to survive. */
  excuse: (invariant: string, detail: string) => boolean = () => false;
  /** Lines at level `error` that no fault explains end the run. */
  onLog: (line: LogLine) => void = () => {};
  readonly #startBroker: StartBroker;
  readonly #prng;
  readonly #wiped = new Set<string>();
  /** Where acknowledged batches lie: see `tappedBroker`. */
  readonly #placed = new Map<string, number>();
  readonly #observation: Observation;

  constructor(options: ClusterOptions) {
    const { world, shape } = options;
    this.world = world;
    this.shape = shape;
    this.#startBroker = options.startBroker;
    this.#prng = world.prng.fork("cluster");
    this.network = new SimNetwork(world, world.prng.fork("network"));
    this.#observation = new Observation(this, (text) => world.note(text));
    this.logs.isCompacted = (topicId) => isCompacted(this.newestImage(), topicId);
    this.brokers = Array.from({ length: shape.brokersCount }, (_, index) => this.#make(index + 1));
    world.observers.push(() => this.#observe());
    this.watch([this.#shown]);
  }

  /** Adds what is to be checked; before the cluster starts. */
  watch(invariants: readonly Invariant[]): void {
    this.invariants.push(...invariants);
    this.#observation.told.add(invariants);
  }

  /** Those of `invariants` that listen hear of it. */
  tell<Name extends keyof Invariant>(hook: Name, ...told: HookArguments<Name>): void {
    this.#observation.told.tell(hook, ...told);
  }

  broker(id: number): SimBroker {
    const broker = this.brokers[id - 1];
    if (broker === undefined) throw new Error(`there is no broker ${id}`);
    return broker;
  }

  start(broker: SimBroker): void {
    broker.wanted = true;
    if (broker.node.incarnation !== undefined) return;
    const { incarnation, ports } = createIncarnation(broker.node, this.network);
    this.world.note(`broker ${broker.id} starts, life ${incarnation.life}`);
    const { told } = this.#observation;
    told.tell("onLife", incarnation);
    this.#startBroker(ports, brokerConfig(broker.id, this.shape)).then(
      (started) => {
        if (!incarnation.alive) return;
        const running = { ...started, api: observedApi(started.api, incarnation, told) };
        broker.running = running;
        this.world.note(`broker ${broker.id} has started`);
        this.#openDoor(broker, running, incarnation, ports);
      },
      (thrown: unknown) => {
        if (!incarnation.alive) return;
        this.world.note(`broker ${broker.id} could not start: ${describe(thrown)}`);
        broker.node.crash();
        this.#restartLater(broker);
      },
    );
  }

  /** Ends the process without a word. */
  kill(broker: SimBroker, how: "crash" | "power loss"): void {
    broker.wanted = false;
    if (broker.node.incarnation === undefined) return;
    this.world.note(`broker ${broker.id}: ${how}`);
    if (how === "crash") broker.node.crash();
    else broker.node.losePower();
  }

  /** A new, empty disk for a machine that is down. */
  wipe(broker: SimBroker): void {
    this.world.note(`broker ${broker.id}: disk wiped`);
    broker.node.disk.wipe();
    this.#wiped.add(broker.node.name);
  }

  /** Something that lies on its disk is about to change: it may lack what it vouched for. */
  damage(broker: SimBroker): void {
    broker.node.disk.faultsCount++;
    this.#wiped.add(broker.node.name);
  }

  /** Its disk was replaced, or damaged, at some time in the run. */
  wasWiped(node: string): boolean {
    return this.#wiped.has(node);
  }

  get anyWiped(): boolean {
    return this.#wiped.size > 0;
  }

  /** Asks the process to stop; it exits once it has, and is cut off after `maxMs`. */
  stop(broker: SimBroker, maxMs: number): void {
    broker.wanted = false;
    const { incarnation } = broker.node;
    if (incarnation === undefined) return;
    const { running } = broker;
    if (running === undefined) {
      this.kill(broker, "crash");
      return;
    }
    this.world.note(`broker ${broker.id} is asked to stop`);
    const end = (how: string): void => {
      if (!incarnation.alive) return;
      this.world.note(`broker ${broker.id} ${how}`);
      broker.node.exit();
      if (broker.wanted) this.start(broker);
    };
    // Leaders move while the door still answers.
    const stopped = running.stop().then(() => broker.door?.close());
    stopped.then(
      () => end("has stopped"),
      (thrown: unknown) => {
        if (!incarnation.alive) return;
        // A disk that fails while its logs are closed makes an unclean stop; nothing else may.
        if (broker.node.disk.faultsCount === 0) this.fail("a stop succeeds", describe(thrown));
        end(`could not stop in order: ${String(thrown)}`);
      },
    );
    this.world.schedule(maxMs, "stop deadline", () => end("was cut off while it stopped"));
  }

  pause(broker: SimBroker): void {
    this.world.note(`broker ${broker.id} is paused`);
    broker.node.pause();
    this.network.nodePaused(broker.node);
  }

  resume(broker: SimBroker): void {
    if (!broker.node.paused) return;
    this.world.note(`broker ${broker.id} goes on`);
    broker.node.resume();
  }

  newestImage(): MetadataImage {
    return this.#observation.newest;
  }

  imageOf(node: string): MetadataImage | undefined {
    return this.#at(node)?.running?.api.image();
  }

  quorumOf(node: string): MetadataLogStatus | undefined {
    return this.#at(node)?.running?.quorum?.();
  }

  get electionTimeoutMs(): number {
    return brokerConfig(1, this.shape).electionTimeoutMs;
  }

  get nodes(): readonly string[] {
    return this.brokers.map(({ node }) => node.name);
  }

  nodeOf(brokerId: number): string {
    return brokerName(brokerId);
  }

  brokerIdOf(node: string): number {
    return this.#at(node)?.id ?? -1;
  }

  diskOf(node: string): SimDisk {
    const broker = this.#at(node);
    if (broker === undefined) throw new Error(`there is no machine ${node}`);
    return broker.node.disk;
  }

  lifeOf(node: string): Incarnation | undefined {
    return this.#at(node)?.node.incarnation;
  }

  isRunning(node: string): boolean {
    return this.#at(node)?.running !== undefined;
  }

  /** To be told whenever everybody is up and in sync. */
  rest(): void {
    this.#observation.told.tell("onRest");
  }

  #at(node: string): SimBroker | undefined {
    return this.brokers.find((broker) => broker.node.name === node);
  }

  fail(invariant: string, detail: string): void {
    if (!this.excuse(invariant, detail)) this.world.fail(invariant, detail);
  }

  /** Calls every invariant's `atEnd`. */
  finish(): void {
    this.#observation.told.tell("atEnd");
  }

  /** Every broker runs unfenced on the newest metadata, every replica is in sync and leads where preferred. */
  get atRest(): boolean {
    for (const broker of this.brokers) {
      const { running, image } = broker;
      if (running === undefined || image?.index !== this.newestImage().index) return false;
      if (this.isFenced(broker)) return false;
    }
    for (const [, partition] of partitionsOf(this.newestImage())) {
      if (partition.leader === -1 || partition.isr.length !== partition.replicas.length) {
        return false;
      }
    }
    return true;
  }

  /** Directories of replicas on brokers that are to have none of that partition, or not any more. */
  get strays(): readonly string[] {
    const found: string[] = [];
    for (const { id, node } of this.brokers) {
      for (const name of node.disk.list(`${LOG_DIR}/logs`)) {
        const replica = parseDirectoryName(name);
        if (replica === undefined) continue;
        const topic = this.newestImage().topics.get(replica.topicId);
        const partition = topic?.partitions[replica.partition];
        if (partition?.replicas.includes(id) !== true) found.push(`${node.name} ${name}`);
      }
    }
    return found;
  }

  isFenced(broker: SimBroker): boolean {
    return this.newestImage().brokers.get(broker.id)?.fenced === true;
  }

  /** Whether it leads a partition, or one has no leader. */
  leads(broker: SimBroker): boolean {
    for (const [, { leader }] of partitionsOf(this.newestImage())) {
      if (leader === -1 || leader === broker.id) return true;
    }
    return false;
  }

  describe(): string {
    const lines: string[] = [];
    for (const { id, running, image, node } of this.brokers) {
      const state = running === undefined ? (node.incarnation ? "starts" : "down") : "runs";
      lines.push(`broker ${id} ${state}, metadata ${image?.index ?? "none"}`);
    }
    if (this.strays.length > 0) lines.push(`strays ${this.strays.join(", ")}`);
    for (const [key, partition] of partitionsOf(this.newestImage())) {
      const { leader, leaderEpoch, isr, elr, partitionEpoch } = partition;
      const ends = partition.replicas.map((id) => {
        return `${id}:${this.logs.log(this.nodeOf(id), key)?.endOffset ?? 0}`;
      });
      lines.push(
        `${key} leader ${leader} epoch ${leaderEpoch}/${partitionEpoch} ISR ${isr.join(",")} ELR ${elr.join(",")} ends ${ends.join(" ")}`,
      );
    }
    for (const { id, fenced, epoch } of this.newestImage().brokers.values()) {
      lines.push(`registration of broker ${id}: epoch ${epoch}${fenced ? ", fenced" : ""}`);
    }
    return lines.join("; ");
  }

  #make(id: number): SimBroker {
    const name = brokerName(id);
    const node = new SimNode({ world: this.world, name, prng: this.world.prng.fork(name) });
    const broker: SimBroker = {
      id,
      node,
      running: undefined,
      door: undefined,
      image: undefined,
      wanted: false,
    };
    this.network.attach(node);
    this.#observation.attach(node);
    node.onEnd.push(() => {
      broker.running = undefined;
      broker.door = undefined;
      broker.image = undefined;
    });
    node.onLog = (line) => this.onLog(line);
    node.onKilled = (reason) => {
      this.world.note(`broker ${id} was killed: ${reason}`);
      this.#restartLater(broker);
    };
    node.onFatal = (reason, cause) => {
      const why = cause === undefined ? "" : ` (${describe(cause)})`;
      this.world.note(`broker ${id} ended itself: ${reason}${why}`);
      if (node.disk.faultsCount === 0) this.fail("a broker does not end itself", reason + why);
      this.#restartLater(broker);
    };
    return broker;
  }

  #openDoor(
    broker: SimBroker,
    { api }: RunningBroker,
    incarnation: Incarnation,
    ports: Ports,
  ): void {
    const tap = { cluster: this, incarnation, placed: this.#placed, shown: this.#shown };
    const config = brokerConfig(broker.id, this.shape);
    openSimDoors({ broker: tappedBroker(api, tap), ports, config }).then(
      (door) => {
        if (incarnation.alive) broker.door = door;
      },
      (thrown: unknown) => this.fail("a door opens", describe(thrown)),
    );
  }

  #restartLater(broker: SimBroker): void {
    const delay = this.#prng.between(...RESTART_MS);
    this.world.schedule(delay, "supervisor", () => {
      if (broker.wanted) this.start(broker);
    });
  }

  /** Only those that ran in the event can have changed. */
  #observe(): void {
    const { eventsCount } = this.world;
    for (const broker of this.brokers) {
      if (broker.node.ranInEvent === eventsCount) this.#observation.look(broker);
    }
    this.#observation.told.tell("afterEvent");
  }
}
