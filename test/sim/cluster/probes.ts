/**
 * Rare paths by name: what a campaign must have seen happen before its silence means anything
 * (coverage probes as FoundationDB has them). All are detected from outside, in log lines, messages,
 * metadata and on disks (`probe-taps.ts`), never by code in the product. A campaign reports how many
 * of its runs took each, and those that none took.
 */

/** Paths that a broker tells of in its log, by the beginning of the line; of the quorum alone. */
const LOGGED_BY_QUORUM = {
  "metadata-disk-hangs": "The disk of the metadata log hangs",
  "metadata-log-lost-its-tail": "The metadata log lost its tail",
  "metadata-snapshot-damaged": "A snapshot of the metadata is damaged",
} as const;

export const LOGGED = {
  ...LOGGED_BY_QUORUM,
  "disk-full-noticed": "disk is full: nothing is appended",
  "disk-has-room-again": "disk has room again",
  "replica-offline-by-storage-error": "a storage error took a replica offline",
  "replica-leaves-isr-for-full-disk": "a replica leaves the ISR because its disk is full",
  "log-cut-above-its-mark": "log cut at a defect above its durable mark",
  "log-not-closed-in-order": "a log was not closed in order",
  "log-directory-not-closed-in-order": "a log directory was not closed in order",
  "replica-quarantined": "replica quarantined",
  "log-not-verified": "a log could not be verified",
  "durable-marks-damaged": "durable marks are damaged",
  "controlled-shutdown-with-consent": "leaders were moved away",
  "controlled-shutdown-without-consent": "stopping without the controller's consent",
  "controller-resigned": "this node is no longer the active controller",
  "event-loop-stall-noticed": "the event loop was stalled",
  "change-of-controller-not-made": "a change was not made",
  "session-ended-for-what-it-sent": "a session was ended because of what it sent",
  "voter-replaced": "a voter came back with another directory",
  "isr-change-unanswered": "no answer to an ISR change",
  "log-changed-to-follow": "the log is changed to follow the leader",
  "fetched-batch-refused": "a fetched batch was refused",
  "replica-removed": "a replica that is not assigned here is removed",
  "replica-reports-delayed": "replicas could not be reported yet",
  "log-cleaned": "log cleaned",
  "coordinator-loaded": "groups were loaded",
  "group-records-written-later": "group records are written later",
  "groups-read-anew": "groups could not be read and are read anew",
  "cleaning-given-up": "a cleaning was given up",
} as const;

const SEEN_IN_QUORUM = [
  // Processes.
  "process-ended-while-starting",
  "broker-ended-itself",
  "whole-cluster-down",
  "core-healed-alone",
  // The metadata quorum.
  "pre-vote-refused",
  "vote-refused",
  "election-without-winner",
  "leader-steps-down-in-its-term",
  "two-quorum-leaders-at-once",
  "leadership-handed-over",
  "append-conflict",
  "metadata-log-truncated",
  "metadata-entries-lost-with-power",
  "metadata-log-compacted",
  "snapshot-sent",
  "snapshot-sent-in-pieces",
  "snapshot-installed",
  "observer-asks-for-the-log",
  "voter-set-changed",
  "entry-of-an-old-term-committed",
] as const;

const SEEN = [
  // The controller.
  "broker-fenced",
  "broker-unfenced",
  "registration-of-a-new-life",
  "clean-shutdown-recognized",
  "lost-tail-reported",
  "stale-broker-epoch-refused",
  "request-to-a-former-controller",
  "isr-change-refused",
  "isr-change-with-old-partition-epoch",
  "isr-change-of-a-fenced-leader",
  "isr-change-with-an-ineligible-replica",
  "controller-change-amid-an-isr-change",
  "replica-reported-failed",
  "producer-ids-of-two-controllers",
  // Partitions.
  "isr-shrunk",
  "isr-grown",
  "isr-shrunk-to-the-minimum",
  "isr-below-the-minimum",
  "isr-empty",
  "elr-filled",
  "election-from-isr",
  "election-from-elr",
  "partition-without-leader",
  "unclean-election",
  "leader-moved-while-in-sync",
  "two-elections-within-a-second",
  "partition-added",
  "topic-deleted",
  "topic-created-again",
  // Replication.
  "follower-truncates",
  "truncation-over-two-epochs",
  "batches-lost-with-power",
  "divergence-answered",
  "divergence-answered-twice-in-a-row",
  "fetch-refused-for-an-old-epoch",
  "fetch-refused-for-a-new-epoch",
  "fetch-refused-out-of-range",
  "fetch-refused-by-a-former-leader",
  "segment-rolled",
  "segment-deleted",
  "storage-error-and-back-in-the-isr",
  "log-started-anew-at-the-leader's-start",
  // Compaction.
  "segment-cleaned",
  "cleaned-again",
  "batch-grown",
  "batch-emptied",
  "delete-horizon-set",
  "tombstone-removed",
  "cleaned-batch-copied",
  "rest-of-a-grown-batch-copied",
  "start-amid-a-cleaning",
  "start-amid-a-swap",
  "leader-with-a-cleaned-log",
  // Consumer groups.
  "group-rebalanced",
  "coordinator-moved",
  "rebalance-ended-by-a-new-coordinator",
  "group-call-while-groups-are-read",
  "group-call-while-nothing-can-be-written",
  "group-call-to-a-former-coordinator",
  "told-to-join-again",
  "zombie-commit-refused",
  "old-generation-refused",
  "unknown-member-refused",
  "static-member-fenced",
  "static-member-back-without-a-rebalance",
  "group-offset-taken-up",
  // Clients.
  "not-enough-replicas",
  "not-enough-replicas-after-append",
  "produce-timed-out",
  "produce-to-a-former-leader",
  "produce-refused-by-storage",
  "out-of-order-sequence-refused",
  "unknown-producer-refused",
  "old-producer-epoch-refused",
  "retry-answered-from-producer-state",
  "retry-answered-by-another-leader",
  "acknowledged-with-the-minimum-in-sync",
  "consumer-out-of-range",
  "consumer-fenced-by-epoch",
  "consumer-ahead-of-the-leader",
  "consumer-at-a-former-leader",
  "offset-not-available",
  "offset-found-by-timestamp",
  "records-deleted",
] as const;

export type ProbeName =
  | keyof typeof LOGGED
  | (typeof SEEN_IN_QUORUM)[number]
  | (typeof SEEN)[number];

/** What a run of the quorum alone can take. */
export const QUORUM_PROBES: readonly ProbeName[] = [
  ...(Object.keys(LOGGED_BY_QUORUM) as (keyof typeof LOGGED_BY_QUORUM)[]),
  ...SEEN_IN_QUORUM,
];

export const PROBES: readonly ProbeName[] = [
  ...(Object.keys(LOGGED) as (keyof typeof LOGGED)[]),
  ...SEEN_IN_QUORUM,
  ...SEEN,
];

/** How often one run took each path. */
export class ProbeCounts {
  readonly #counts: Map<ProbeName, number>;

  /** Of what the run could take; all others are left out. */
  constructor(names: readonly ProbeName[]) {
    this.#counts = new Map(names.map((name) => [name, 0]));
  }

  readonly hit = (name: ProbeName): void => {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  };

  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }
}
