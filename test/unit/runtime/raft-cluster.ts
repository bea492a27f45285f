/** Raft drivers on machines in memory, each with a state machine that is a list of words. */
import { text, utf8 } from "../../../src/base/bytes.ts";
import type { ClusterId } from "../../../src/model/ids.ts";
import type { MetadataStateMachine } from "../../../src/runtime/metadata-log.ts";
import { RaftDriver, type RaftDriverOptions } from "../../../src/runtime/raft-driver.ts";
import {
  type Incarnation,
  MemoryDisk,
  MemoryNetwork,
  startIncarnation,
} from "../../support/memory-host.ts";
import { VirtualTime } from "../../support/virtual-time.ts";

export class WordList implements MetadataStateMachine {
  words: string[] = [];
  appliedIndex = 0;
  loads = 0;
  activeTerm: number | undefined;
  readonly events: string[] = [];

  apply(entries: readonly { index: number; payload: Uint8Array }[]): void {
    for (const { index, payload } of entries) {
      if (index !== this.appliedIndex + 1)
        throw new Error(`applied ${index} behind ${this.appliedIndex}`);
      this.appliedIndex = index;
      if (payload.length > 0) this.words.push(text(payload));
    }
  }

  load({ index, bytes }: { index: number; bytes: Uint8Array }): void {
    this.loads++;
    this.appliedIndex = index;
    this.words = JSON.parse(text(bytes)) as string[];
  }

  save(): Uint8Array {
    return utf8(JSON.stringify(this.words));
  }

  becomeActive(term: number): void {
    this.activeTerm = term;
    this.events.push(`active ${term}`);
  }

  resign(): void {
    this.activeTerm = undefined;
    this.events.push("resign");
  }

  leaderChanged(leaderId: number, term: number): void {
    this.events.push(`leader ${leaderId} term ${term}`);
  }

  voterReplaced(id: number): void {
    this.events.push(`replaced ${id}`);
  }
}

export interface Host {
  readonly id: number;
  readonly disk: MemoryDisk;
  incarnation: Incarnation;
  machine: WordList;
  driver: RaftDriver;
}

export class RaftCluster {
  readonly time = new VirtualTime();
  readonly network = new MemoryNetwork(this.time);
  readonly hosts = new Map<number, Host>();
  readonly #disks = new Map<number, MemoryDisk>();
  readonly #voterIds: readonly number[];
  readonly #options: Partial<RaftDriverOptions>;
  #seed = 1;

  constructor(voterIds: readonly number[], options: Partial<RaftDriverOptions> = {}) {
    this.#voterIds = voterIds;
    this.#options = options;
  }

  disk(id: number): MemoryDisk {
    const disk = this.#disks.get(id) ?? new MemoryDisk();
    this.#disks.set(id, disk);
    return disk;
  }

  async start(id: number, options: { clusterId?: ClusterId } = {}): Promise<Host> {
    const name = `host${id}`;
    const disk = this.disk(id);
    const { time, network } = this;
    const incarnation = startIncarnation({ name, time, disk, network, seed: this.#seed++ });
    const machine = new WordList();
    let opened: RaftDriver | undefined;
    let failure: unknown;
    RaftDriver.open(incarnation.ports, {
      brokerId: id,
      dataDirectory: "/data",
      voters: this.#voterIds.map((voter) => ({ id: voter, host: `host${voter}`, port: 1 })),
      electionTimeoutMs: 1_000,
      reconnectGraceMs: 300,
      snapshotBytes: 20 * 1024 * 1024,
      clusterId: options.clusterId,
      stateMachine: machine,
      ...this.#options,
    }).then(
      (driver) => {
        opened = driver;
        network.listen({ host: name, port: 1 }, name, (stream) => driver.accept(stream as never));
      },
      (error: unknown) => {
        failure = error;
      },
    );
    await time.until(() => opened !== undefined || failure !== undefined, 1_000);
    if (opened === undefined) throw failure;
    const host = { id, disk, incarnation, machine, driver: opened };
    this.hosts.set(id, host);
    return host;
  }

  async startAll(): Promise<void> {
    for (const id of this.#voterIds) await this.start(id);
  }

  host(id: number): Host {
    const host = this.hosts.get(id);
    if (host === undefined) throw new Error(`no host ${id}`);
    return host;
  }

  crash(id: number): void {
    this.host(id).incarnation.crash();
    this.hosts.delete(id);
  }

  leader(): Host | undefined {
    return [...this.hosts.values()].find(({ machine }) => machine.activeTerm !== undefined);
  }

  async untilLeader(limitMs = 5_000): Promise<Host> {
    await this.time.until(() => this.leader() !== undefined, limitMs);
    return this.leader() as Host;
  }

  /** Proposes at whoever leads, and waits for the commit. */
  async say(word: string): Promise<void> {
    const { driver, machine } = await this.untilLeader();
    let outcome: unknown;
    driver.propose(machine.activeTerm as number, utf8(word)).then(
      () => {
        outcome = "done";
      },
      (error: unknown) => {
        outcome = error;
      },
    );
    await this.time.until(() => outcome !== undefined, 5_000);
    if (outcome !== "done") throw outcome;
  }

  async untilAllSaid(words: readonly string[], limitMs = 5_000): Promise<void> {
    await this.time.until(
      () => [...this.hosts.values()].every(({ machine }) => machine.words.join() === words.join()),
      limitMs,
    );
  }
}
