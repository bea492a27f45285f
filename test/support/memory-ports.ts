/**
 * Working ports in memory for unit tests: the simulator's twins on one machine, without faults.
 *
 * Time is virtual. Either the test moves it (`world.runFor`, `world.settle(promise)`), or it runs
 * by itself (`auto`), jumping to the next event whenever all that could run has run, so that a
 * test simply awaits what it calls.
 */

import { Prng } from "../../src/base/prng.ts";
import type { Ports } from "../../src/ports/ports.ts";
import type { SimMeter } from "../sim/world/sim-meter.ts";
import { SimNetwork } from "../sim/world/sim-network.ts";
import { type LogLine, SimNode } from "../sim/world/sim-node.ts";
import { createIncarnation, type SimLife } from "../sim/world/sim-ports.ts";
import { World } from "../sim/world/world.ts";

export interface MemoryPortsOptions {
  /** Default 1. */
  readonly seed?: number;
  /** Default true. */
  readonly auto?: boolean;
  /** Also the host name; default "node-1". */
  readonly name?: string;
  /** Share these to put several machines into one world. */
  readonly world?: World;
  readonly network?: SimNetwork;
}

export interface MemoryPorts {
  /** Of the present life; `restart` replaces them. */
  readonly ports: Ports;
  readonly meter: SimMeter;
  readonly world: World;
  readonly network: SimNetwork;
  readonly node: SimNode;
  readonly logs: readonly LogLine[];
  /** Reasons given to `fatal`. */
  readonly fatals: readonly string[];
  /** Ends the present life and begins the next on the same disk. Default: a process crash. */
  restart(how?: "crash" | "power loss"): Ports;
  /** Stops the automatic clock. */
  dispose(): void;
}

export function createMemoryPorts(options: MemoryPortsOptions = {}): MemoryPorts {
  const world = options.world ?? new World(options.seed ?? 1);
  const network = options.network ?? new SimNetwork(world, new Prng(options.seed ?? 1));
  const name = options.name ?? "node-1";
  const node = new SimNode({ world, name, prng: world.prng.fork(name) });
  network.attach(node);
  const logs: LogLine[] = [];
  const fatals: string[] = [];
  node.onLog = (line) => logs.push(line);
  node.onFatal = (reason) => fatals.push(reason);
  let life: SimLife = createIncarnation(node, network);
  const stop = (options.auto ?? true) && options.world === undefined ? world.startAuto() : () => {};
  return {
    get ports() {
      return life.ports;
    },
    get meter() {
      return life.meter;
    },
    world,
    network,
    node,
    logs,
    fatals,
    restart(how = "crash") {
      if (how === "crash") node.crash();
      else node.losePower();
      life = createIncarnation(node, network);
      return life.ports;
    },
    dispose: stop,
  };
}
