/** What the checks of one key share. */
import type { MayBeGone } from "../compaction.ts";
import type { Findings } from "../findings.ts";
import type { KeyOrder } from "../key-order.ts";
import type { Removals } from "../removals.ts";
import type { FinalRead, KeyTable } from "../tables.ts";

export interface KeyCheck {
  readonly key: KeyTable;
  readonly order: KeyOrder;
  readonly removals: Removals;
  /** The last final read, when it is ok and covers this key. */
  readonly final: FinalRead | undefined;
  readonly findings: Findings;
  readonly processNames: readonly string[];
  readonly allowed: AllowedCounts;
  /** A reader may have asked a leader that was cut off. */
  readonly staleLeaders: boolean;
  /** By compaction. */
  readonly mayBeGone: MayBeGone;
  /** The log may end behind its last record. */
  readonly isCompacted: boolean;
  /** By position: some reader passed over it, though it cannot be gone. Written by the check of polls. */
  readonly passed: Uint8Array;
}

/** What Kafka's model allows, and a person may want to know. */
export interface AllowedCounts {
  /** Values sent without idempotence that stand in the log more than once. */
  duplicates: number;
  /** Sends without idempotence that overtook one another. */
  reorderedSends: number;
  /** Acknowledged with acks 0 or 1, never read though the final read is complete. */
  lostWithWeakAcks: number;
  /** Below a promised log start, from a leader that may have been cut off. */
  staleReads: number;
}

export function nameOf({ key }: KeyCheck, value: number): string {
  return key.sent.names[value] ?? "";
}
