/** What the active controller tells people about changes that it made: log lines and counters. */
import type { MetadataImage } from "../metadata/image.ts";
import type { MetadataRecord, PartitionChangeRecord } from "../metadata/records.ts";
import { NONE } from "../model/ids.ts";
import type { Ports } from "../ports/ports.ts";

/** Leader changes of one proposal that get a line each; a dead broker may have led thousands. */
const LINES_MAX = 50;

export function reportChanges(
  ports: Pick<Ports, "logger" | "meter">,
  image: MetadataImage,
  records: readonly MetadataRecord[],
): void {
  let leadersCount = 0;
  for (const record of records) {
    if (record.type !== "partition-change" || record.leader === undefined) continue;
    leadersCount++;
    if (record.unclean === true) {
      ports.meter.count("kafka_controller_controllerstats_uncleanleaderelections_total", {}, 1);
    }
    if (record.unclean === true || leadersCount <= LINES_MAX) reportLeader(ports, image, record);
  }
  if (leadersCount > LINES_MAX) {
    ports.logger.info("more partitions have other leaders", { count: leadersCount - LINES_MAX });
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
