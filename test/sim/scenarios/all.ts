/** Every scenario, in the order in which they are told. */
import { bitFlip } from "./bit-flip.ts";
import { cleanFlag } from "./clean-flag.ts";
import { clockJump } from "./clock-jump.ts";
import { commitThatNobodyHas, coordinatorDiesInARebalance } from "./coordinator-dies.ts";
import { corruptedSnapshot } from "./corrupted-snapshot.ts";
import { cleaningBelowHighWatermark, crashAmidACleaning } from "./crash-amid-a-cleaning.ts";
import { crashLoop } from "./crash-loop.ts";
import { divergentAfterPowerLoss } from "./divergent-after-power-loss.ts";
import { failedSync } from "./failed-sync.ts";
import { fastFailover } from "./fast-failover.ts";
import { fullDisk } from "./full-disk.ts";
import { GOLDEN } from "./golden.ts";
import { highWatermarkBelowMinIsr } from "./high-watermark-below-min-isr.ts";
import { highWatermarkTruncation } from "./high-watermark-truncation.ts";
import { hungController } from "./hung-controller.ts";
import { hungDisk } from "./hung-disk.ts";
import { hungFollowerDisks } from "./hung-follower-disks.ts";
import { idempotence } from "./idempotence.ts";
import { idleProducer } from "./idle-producer.ts";
import { impersonation } from "./impersonation.ts";
import { isolatedLeader } from "./isolated-leader.ts";
import { isrChangeUnderWay } from "./isr-change-under-way.ts";
import { isrProposalRefusals } from "./isr-proposal-refusals.ts";
import { joinBeforeEpochStart } from "./join-before-epoch-start.ts";
import { joinWhileBehind } from "./join-while-behind.ts";
import { kafkaDoor } from "./kafka-door.ts";
import { lastReplicaStanding } from "./last-replica-standing.ts";
import { leaderWithoutFollowers } from "./leader-without-followers.ts";
import { lostMetadataTail } from "./lost-metadata-tail.ts";
import { lostTail } from "./lost-tail.ts";
import { offsetsOfALiveGroup } from "./offsets-of-a-live-group.ts";
import { oneWayVoter } from "./one-way-voter.ts";
import { partialPartition } from "./partial-partition.ts";
import { powerLossEverywhere } from "./power-loss-everywhere.ts";
import { producerIdBlocks } from "./producer-id-blocks.ts";
import { readBound } from "./read-bound.ts";
import { reassignmentGivenUp, reassignmentUnderDeaths } from "./reassignment.ts";
import { rebalanceStorm } from "./rebalance-storm.ts";
import { rebornBroker } from "./reborn-broker.ts";
import { recreatedTopic } from "./recreated-topic.ts";
import { retentionBelowHighWatermark } from "./retention-below-high-watermark.ts";
import { retryAfterTruncation } from "./retry-after-truncation.ts";
import type { Scenario } from "./scenario.ts";
import { sdkProducer } from "./sdk-producer.ts";
import { slowDisks } from "./slow-disks.ts";
import { staleIsrProposal } from "./stale-isr-proposal.ts";
import { stalledController } from "./stalled-controller.ts";
import { stalls } from "./stalls.ts";
import { tornLog } from "./torn-log.ts";
import { uncleanRestart } from "./unclean-restart.ts";
import { unopenedTerm } from "./unopened-term.ts";
import { voteAndPowerLoss } from "./vote-and-power-loss.ts";
import { voterReplacement } from "./voter-replacement.ts";
import { wipedEligibleReplica } from "./wiped-eligible-replica.ts";
import { wipedVoter } from "./wiped-voter.ts";
import { zombieLeader } from "./zombie-leader.ts";
import { zombieMember } from "./zombie-member.ts";

export const SCENARIOS: readonly Scenario[] = [
  highWatermarkTruncation,
  divergentAfterPowerLoss,
  fastFailover,
  zombieLeader,
  isolatedLeader,
  leaderWithoutFollowers,
  isrChangeUnderWay,
  staleIsrProposal,
  joinWhileBehind,
  joinBeforeEpochStart,
  lastReplicaStanding,
  wipedEligibleReplica,
  highWatermarkBelowMinIsr,
  uncleanRestart,
  cleanFlag,
  isrProposalRefusals,
  readBound,
  unopenedTerm,
  voterReplacement,
  wipedVoter,
  oneWayVoter,
  partialPartition,
  voteAndPowerLoss,
  lostMetadataTail,
  corruptedSnapshot,
  bitFlip,
  powerLossEverywhere,
  lostTail,
  fullDisk,
  failedSync,
  hungDisk,
  hungFollowerDisks,
  slowDisks,
  hungController,
  tornLog,
  idempotence,
  retryAfterTruncation,
  sdkProducer,
  kafkaDoor,
  idleProducer,
  producerIdBlocks,
  recreatedTopic,
  retentionBelowHighWatermark,
  crashLoop,
  stalls,
  stalledController,
  clockJump,
  rebornBroker,
  impersonation,
  zombieMember,
  rebalanceStorm,
  offsetsOfALiveGroup,
  coordinatorDiesInARebalance,
  commitThatNobodyHas,
  crashAmidACleaning,
  cleaningBelowHighWatermark,
  ...GOLDEN,
  reassignmentUnderDeaths,
  reassignmentGivenUp,
];
