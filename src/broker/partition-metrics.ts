/**
 * What a broker shows of its replicas. A partition is shown by its leader alone, so that sums over
 * brokers are right; what is the replica's own (`kafka_log_log_*`) by each. Thousands of replicas
 * are shown in slices, and at most so many series.
 */
import { LIMITS } from "../model/limits.ts";
import type { SetGauge } from "../ports/meter.ts";
import type { Ports } from "../ports/ports.ts";
import { effectiveMinIsr, type LeaderReplica } from "../runtime/leader-replica.ts";
import type { ReplicaHost } from "../runtime/replica-host.ts";
import type { Logs, PartitionLog } from "../storage/log.ts";
import { TimeSlices } from "./time-slices.ts";

type ShownReplica = Pick<
  ReplicaHost,
  "assignment" | "follower" | "leader" | "log" | "name" | "offline"
>;

export interface PartitionMetricsOptions {
  readonly replicas: { hosts(): Iterable<ShownReplica> };
  readonly logs: Pick<Logs, "directoryOf">;
}

/** Ends, size and segments of the local log. */
const LOG_SERIES_COUNT = 4;
/** What is shown of a partition that is led here, and of each of its followers. */
const LED_SERIES_COUNT = 10;
const FOLLOWER_SERIES_COUNT = 2;

export async function showPartitions(
  set: SetGauge,
  ports: Pick<Ports, "clock" | "timers">,
  { logs, replicas }: PartitionMetricsOptions,
): Promise<void> {
  const slices = new TimeSlices(ports);
  const shown = new Shown(set, ports.clock.monotonicMs());
  const offlineDirectories = new Set<string>();
  for (const host of replicas.hosts()) {
    shown.add(host);
    if (host.offline) {
      const directory = logs.directoryOf(host.name);
      if (directory !== undefined) offlineDirectories.add(directory);
    }
    if (slices.due) await slices.pause();
  }
  shown.sums();
  set("kafka_log_logmanager_offlinelogdirectorycount", {}, offlineDirectories.size);
}

class Shown {
  readonly #set: SetGauge;
  readonly #nowMs: number;
  #seriesCount = 0;
  #droppedCount = 0;
  #partitions = 0;
  #leaders = 0;
  #offline = 0;
  #underReplicated = 0;
  #underMinIsr = 0;
  #atMinIsr = 0;
  #reassigning = 0;
  #maxLag = 0;
  #queuedBytes = 0;
  #producesWaiting = 0;
  #deletesWaiting = 0;

  constructor(set: SetGauge, nowMs: number) {
    this.#set = set;
    this.#nowMs = nowMs;
  }

  add(host: ShownReplica): void {
    this.#partitions++;
    if (host.offline) this.#offline++;
    const { follower, leader, log } = host;
    if (log !== undefined) {
      this.#queuedBytes += log.queuedBytes;
      if (this.#takes(LOG_SERIES_COUNT)) this.#log(host, log);
    }
    if (follower !== undefined) this.#maxLag = Math.max(this.#maxLag, follower.lagRecords);
    if (leader !== undefined) this.#leader(host, leader);
  }

  sums(): void {
    const set = this.#set;
    set("kafka_server_replicamanager_leadercount", {}, this.#leaders);
    set("kafka_server_replicamanager_partitioncount", {}, this.#partitions);
    set("kafka_server_replicamanager_underreplicatedpartitions", {}, this.#underReplicated);
    set("kafka_server_replicamanager_underminisrpartitioncount", {}, this.#underMinIsr);
    set("kafka_server_replicamanager_atminisrpartitioncount", {}, this.#atMinIsr);
    set("kafka_server_replicamanager_reassigningpartitions", {}, this.#reassigning);
    set("kafka_server_replicamanager_offlinereplicacount", {}, this.#offline);
    set("kafka_server_replicafetchermanager_maxlag", { clientId: "Replica" }, this.#maxLag);
    const waiting = "kafka_server_delayedoperationpurgatory_purgatorysize";
    set(waiting, { delayedOperation: "Produce" }, this.#producesWaiting);
    set(waiting, { delayedOperation: "DeleteRecords" }, this.#deletesWaiting);
    set("ottla_storage_queued_bytes", {}, this.#queuedBytes);
    set("ottla_partition_series_dropped", {}, this.#droppedCount);
  }

  #takes(count: number): boolean {
    const fits = this.#seriesCount + count <= LIMITS.partitionSeriesCount;
    if (fits) this.#seriesCount += count;
    else this.#droppedCount += count;
    return fits;
  }

  #log({ name: { topic, partition } }: ShownReplica, log: PartitionLog): void {
    const labels = { topic, partition };
    this.#set("kafka_log_log_logendoffset", labels, log.logEndOffset);
    this.#set("kafka_log_log_logstartoffset", labels, log.logStartOffset);
    this.#set("kafka_log_log_size", labels, log.sizeBytes);
    this.#set("kafka_log_log_numlogsegments", labels, log.segmentsCount);
  }

  #leader({ assignment, name: { topic, partition } }: ShownReplica, leader: LeaderReplica): void {
    const set = this.#set;
    const { config, state } = assignment;
    const replicasCount = state.replicas.length;
    const isrCount = leader.isr.length;
    const isUnderReplicated = isrCount < replicasCount;
    const isAtMinIsr = isrCount === effectiveMinIsr(config, state);
    this.#leaders++;
    if (isUnderReplicated) this.#underReplicated++;
    if (leader.underMinIsr) this.#underMinIsr++;
    if (isAtMinIsr) this.#atMinIsr++;
    if (state.adding.length + state.removing.length > 0) this.#reassigning++;
    this.#producesWaiting += leader.waiting.producesCount;
    this.#deletesWaiting += leader.waiting.deletesCount;
    const followersCount = replicasCount - 1;
    if (!this.#takes(LED_SERIES_COUNT + FOLLOWER_SERIES_COUNT * followersCount)) return;
    const labels = { topic, partition };
    set("kafka_topic_partition_current_offset", labels, leader.highWatermark);
    set("kafka_topic_partition_oldest_offset", labels, leader.log.logStartOffset);
    set("kafka_topic_partition_leader", labels, state.leader);
    set("kafka_topic_partition_replicas", labels, replicasCount);
    set("kafka_topic_partition_in_sync_replica", labels, isrCount);
    const isPreferred = state.replicas[0] === state.leader;
    set("kafka_topic_partition_leader_is_preferred", labels, isPreferred ? 1 : 0);
    set("kafka_topic_partition_under_replicated_partition", labels, isUnderReplicated ? 1 : 0);
    set("kafka_cluster_partition_replicascount", labels, replicasCount);
    set("kafka_cluster_partition_atminisr", labels, isAtMinIsr ? 1 : 0);
    set("kafka_cluster_partition_underminisr", labels, leader.underMinIsr ? 1 : 0);
    for (const { id, lagRecords, caughtUpMs } of leader.followers()) {
      const own = { topic, partition, follower: id };
      set("ottla_replica_lag_records", own, lagRecords);
      const seconds = lagRecords === 0 ? 0 : Math.max(0, this.#nowMs - caughtUpMs) / 1_000;
      set("ottla_replica_lag_seconds", own, seconds);
    }
  }
}
