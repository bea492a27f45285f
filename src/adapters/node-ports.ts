/** Everything that a broker process has of the world. */
import { logVerbosity, setLogVerbosity } from "@grpc/grpc-js";
import type { BrokerId } from "../model/ids.ts";
import type { Ports } from "../ports/ports.ts";
import { GrpcPeerNetwork } from "./grpc-peer-network.ts";
import { levelStores } from "./level-stores.ts";
import { nativeCodecs } from "./native-codecs.ts";
import { nodeFiles } from "./node-files.ts";
import { PinoLogger, type PinoLoggerOptions } from "./pino-logger.ts";
import { PrometheusMeter } from "./prometheus-meter.ts";
import { systemClock } from "./system-clock.ts";
import { systemRandom } from "./system-random.ts";
import { systemTimers } from "./system-timers.ts";

export interface NodePortsOptions {
  /** Stands in every line of the log, as `nodeId`. */
  readonly brokerId: BrokerId;
  /** Level and destination of the log. Default: "info", standard output. */
  readonly log?: Omit<PinoLoggerOptions, "fields">;
  /**
   * What ends a broker that cannot go on, after the reason was logged. Default: the process exits
   * with `FATAL_EXIT_CODE`.
   */
  readonly onFatal?: (reason: string, cause: unknown) => void;
}

export interface NodePorts extends Ports {
  readonly meter: PrometheusMeter;
  readonly network: GrpcPeerNetwork;
}

/** EX_SOFTWARE of sysexits.h: other than what a defect (1) or a refused configuration ends with. */
export const FATAL_EXIT_CODE = 70;

export function createNodePorts(options: NodePortsOptions): NodePorts {
  // What matters of it comes as an error too, and is logged as one line of JSON.
  setLogVerbosity(logVerbosity.NONE);
  const logger = PinoLogger.create({ ...options.log, fields: { nodeId: options.brokerId } });
  const meter = new PrometheusMeter();
  const onFatal = options.onFatal ?? (() => process.exit(FATAL_EXIT_CODE));
  return {
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    stores: levelStores,
    files: nodeFiles,
    codecs: nativeCodecs,
    network: new GrpcPeerNetwork(logger, meter),
    logger,
    meter,
    fatal: (reason, cause) => {
      logger.error("the broker cannot go on", { reason, cause });
      onFatal(reason, cause);
    },
  };
}
