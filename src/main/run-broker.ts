/**
 * One broker as a process: wires the parts together, obeys signals, and ends with an exit code.
 * The only place that knows all of them.
 */
import { startGrpcServer } from "../api/grpc/server.ts";
import { startHttpServer } from "../api/http/server.ts";
import { createNodePorts } from "../adapters/node-ports.ts";
import { Broker } from "../broker/broker.ts";
import type { BrokerConfig } from "../model/broker-config.ts";
import { toOttlaError } from "../model/errors.ts";
import type { BrokerMessage } from "./broker-process.ts";

export interface RunBrokerOptions {
  /** End when the IPC channel to the parent process breaks. */
  readonly exitWithParent: boolean;
}

/** How often a starting broker is asked whether it is ready. */
const READY_POLL_MS = 20;
/** After a defect: time to write the log line. */
const DEFECT_EXIT_MS = 500;
/** What closing the doors may take beyond `controlled.shutdown.max.ms`. */
const STOP_SLACK_MS = 5_000;
