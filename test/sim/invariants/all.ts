/** Every invariant that a run of the cluster checks after each event that could have broken it. */
import type { Invariant, RunContext } from "../cluster/run-context.ts";
import { partitionMetadata } from "./c-partition-metadata.ts";
import { noDuplicates } from "./i2-no-duplicates.ts";
import { noAcknowledgedLoss } from "./p1-no-acknowledged-loss.ts";
import { committedImmutable } from "./p2-committed-immutable.ts";
import { logMatching } from "./p3-log-matching.ts";
import { electionSafety } from "./r1-election-safety.ts";
import { voteOnce } from "./r2-vote-once.ts";
import { raftLogMatching } from "./r6-log-matching.ts";
import { stateMachineSafety } from "./r7-state-machine-safety.ts";

export function allInvariants(context: RunContext): readonly Invariant[] {
  return [
    electionSafety(context),
    voteOnce(context),
    raftLogMatching(context),
    stateMachineSafety(context),
    partitionMetadata(context),
    noAcknowledgedLoss(context),
    committedImmutable(context),
    logMatching(context),
    noDuplicates(context),
  ];
}
