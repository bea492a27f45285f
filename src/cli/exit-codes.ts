import type { ErrorCode } from "../model/errors.ts";

/** What the shell is told. Stable: scripts depend on it. */
export const EXIT = {
  DONE: 0,
  /** A defect of Ottla itself. */
  BROKEN: 1,
  /** The command line, or a file that it names, is wrong: nothing was asked of a cluster. */
  USAGE: 2,
  /** The cluster, or this machine, said no. */
  REFUSED: 3,
  /** No broker, or no controller, answered in time. */
  UNREACHABLE: 4,
  /** `produce`: some records were not acknowledged; `log verify`: something is damaged. */
  RECORDS_FAILED: 5,
  /** `broker`: its data directory cannot be written at all. */
  READ_ONLY: 10,
  /** `broker`: its data directory, or something in it, belongs to another user. */
  DENIED: 11,
  /** `broker`: there is no room in its data directory. */
  FULL: 12,
  /** `broker`: its data directory is another broker's, or another cluster's. */
  FOREIGN: 13,
  /** `broker`: it may not use as much memory as it needs. */
  MEMORY: 14,
  /** `broker`: its clock is far off those of the others. */
  CLOCK: 15,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const UNREACHABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "NO_BROKER_REACHABLE",
  "NO_QUORUM",
  "NETWORK_EXCEPTION",
  "BROKER_NOT_AVAILABLE",
  "LEADER_NOT_AVAILABLE",
  "COORDINATOR_NOT_AVAILABLE",
  "COORDINATOR_LOAD_IN_PROGRESS",
  "NOT_COORDINATOR",
  "NOT_CONTROLLER",
  "REQUEST_TIMED_OUT",
  "DELIVERY_TIMED_OUT",
  "SHUTTING_DOWN",
]);

const OF_BROKER: Partial<Record<ErrorCode, ExitCode>> = {
  INVALID_CONFIG: EXIT.USAGE,
  DIRECTORY_READ_ONLY: EXIT.READ_ONLY,
  DIRECTORY_DENIED: EXIT.DENIED,
  DISK_FULL: EXIT.FULL,
  DIRECTORY_FOREIGN: EXIT.FOREIGN,
  INCONSISTENT_CLUSTER_ID: EXIT.FOREIGN,
  NOT_ENOUGH_MEMORY: EXIT.MEMORY,
  CLOCK_OUT_OF_STEP: EXIT.CLOCK,
};

/** Of a broker that does not start, or cannot go on: what a supervisor can tell apart. */
export function brokerExitCodeOf(code: ErrorCode): ExitCode {
  return OF_BROKER[code] ?? exitCodeOf(code);
}

export function exitCodeOf(code: ErrorCode): ExitCode {
  if (code === "UNKNOWN_SERVER_ERROR") return EXIT.BROKEN;
  // Refused by this process itself, before any cluster was asked.
  if (code === "CONFIG_UNREADABLE" || code === "INVALID_ARGUMENT") return EXIT.USAGE;
  return UNREACHABLE.has(code) ? EXIT.UNREACHABLE : EXIT.REFUSED;
}
