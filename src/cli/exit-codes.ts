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

export function exitCodeOf(code: ErrorCode): ExitCode {
  if (code === "UNKNOWN_SERVER_ERROR") return EXIT.BROKEN;
  // Refused by this process itself, before any cluster was asked.
  if (code === "CONFIG_UNREADABLE" || code === "INVALID_ARGUMENT") return EXIT.USAGE;
  return UNREACHABLE.has(code) ? EXIT.UNREACHABLE : EXIT.REFUSED;
}
