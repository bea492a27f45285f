/** What the active controller shows of the whole cluster; the others show that they are not active. */
import type { MetadataImage } from "../metadata/image.ts";
import { NONE } from "../model/ids.ts";
import type { SetGauge } from "../ports/meter.ts";

export function showCluster(set: SetGauge, { brokers, topics }: MetadataImage): void {
  let partitionsCount = 0;
  let offlineCount = 0;
  let imbalancedCount = 0;
  for (const { partitions } of topics.values()) {
    partitionsCount += partitions.length;
    for (const { leader, replicas } of partitions) {
      if (leader === NONE) offlineCount++;
      if (leader !== replicas[0]) imbalancedCount++;
    }
  }
  let fencedCount = 0;
  for (const { fenced } of brokers.values()) if (fenced) fencedCount++;
  const activeCount = brokers.size - fencedCount;
  set("kafka_controller_kafkacontroller_activebrokercount", {}, activeCount);
  set("kafka_controller_kafkacontroller_fencedbrokercount", {}, fencedCount);
  set("kafka_controller_kafkacontroller_globaltopiccount", {}, topics.size);
  set("kafka_controller_kafkacontroller_globalpartitioncount", {}, partitionsCount);
  set("kafka_controller_kafkacontroller_offlinepartitionscount", {}, offlineCount);
  set("kafka_controller_kafkacontroller_preferredreplicaimbalancecount", {}, imbalancedCount);
}
