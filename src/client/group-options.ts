/** A group consumer's options: Kafka's, in camel case. */
import { ASSIGNORS } from "../group/assignors/all.ts";
import type { Assignor } from "../group/assignors/assignor.ts";
import { OttlaError } from "../model/errors.ts";
import { LIMITS } from "../model/limits.ts";
import { RETRY_LIMITS } from "./cluster-client.ts";
import type { GroupCoreOptions } from "./core/group-core.ts";
import { integerOption } from "./options.ts";

export type AssignorName = "range" | "roundrobin" | "sticky" | "cooperative-sticky";

export interface GroupOptions {
  /** The group that the consumer is in, and whose offsets it commits. Default: none. */
  readonly groupId?: string;
  /**
   * Makes a static member (KIP-345): its restart within the session timeout moves no partition. Each
   * member needs its own.
   */
  readonly groupInstanceId?: string;
  /** How the brokers call this client: begins its member id. Default "ottla". */
  readonly clientId?: string;
  /** The group takes a silent member for dead after so many ms. Default 45,000. */
  readonly sessionTimeoutMs?: number;
  /** Default 3,000; less than `sessionTimeoutMs`. */
  readonly heartbeatIntervalMs?: number;
  /**
   * Longest time between two pulls for messages; a consumer that takes longer leaves its group, and
   * joins again with the next pull. Also how long a rebalance waits for it, and for how long what
   * an iteration has handed out keeps its partition where others go on pulling: after that it goes,
   * and the message comes again to its next owner. Default 300,000 ms.
   */
  readonly maxPollIntervalMs?: number;
  /**
   * Assignors in order of preference; all members of a group must have one in common. With
   * "cooperative-sticky" alone a rebalance stops only partitions that move; with any other in the
   * list each member gives everything up before (Kafka's rule). Default Kafka's: "range",
   * "cooperative-sticky".
   */
  readonly partitionAssignmentStrategy?: readonly AssignorName[];
  /**
   * Whether what has been processed is committed by itself: periodically, before partitions go, and
   * at the end. A message is processed when the next is asked for, or its handler is done. Default true.
   */
  readonly enableAutoCommit?: boolean;
  /** Default 5,000. */
  readonly autoCommitIntervalMs?: number;
  /** How old what is known of topics may get, in ms: new ones, and new partitions. Default 300,000. */
  readonly metadataMaxAgeMs?: number;
}

export interface ResolvedGroupOptions {
  readonly core: GroupCoreOptions;
  readonly enableAutoCommit: boolean;
  readonly autoCommitIntervalMs: number;
  readonly metadataMaxAgeMs: number;
}

const STALL_MS = 2_000;
const LONGEST_MS = 0x7fff_ffff;
const INSTANCE_ID = /^[a-zA-Z0-9._-]{1,249}$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what an id must not have
const CONTROL = /[\u0000-\u001f\u007f]/;
const DEFAULT_STRATEGY: readonly AssignorName[] = ["range", "cooperative-sticky"];

/** Checks and completes the options; undefined without a group. Throws INVALID_ARGUMENT, INVALID_GROUP_ID. */
export function groupOptions(
  options: GroupOptions,
  requestTimeoutMs: number,
): ResolvedGroupOptions | undefined {
  const { groupId } = options;
  if (groupId === undefined) {
    if (options.groupInstanceId === undefined) return undefined;
    throw invalid("groupId", "missing", "a group's id beside groupInstanceId");
  }
  checkGroupId(groupId);
  const { clientId = "ottla", groupInstanceId } = options;
  if (groupInstanceId !== undefined && !INSTANCE_ID.test(groupInstanceId)) {
    const shown = JSON.stringify(groupInstanceId.slice(0, 100));
    throw invalid("groupInstanceId", shown, "1 to 249 characters of a-z A-Z 0-9 . _ -");
  }
  if (clientId.length > LIMITS.groupIdCharacters || CONTROL.test(clientId)) {
    const allowed = `at most ${LIMITS.groupIdCharacters} characters, no control characters`;
    throw invalid("clientId", JSON.stringify(clientId.slice(0, 100)), allowed);
  }
  const sessionTimeoutMs = integerOption("sessionTimeoutMs", options.sessionTimeoutMs, 45_000, {
    min: 1,
    max: LONGEST_MS,
  });
  const heartbeatIntervalMs = integerOption(
    "heartbeatIntervalMs",
    options.heartbeatIntervalMs,
    Math.min(3_000, Math.max(1, Math.floor(sessionTimeoutMs / 3))),
    { min: 1, max: Math.max(1, sessionTimeoutMs - 1) },
  );
  const milliseconds = { min: 1, max: LONGEST_MS };
  return {
    core: {
      groupId,
      groupInstanceId: groupInstanceId ?? null,
      clientId,
      sessionTimeoutMs,
      heartbeatIntervalMs,
      maxPollIntervalMs: integerOption(
        "maxPollIntervalMs",
        options.maxPollIntervalMs,
        300_000,
        milliseconds,
      ),
      assignors: assignorsOf(options.partitionAssignmentStrategy ?? DEFAULT_STRATEGY),
      requestTimeoutMs,
      stallMs: STALL_MS,
      retry: RETRY_LIMITS,
    },
    enableAutoCommit: options.enableAutoCommit ?? true,
    autoCommitIntervalMs: integerOption(
      "autoCommitIntervalMs",
      options.autoCommitIntervalMs,
      5_000,
      milliseconds,
    ),
    metadataMaxAgeMs: integerOption(
      "metadataMaxAgeMs",
      options.metadataMaxAgeMs,
      300_000,
      milliseconds,
    ),
  };
}

function checkGroupId(groupId: string): void {
  const most = LIMITS.groupIdCharacters;
  if (groupId !== "" && groupId.length <= most && !CONTROL.test(groupId)) return;
  const shown = JSON.stringify(groupId.slice(0, 100));
  throw new OttlaError(
    "INVALID_GROUP_ID",
    `groupId is ${shown} (${groupId.length} characters), allowed are 1 to ${most} characters without control characters`,
    { field: "groupId" },
  );
}

function assignorsOf(names: readonly AssignorName[]): readonly Assignor[] {
  const assignors = [...new Set(names)].map((name) => ASSIGNORS.get(name));
  if (assignors.length > 0 && assignors.length === names.length) {
    const known = assignors.filter((each) => each !== undefined);
    if (known.length === assignors.length) return known;
  }
  const allowed = `one or more of ${[...ASSIGNORS.keys()].join(", ")}, each once`;
  throw invalid("partitionAssignmentStrategy", JSON.stringify(names), allowed);
}

function invalid(field: string, value: string, allowed: string): OttlaError {
  return new OttlaError("INVALID_ARGUMENT", `${field} is ${value}, allowed is ${allowed}`, {
    field,
  });
}
