/** The invariants of the metadata quorum, whatever state machine stands above it. */
import type { Invariant, RunContext } from "../cluster/run-context.ts";
import { electionSafety } from "./r1-election-safety.ts";
import { voteOnce } from "./r2-vote-once.ts";
import { voteDurability } from "./r3-vote-durability.ts";
import { ackDurability } from "./r4-ack-durability.ts";
import { termMonotone } from "./r5-term-monotone.ts";
import { raftLogMatching } from "./r6-log-matching.ts";
import { stateMachineSafety } from "./r7-state-machine-safety.ts";
import { leaderCompleteness } from "./r8-leader-completeness.ts";
import { leaderAppendOnly } from "./r9-leader-append-only.ts";
import { commitRule } from "./r10-commit-rule.ts";
import { commitMonotone } from "./r12-commit-monotone.ts";
import { voterChanges } from "./r13-voter-changes.ts";
import { removedVoter } from "./r14-removed-voter.ts";
import { checkQuorum } from "./r15-check-quorum.ts";
import { preVoteHarmless } from "./r16-pre-vote.ts";
import { type SnapshotsOptions, snapshots } from "./r17-snapshots.ts";
import { storageHonesty } from "./r22-storage-honesty.ts";

export function quorumInvariants(
  context: RunContext,
  options: SnapshotsOptions = {},
): readonly Invariant[] {
  return [
    electionSafety(context),
    voteOnce(context),
    voteDurability(context),
    ackDurability(context),
    termMonotone(context),
    raftLogMatching(context),
    stateMachineSafety(context),
    leaderCompleteness(context),
    leaderAppendOnly(context),
    commitRule(context),
    commitMonotone(context),
    voterChanges(context),
    removedVoter(context),
    checkQuorum(context),
    preVoteHarmless(context),
    snapshots(context, options),
    storageHonesty(context),
  ];
}
