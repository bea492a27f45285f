/** Every invariant that a run of the cluster checks after each event that could have broken it. */
import { recordsToImage } from "../../../src/metadata/delta.ts";
import { decodeRecords } from "../../../src/metadata/record-codec.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";
import { partitionMetadata } from "./c-partition-metadata.ts";
import { noDuplicates } from "./i2-no-duplicates.ts";
import { noAcknowledgedLoss } from "./p1-no-acknowledged-loss.ts";
import { committedImmutable } from "./p2-committed-immutable.ts";
import { logMatching } from "./p3-log-matching.ts";
import { quorumInvariants } from "./quorum.ts";
import { controllerHistory } from "./r20-controller-history.ts";
import { uniqueIds } from "./r21-unique-ids.ts";

export function allInvariants(context: RunContext): readonly Invariant[] {
  return [
    ...quorumInvariants(context, {
      load: ({ index, term, bytes }) => recordsToImage(decodeRecords(bytes), index, term),
    }),
    controllerHistory(context),
    uniqueIds(context),
    partitionMetadata(context),
    noAcknowledgedLoss(context),
    committedImmutable(context),
    logMatching(context),
    noDuplicates(context),
  ];
}
