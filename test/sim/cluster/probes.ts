/**
 * Rare paths by name: what a campaign must have seen happen before its silence means anything
 * (FoundationDB's coverage probes). All are detected from outside, by `probe-taps.ts`: in log lines,
 * messages, metadata and on disks, never by code in the product. A campaign reports those that it
 * never took.
 */
export interface Probe {
  /** In kebab-case; unique. */
  readonly name: string;
  /** A line that the broker logs on the path; for paths that show in no other way. */
  readonly logged?: RegExp;
}

export const PROBES = [
  // Processes and disks.
  { name: "broker-could-not-start", logged: undefined },
  { name: "disk-full-noticed", logged: /^disk is full: nothing is appended/ },
  { name: "disk-has-room-again", logged: /^disk has room again/ },
  { name: "replica-offline-by-storage-error", logged: /^a storage error took a replica offline/ },
  {
    name: "replica-leaves-isr-for-full-disk",
    logged: /^a replica leaves the ISR because its disk/,
  },
  { name: "log-cut-above-mark", logged: /^log cut at a defect above its durable mark/ },
  { name: "log-not-closed-in-order", logged: /^a log (?:directory )?was not closed in order/ },
  { name: "replica-quarantined", logged: /^replica quarantined/ },
  { name: "log-not-verified", logged: /^a log could not be verified/ },
  { name: "marks-damaged", logged: /^durable marks are damaged/ },
  { name: "raft-disk-hangs", logged: /^The disk of the metadata log hangs/ },
  { name: "raft-log-lost-its-tail", logged: /^The metadata log lost its tail/ },
  { name: "metadata-snapshot-damaged", logged: /^A snapshot of the metadata is damaged/ },
  // Sessions and the controller.
  { name: "broker-fenced", logged: /^fencing a broker/ },
  { name: "broker-unfenced", logged: /^unfencing a broker/ },
  { name: "controlled-shutdown-moves-leaders", logged: /^moving leaders away from a broker/ },
  { name: "stop-without-consent", logged: /^stopping without the controller's consent/ },
  { name: "controller-resigned", logged: /^this node is no longer the active controller/ },
  { name: "controller-stalled", logged: /^the event loop was stalled/ },
  { name: "controller-change-not-made", logged: /^a change was not made/ },
  { name: "session-ended-for-what-it-sent", logged: /^a session was ended because/ },
  { name: "voter-replaced", logged: /^a voter came back with another directory/ },
  { name: "isr-change-unanswered", logged: /^no answer to an ISR change/ },
  { name: "partition-without-leader", logged: /^a partition has no leader/ },
  { name: "unclean-election", logged: /^unclean election/ },
  // Replicas.
  { name: "log-changed-to-follow", logged: /^the log is changed to follow the leader/ },
  { name: "fetched-batch-refused", logged: /^a fetched batch was refused/ },
  { name: "replica-removed", logged: /^a replica that is not assigned here is removed/ },
] as const satisfies readonly { readonly name: string; readonly logged: RegExp | undefined }[];

export type ProbeName = (typeof PROBES)[number]["name"];
