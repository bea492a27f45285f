/**
 * A machine on which clients run, one process after another: the SDK as it ships, on simulated
 * ports. A crash ends everything that the process waits for; what comes back is a new process with
 * another name in the history, as after any restart.
 */
import type { Prng } from "../../../src/base/prng.ts";
import type { ClientEnvironment } from "../../../src/client/environment.ts";
import type { HistoryWriter } from "../../history/format.ts";
import type { SimNetwork } from "../world/sim-network.ts";
import { SimNode } from "../world/sim-node.ts";
import { createIncarnation } from "../world/sim-ports.ts";
import { describe, type World } from "../world/world.ts";
import { SimTransport } from "./sim-transport.ts";

/** One life of a client. */
export interface ClientLife {
  /** Its name in the history: of the machine, and which life of it. */
  readonly process: string;
  readonly environment: ClientEnvironment;
  readonly prng: Prng;
  /** Settles after so many virtual ms; never, if the process has ended. */
  sleep(ms: number): Promise<void>;
  /** Asked to end in order: close what is open and return. */
  readonly ending: boolean;
}

export interface ClientMachineOptions {
  readonly world: World;
  readonly network: SimNetwork;
  readonly history: HistoryWriter;
  readonly prng: Prng;
  /** Also its host name. */
  readonly name: string;
  /** What one process does, from its start to its end. */
  readonly live: (life: ClientLife) => Promise<void>;
}

const RESTART_MS = [10, 1_500] as const;

export class ClientMachine {
  readonly node: SimNode;
  readonly #options: ClientMachineOptions;
  #ending = false;
  #process = "";

  constructor(options: ClientMachineOptions) {
    const { world, network, name, prng } = options;
    this.#options = options;
    this.node = new SimNode({ world, name, prng: prng.fork("node") });
    network.attach(this.node);
  }

  get running(): boolean {
    return this.node.incarnation !== undefined;
  }

  start(): void {
    if (this.#ending || this.running) return;
    const { live, name, network, prng, world } = this.#options;
    const { incarnation, ports } = createIncarnation(this.node, network);
    const { clock, codecs, random, timers } = ports;
    const transport = new SimTransport({ network: ports.network, timers });
    this.#process = `${name}.${incarnation.life}`;
    const machine = this;
    const life: ClientLife = {
      process: this.#process,
      environment: { clock, timers, random, codecs, transport },
      prng: prng.fork(this.#process),
      sleep: (ms) => timers.sleep(ms),
      get ending() {
        return machine.#ending;
      },
    };
    live(life).then(
      () => {
        if (!incarnation.alive) return;
        this.node.exit();
        if (!this.#ending) this.#startLater();
      },
      (thrown: unknown) => {
        if (incarnation.alive) world.fail("a client runs", `${name}: ${describe(thrown)}`);
      },
    );
  }

  /** Ends the process without a word; it comes back by itself. */
  crash(): void {
    if (!this.running) return;
    const { history, world } = this.#options;
    world.note(`${this.#process} crashes`);
    this.node.crash();
    history.write({ p: this.#process, type: "info", f: "crash" });
    if (!this.#ending) this.#startLater();
  }

  /** Stands still for so long, and does not know of it. */
  freeze(durationMs: number): void {
    const { network, world } = this.#options;
    if (!this.running || this.node.paused) return;
    world.note(`${this.#process} is frozen for ${durationMs} ms`);
    this.node.pause();
    network.nodePaused(this.node);
    world.schedule(durationMs, `${this.node.name} goes on`, () => this.thaw());
  }

  thaw(): void {
    if (this.node.paused) this.node.resume();
  }

  /** Lets the process come to an end; it is not started again. */
  end(): void {
    this.#ending = true;
  }

  #startLater(): void {
    const { name, prng, world } = this.#options;
    world.schedule(prng.between(...RESTART_MS), `${name} starts again`, () => this.start());
  }
}
