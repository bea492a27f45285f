/**
 * One run of the metadata quorum alone: Raft drivers with a list for a state machine, under the
 * same faults and invariants as whole brokers. What `propose` has answered must stay for ever.
 */
import { concatBytes, readUint32, text, utf8, writeInt32 } from "../../src/base/bytes.ts";
import type { Prng } from "../../src/base/prng.ts";
import type { DoorApi } from "../../src/broker/broker-api.ts";
import { EMPTY_IMAGE, type MetadataImage } from "../../src/metadata/image.ts";
import type { BrokerConfig } from "../../src/model/broker-config.ts";
import type { LogIndex, Term } from "../../src/model/ids.ts";
import type { Ports } from "../../src/ports/ports.ts";
import { sameNode } from "../../src/raft/messages.ts";
import type { CommittedEntry, MetadataStateMachine } from "../../src/runtime/metadata-log.ts";
import { RaftDriver } from "../../src/runtime/raft-driver.ts";
import { Cluster, type RunningBroker } from "./cluster/cluster.ts";
import { watchQuorumProbes } from "./cluster/probe-taps.ts";
import type { ProbeCounts } from "./cluster/probes.ts";
import { FAULTS } from "./faults/catalogue.ts";
import { Nemesis } from "./faults/nemesis.ts";
import { drawPlan, type FaultPlan } from "./faults/plan.ts";
import { quorumInvariants } from "./invariants/quorum.ts";
import { Liveness } from "./liveness.ts";
import { type PlantedBug, withBug } from "./planted-bugs.ts";
import { type Play, runWorld, type SimulationResult } from "./run-world.ts";
import { crc32c } from "./world/sim-codecs.ts";
import type { TimelineLine, World } from "./world/world.ts";

export interface QuorumSimulationOptions {
  readonly seed: number;
  readonly faultsMs?: number;
  readonly faults?: readonly string[];
  /** These faults instead of drawn ones. */
  readonly plan?: FaultPlan;
  readonly onNote?: (line: TimelineLine) => void;
  /** Put between every node and its ports. */
  readonly bug?: PlantedBug;
}

const FAULTS_MS = 12_000;
const HEAL_MS = 60_000;

/** Keeps every payload under its index; an image stands for it in the cluster's eyes. */
class ListMachine implements MetadataStateMachine {
  readonly payloads = new Map<LogIndex, string>();
  image: MetadataImage = EMPTY_IMAGE;
  activeTerm: Term | undefined;
  #hash = 0;
  /** As a snapshot has them, each written once. */
  #lines: string[] = [];

