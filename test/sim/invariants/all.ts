/** Every invariant that a run of the cluster checks after each event that could have broken it. */
import { recordsToImage } from "../../../src/metadata/delta.ts";
import { decodeRecords } from "../../../src/metadata/record-codec.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";
import { partitionMetadata } from "./c-partition-metadata.ts";
import { isrMembers } from "./c3-isr-members.ts";
import { cleanElection } from "./c7-clean-election.ts";
import { alterPartition } from "./c8-alter-partition.ts";
import { registration } from "./c10-registration.ts";
import { topicIdentity } from "./c14-topic-identity.ts";
import { activeController } from "./c16-active-controller.ts";
import { oneOwner } from "./g1-one-owner.ts";
import { generations } from "./g2-generations.ts";
import { fencedMembers } from "./g3-fenced-members.ts";
import { noDuplicates } from "./i2-no-duplicates.ts";
import { retries } from "./i3-retries.ts";
import { producerState } from "./i5-producer-state.ts";
import { producerIds } from "./i7-producer-ids.ts";
import { noGrowth } from "./l10-no-growth.ts";
import { offsets } from "./o1-offsets.ts";
import { noAcknowledgedLoss } from "./p1-no-acknowledged-loss.ts";
import { committedImmutable } from "./p2-committed-immutable.ts";
import { logMatching } from "./p3-log-matching.ts";
import { servedHighWatermark } from "./p5-served-high-watermark.ts";
import { offsetsInOrder } from "./p6-offsets-in-order.ts";
import { maximalIsr } from "./p10-maximal-isr.ts";
import { leaderEpochs } from "./p11-leader-epochs.ts";
import { truncation } from "./p12-truncation.ts";
import { fencing } from "./p13-fencing.ts";
import { staleLeader } from "./p14-stale-leader.ts";
import { ackTruth } from "./p16-ack-truth.ts";
import { refusedNotAppended } from "./p18-refused-not-appended.ts";
import { compaction } from "./p20-compaction.ts";
import { storedBytes } from "./p21-bytes.ts";
import { timestamps } from "./p22-timestamps.ts";
import { oneFetcher } from "./p23-one-fetcher.ts";
import { writeFence } from "./p25-write-fence.ts";
import { quorumInvariants } from "./quorum.ts";
import { controllerHistory } from "./r20-controller-history.ts";
import { uniqueIds } from "./r21-unique-ids.ts";
import { recovery } from "./s1-recovery.ts";
import { durableReports } from "./s2-durable-reports.ts";
import { lostTail } from "./s3-lost-tail.ts";

export function allInvariants(context: RunContext): readonly Invariant[] {
  return [
    ...quorumInvariants(context, {
      load: ({ index, term, bytes }) => recordsToImage(decodeRecords(bytes), index, term),
    }),
    controllerHistory(context),
    uniqueIds(context),
    partitionMetadata(context),
    isrMembers(context),
    cleanElection(context),
    alterPartition(context),
    registration(context),
    topicIdentity(context),
    activeController(context),
    noAcknowledgedLoss(context),
    committedImmutable(context),
    logMatching(context),
    servedHighWatermark(context),
    offsetsInOrder(context),
    maximalIsr(context),
    leaderEpochs(context),
    truncation(context),
    fencing(context),
    staleLeader(context),
    ackTruth(context),
    refusedNotAppended(context),
    compaction(context),
    storedBytes(context),
    timestamps(context),
    oneFetcher(context),
    writeFence(context),
    oneOwner(context),
    generations(context),
    fencedMembers(context),
    offsets(context),
    noDuplicates(context),
    retries(context),
    producerState(context),
    producerIds(context),
    recovery(context),
    durableReports(context),
    lostTail(context),
    noGrowth(context),
  ];
}
