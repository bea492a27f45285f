/** What the active controller tells people about changes that it made: log lines and counters. */
import type { MetadataImage } from "../metadata/image.ts";
import type { MetadataRecord, PartitionChangeRecord } from "../metadata/records.ts";
import { NONE } from "../model/ids.ts";
import type { Meter } from "../ports/meter.ts";
import type { Ports } from "../ports/ports.ts";

/** Leader changes of one proposal that get a line each; a dead broker may have led thousands. */
const LINES_MAX = 50;

/** A rise from nothing is none to Prometheus: the series begin at 0. */
export function countNoElections(meter: Meter): void {
  for (const kind of ["clean", "elr", "unclean"]) {
    meter.count("ottla_controller_leader_elections_total", { kind }, 0);
  }
}

export function reportChanges(
  ports: Pick<Ports, "logger" | "meter">,
  { before, after }: { readonly before: MetadataImage; readonly after: MetadataImage },
  records: readonly MetadataRecord[],
): void {
  let leadersCount = 0;
  for (const record of records) {
    if (record.type !== "partition-change" || record.leader === undefined) continue;
    leadersCount++;
    if (record.leader !== NONE) countElection(ports, before, record);
    if (record.unclean === true || leadersCount <= LINES_MAX) reportLeader(ports, after, record);
  }
  if (leadersCount > LINES_MAX) {
    ports.logger.info("more partitions have other leaders", { count: leadersCount - LINES_MAX });
  }
}

function countElection(
  { meter }: Pick<Ports, "meter">,
  before: MetadataImage,
  { topicId, partition, leader = NONE, unclean }: PartitionChangeRecord,
): void {
  const isr = before.topics.get(topicId)?.partitions[partition]?.isr ?? [];
  const kind = unclean === true ? "unclean" : isr.includes(leader) ? "clean" : "elr";
  meter.count("ottla_controller_leader_elections_total", { kind }, 1);
  if (kind === "unclean") {
    meter.count("kafka_controller_controllerstats_uncleanleaderelections_total", {}, 1);
  } else if (kind === "elr") {
    const name = "kafka_controller_controllerstats_electionfromeligibleleaderreplicas_total";
    meter.count(name, {}, 1);
  }
}

function reportLeader(
  { logger }: Pick<Ports, "logger">,
  image: MetadataImage,
  { topicId, partition, leader, isr, unclean }: PartitionChangeRecord,
): void {
  const topic = image.topics.get(topicId);
  const fields = {
    topic: topic?.name ?? topicId,
    partition,
    leader,
    leaderEpoch: topic?.partitions[partition]?.leaderEpoch,
    isr: isr ?? topic?.partitions[partition]?.isr,
  };
  if (unclean === true) {
    logger.warn("unclean election: acknowledged records may be lost", fields);
  } else if (leader === NONE) logger.warn("a partition has no leader", fields);
  else logger.info("a partition has another leader", fields);
}