  apply(entries: readonly CommittedEntry[]): void {
    for (const { index, term, payload } of entries) {
      if (payload.length > 0) this.#put(index, text(payload));
      this.#hash = crc32c(payload, this.#hash);
      this.image = { ...EMPTY_IMAGE, index, term, nextProducerId: this.#hash };
    }
  }

  load(snapshot: { readonly index: LogIndex; readonly term: Term; readonly bytes: Uint8Array }) {
    this.#hash = readUint32(snapshot.bytes, 0);
    const list = JSON.parse(text(snapshot.bytes.subarray(4))) as [LogIndex, string][];
    this.payloads.clear();
    this.#lines = [];
    for (const [index, payload] of list) this.#put(index, payload);
    const { index, term } = snapshot;
    this.image = { ...EMPTY_IMAGE, index, term, nextProducerId: this.#hash };
  }

  save(): Uint8Array {
    const head = new Uint8Array(4);
    writeInt32(head, 0, this.#hash);
    return concatBytes([head, utf8(`[${this.#lines.join(",")}]`)]);
  }

  #put(index: LogIndex, payload: string): void {
    this.payloads.set(index, payload);
    this.#lines.push(JSON.stringify([index, payload]));
  }

  becomeActive(term: Term): void {
    this.activeTerm = term;
  }

  resign(): void {
    this.activeTerm = undefined;
  }

  leaderChanged(): void {}

  voterReplaced(): void {}
}

interface QuorumNode extends RunningBroker {
  readonly driver: RaftDriver;
  readonly machine: ListMachine;
}

async function startNode(ports: Ports, config: BrokerConfig): Promise<QuorumNode> {
  const machine = new ListMachine();
  const dataDirectory = config.logDirs[0] as string;
  await ports.files.makeDirectory(dataDirectory);
  const driver = await RaftDriver.open(ports, {
    brokerId: config.nodeId,
    dataDirectory,
    voters: config.voters,
    electionTimeoutMs: config.electionTimeoutMs,
    reconnectGraceMs: config.sessionReconnectMs,
    snapshotBytes: config.metadataMaxRecordBytesBetweenSnapshots,
    // A tenth of what lies between two snapshots: who falls behind needs one.
    trailingEntriesCount: Math.ceil(config.metadataMaxRecordBytesBetweenSnapshots / 600),
    clusterId: undefined,
    stateMachine: machine,
  });
  const { host, port } = config.listeners[0] as { host: string; port: number };
  await ports.network.listen(
    { host, port },
    {
      raft: (stream) => driver.accept(stream),
      replication: (stream) => stream.close(),
      controller: (stream) => stream.close(),
      offsets: (stream) => stream.close(),
    },
  );
  const api = { image: () => machine.image } as DoorApi;
  return { api, driver, machine, quorum: () => driver.status(), stop: () => driver.close() };
}

export function runQuorumSimulation(options: QuorumSimulationOptions): Promise<SimulationResult> {
  return runWorld(options, (world) => new QuorumRun(world, options));
}

class QuorumRun implements Play {
  readonly #world: World;
  readonly #cluster: Cluster;
  readonly #nemesis: Nemesis;
  readonly #probes: ProbeCounts;
  readonly #prng: Prng;
  readonly #committed = new Map<LogIndex, string>();
  #proposed = 0;
  #stopping = false;

  constructor(world: World, options: QuorumSimulationOptions) {
    this.#world = world;
    this.#prng = world.prng.fork("proposals");
    const shape = world.prng.fork("shape");
    const votersCount = shape.pick([1, 3, 3, 3, 5]);
    this.#cluster = new Cluster({
      world,
      shape: {
        votersCount,
        brokersCount: votersCount + shape.pick([0, 0, 1]),
        properties: new Map(),
        snapshotBytes: shape.pick([300, 3_000, 1024 * 1024]),
      },
      startBroker: options.bug === undefined ? startNode : withBug(startNode, options.bug),
    });
    const cluster = this.#cluster;
    cluster.watch(quorumInvariants(cluster));
    this.#probes = watchQuorumProbes(cluster);
    cluster.onLog = ({ node, level, message, fields }) => {
      if (level === "debug" || level === "info") return;
      const line = `${node} ${level}: ${message} ${JSON.stringify(fields)}`;
      world.note(line);
      const { disk } = cluster.brokers.find((each) => each.node.name === node)?.node ?? {};
      if (level === "error" && disk?.faultsCount === 0) {
        cluster.fail("nothing is logged as an error without a cause", line);
      }
    };
    const faults = world.prng.fork("nemesis");
    const plan = drawPlan({
      prng: faults,
      allowed: options.faults ?? FAULTS,
      durationMs: options.faultsMs ?? FAULTS_MS,
      brokersCount: cluster.brokers.length,
      mayGoBeyond: false,
    });
    this.#nemesis = new Nemesis({
      cluster,
      plan: options.plan ?? plan,
      minIsr: 2,
      whole: () => this.#everyVoterCounts,
    });
  }

  async play(): Promise<void> {
    const world = this.#world;
    const cluster = this.#cluster;
    const { shape } = cluster;
    world.note(
      `${shape.votersCount} voters, ${shape.brokersCount} nodes, faults ${this.#nemesis.kinds.join(" ")}`,
    );
    for (const broker of cluster.brokers) cluster.start(broker);
    this.#propose();
    await this.#come("a quorum forms", () => this.#committed.size > 0, 30_000);
    this.#nemesis.start();
    await world.runFor(this.#nemesis.plan.durationMs);
    await this.#heal();
    const before = this.#committed.size;
    await this.#come("proposals are committed again", () => this.#committed.size > before + 5);
    this.#stopping = true;
    await world.runFor(1_000);
    await this.#come("all nodes catch up", () => cluster.atRest);
    cluster.rest();
    cluster.finish();
    this.#check();
    if (world.failure !== undefined) throw world.failure;
  }

  async #heal(): Promise<void> {
    const liveness = new Liveness(this.#nemesis.stage);
    const core = this.#nemesis.healCore();
    if (core !== undefined) {
      this.#probes.hit("core-healed-alone");
      await liveness.demandCore(core, this.#nemesis.plan);
    }
    this.#nemesis.heal();
    await liveness.demand(this.#cluster.brokers);
  }

  /** Each voter's own view of the voter set has all of them as they are now. */
  get #everyVoterCounts(): boolean {
    const { brokers, shape } = this.#cluster;
    const voters = brokers.slice(0, shape.votersCount);
    const statuses = voters.map(({ node }) => this.#cluster.quorumOf(node.name));
    return statuses.every((status) =>
      statuses.every(
        (other) =>
          other !== undefined && status?.voters.some((voter) => sameNode(voter, other.self)),
      ),
    );
  }

  tell(): ReturnType<Play["tell"]> {
    return {
      acknowledgedCount: this.#committed.size,
      faultsCount: this.#nemesis.injectedCount,
      plan: this.#nemesis.plan,
      injected: Object.fromEntries(this.#nemesis.injected),
      probes: this.#probes.counts,
    };
  }

  #propose(): void {
    if (this.#stopping) return;
    const world = this.#world;
    world.schedule(this.#prng.between(5, 60), "proposals", () => this.#propose());
    for (const { running, node } of this.#cluster.brokers) {
      const { machine, driver } = (running ?? {}) as Partial<QuorumNode>;
      const { incarnation } = node;
      const term = machine?.activeTerm;
      if (term === undefined || incarnation === undefined || node.paused) continue;
      const payload = `proposal ${this.#proposed++} `.repeat(this.#prng.between(1, 10));
      driver?.propose(term, utf8(payload)).then(
        (index) => {
          if (!incarnation.alive) return;
          const known = this.#committed.get(index);
          if (known !== undefined) {
            this.#cluster.fail("R7 one proposal per index", `${index}: ${known} and ${payload}`);
          }
          this.#committed.set(index, payload);
          if (machine?.payloads.get(index) !== payload) {
            this.#cluster.fail("a proposal is applied when it is answered", `index ${index}`);
          }
        },
        () => {
          // It may be committed or not; the caller knows that it does not know.
        },
      );
    }
  }

  #check(): void {
    for (const { id, running } of this.#cluster.brokers) {
      const { machine } = running as QuorumNode;
      for (const [index, payload] of this.#committed) {
        if (machine.payloads.get(index) === payload) continue;
        this.#cluster.fail(
          "R8 what was committed stays",
          `broker ${id} has "${machine.payloads.get(index) ?? "nothing"}" at ${index}, answered was "${payload}"`,
        );
      }
    }
  }

  async #come(what: string, condition: () => boolean, maxMs = HEAL_MS): Promise<void> {
    if (await this.#world.runUntil(condition, maxMs)) return;
    const statuses = this.#cluster.brokers.map(({ id, running }) => {
      const status = (running as QuorumNode | undefined)?.driver.status();
      return `${id}: ${status === undefined ? "down" : `${status.role} term ${status.term} commit ${status.commitIndex} last ${status.lastIndex}`}`;
    });
    this.#cluster.fail(`liveness: ${what}`, `not within ${maxMs} ms: ${statuses.join("; ")}`);
    throw this.#world.failure;
  }
}
