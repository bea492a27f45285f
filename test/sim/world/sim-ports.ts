/** All ports of one life of a process on a simulated machine. */
import type { Ports } from "../../../src/ports/ports.ts";
import { SimCodecs } from "./sim-codecs.ts";
import { SimFiles } from "./sim-files.ts";
import { SimLogger } from "./sim-logger.ts";
import { SimMeter } from "./sim-meter.ts";
import type { SimNetwork } from "./sim-network.ts";
import type { Incarnation, SimNode } from "./sim-node.ts";
import { SimRandom } from "./sim-random.ts";
import { SimStores } from "./sim-stores.ts";
import { SimClock, SimTimers } from "./sim-timers.ts";

export interface SimLife {
  readonly incarnation: Incarnation;
  readonly ports: Ports;
  readonly meter: SimMeter;
}

/**
 * Starts a process on the machine. Its ports work until `node.crash()`, `losePower()` or `exit()`:
 * from then on none of their promises settles, no timer fires and no message arrives.
 */
export function createIncarnation(node: SimNode, network: SimNetwork): SimLife {
  const incarnation = node.start();
  const meter = new SimMeter();
  const ports: Ports = {
    clock: new SimClock(incarnation),
    timers: new SimTimers(incarnation),
    random: new SimRandom(node.prng.fork(`random ${incarnation.life}`)),
    stores: new SimStores(incarnation),
    files: new SimFiles(incarnation),
    codecs: new SimCodecs(incarnation),
    network: network.port(incarnation),
    logger: new SimLogger(incarnation),
    meter,
    fatal: (reason, cause) => {
      if (!incarnation.alive) return;
      node.crash();
      node.onFatal(reason, cause);
    },
  };
  return { incarnation, ports, meter };
}
