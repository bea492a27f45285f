/** Every scenario, in the order in which they are told. */
import { divergentAfterPowerLoss } from "./divergent-after-power-loss.ts";
import { fastFailover } from "./fast-failover.ts";
import { highWatermarkBelowMinIsr } from "./high-watermark-below-min-isr.ts";
import { highWatermarkTruncation } from "./high-watermark-truncation.ts";
import { isolatedLeader } from "./isolated-leader.ts";
import { isrChangeUnderWay } from "./isr-change-under-way.ts";
import { isrProposalRefusals } from "./isr-proposal-refusals.ts";
import { lastReplicaStanding } from "./last-replica-standing.ts";
import { leaderWithoutFollowers } from "./leader-without-followers.ts";
import { readBound } from "./read-bound.ts";
import type { Scenario } from "./scenario.ts";
import { staleIsrProposal } from "./stale-isr-proposal.ts";
import { uncleanRestart } from "./unclean-restart.ts";
import { zombieLeader } from "./zombie-leader.ts";

export const SCENARIOS: readonly Scenario[] = [
  highWatermarkTruncation,
  divergentAfterPowerLoss,
  fastFailover,
  zombieLeader,
  isolatedLeader,
  leaderWithoutFollowers,
  isrChangeUnderWay,
  staleIsrProposal,
  lastReplicaStanding,
  highWatermarkBelowMinIsr,
  uncleanRestart,
  isrProposalRefusals,
  readBound,
];
