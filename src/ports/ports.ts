import type { Clock, Timers } from "./clock.ts";
import type { Codecs } from "./codecs.ts";
import type { Files } from "./files.ts";
import type { KeyValueStores } from "./key-value-store.ts";
import type { Logger } from "./logger.ts";
import type { Meter } from "./meter.ts";
import type { PeerNetwork } from "./peer-network.ts";
import type { Random } from "./random.ts";

/**
 * All that one incarnation of a broker has of the world. A crash ends them for ever: in the
 * simulator no promise of a dead incarnation's ports settles and no timer of it fires.
 */
export interface Ports {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly stores: KeyValueStores;
  readonly files: Files;
  readonly codecs: Codecs;
  readonly network: PeerNetwork;
  readonly logger: Logger;
  readonly meter: Meter;
  /**
   * The environment cannot be survived (the metadata log cannot be written, a newer life of this
   * broker registered). The process logs and exits; in the simulator the incarnation ends.
   */
  readonly fatal: (reason: string, cause?: unknown) => void;
}
