/**
 * What a coordinator shows of its groups: members, state, committed offsets, lag. Only the broker
 * that coordinates a group shows it, so that sums over all brokers are right. Leaders elsewhere are
 * asked for their logs' ends while a scrape is under way; everything is done in slices.
 */

import type { GroupState } from "../../group/calls.ts";
import { lagRecords, lagSeconds } from "../../group/lag.ts";
import type { GroupShard, MeasuredOffset } from "../../group/shard.ts";
import type { MetadataImage } from "../../metadata/image.ts";
import { type Offset, partitionKey, type TopicId } from "../../model/ids.ts";
import { LIMITS } from "../../model/limits.ts";
import type { SetGauge } from "../../ports/meter.ts";
import type { Ports } from "../../ports/ports.ts";
import type { LogEnds, WantedPartition } from "./log-ends.ts";

export interface GroupMetricsOptions {
  readonly image: () => MetadataImage;
  /** Groups of the partitions that this broker coordinates now. */
  readonly shards: () => Iterable<MeasuredShard>;
  readonly ends: Pick<LogEnds, "refresh" | "highWatermark" | "timestamp">;
}

type MeasuredShard = Pick<GroupShard, "groupsCount" | "groupIds" | "measure">;

interface MeasuredPartition extends MeasuredOffset {
  readonly topicId: TopicId;
}

interface Measured {
  readonly groupId: string;
  readonly state: GroupState;
  readonly generation: number;
  readonly membersCount: number;
  readonly partitions: readonly MeasuredPartition[];
}

const SLICE_MS = 2;
/** Members, state, generation, largest lag in records and in seconds. */
const GROUP_SERIES_COUNT = 5;
/** Sums of offsets and lag. */
const TOPIC_SERIES_COUNT = 2;
/** Offset, lag in records and in seconds. */
const PARTITION_SERIES_COUNT = 3;

export class GroupMetrics {
  readonly #ports: Ports;
  readonly #options: GroupMetricsOptions;
  #sliceMs = 0;
  #droppedCount = 0;
  #toldOfDropped = false;

  constructor(ports: Ports, options: GroupMetricsOptions) {
    this.#ports = ports;
    this.#options = options;
  }

  register(): void {
    this.#ports.meter.onCollect((set) => this.#collect(set));
  }

  /** Without groups nothing has to be waited for. */
  #collect(set: SetGauge): void | Promise<void> {
    const shards = [...this.#options.shards()].filter(({ groupsCount }) => groupsCount > 0);
    const protocol = "classic";
    let count = 0;
    for (const { groupsCount } of shards) count += groupsCount;
    set("kafka_server_group_coordinator_metrics_group_count", { protocol }, count);
    if (count > 0) return this.#collectGroups(set, shards);
  }

  async #collectGroups(set: SetGauge, shards: readonly MeasuredShard[]): Promise<void> {
    this.#sliceMs = this.#ports.clock.monotonicMs();
    const groups = await this.#measure(set, shards);
    await this.#options.ends.refresh(wantedOf(groups));
    this.#sliceMs = this.#ports.clock.monotonicMs();
    for (const group of groups) {
      this.#show(set, group);
      await this.#slice();
    }
    if (this.#droppedCount === 0) return;
    set("ottla_consumergroup_series_dropped", {}, this.#droppedCount);
    if (this.#toldOfDropped) return;
    this.#toldOfDropped = true;
    this.#ports.logger.warn("metrics show only a part of the groups: there are too many series", {
      dropped: this.#droppedCount,
      limit: LIMITS.groupSeriesCount,
    });
  }

  /** As many groups, and of the last one as many partitions, as there may be series. */
  async #measure(set: SetGauge, shards: readonly MeasuredShard[]): Promise<readonly Measured[]> {
    const { topicIds } = this.#options.image();
    const states = new Map<GroupState, number>();
    const groups: Measured[] = [];
    let seriesCount = 0;
    this.#droppedCount = 0;
    const take = (count: number): boolean => {
      const fits = seriesCount + count <= LIMITS.groupSeriesCount;
      if (fits) seriesCount += count;
      else this.#droppedCount += count;
      return fits;
    };
    for (const shard of shards) {
      for (const groupId of shard.groupIds()) {
        const measured = shard.measure(groupId);
        if (measured === undefined) continue;
        const { state } = measured;
        states.set(state, (states.get(state) ?? 0) + 1);
        const shown = take(GROUP_SERIES_COUNT);
        const topics = new Set<string>();
        const partitions: MeasuredPartition[] = [];
        for (const one of measured.offsets()) {
          const topicId = topicIds.get(one.topic);
          if (topicId === undefined) continue;
          const isNew = !topics.has(one.topic);
          if (!take(PARTITION_SERIES_COUNT + (isNew ? TOPIC_SERIES_COUNT : 0))) continue;
          topics.add(one.topic);
          partitions.push({ ...one, topicId });
        }
        if (shown) groups.push({ groupId, ...measured, partitions });
        await this.#slice();
      }
    }
    for (const [state, count] of states) {
      set("kafka_server_group_coordinator_metrics_consumer_group_count", { state }, count);
    }
    return groups;
  }

  #show(set: SetGauge, group: Measured): void {
    const { generation, groupId, membersCount, partitions, state } = group;
    const consumergroup = groupId;
    set("kafka_consumergroup_members", { consumergroup }, membersCount);
    set("ottla_consumergroup_state", { consumergroup, state }, 1);
    set("ottla_consumergroup_generation", { consumergroup }, generation);
    const sums = new Map<string, { offset: number; lag: number }>();
    const nowMs = this.#ports.clock.wallMs();
    let maxLag: number | undefined;
    let maxSeconds: number | undefined;
    for (const one of partitions) {
      const { offset, partition, topic } = one;
      const labels = { consumergroup, topic, partition };
      const sum = sums.get(topic) ?? { offset: 0, lag: 0 };
      sums.set(topic, sum);
      sum.offset += offset;
      set("kafka_consumergroup_current_offset", labels, offset);
      const { records, seconds } = this.#lagOf(one, nowMs);
      if (records !== undefined) {
        set("kafka_consumergroup_lag", labels, records);
        sum.lag += records;
        maxLag = Math.max(maxLag ?? 0, records);
      }
      if (seconds !== undefined) {
        const inSeconds = { group: groupId, topic, partition };
        set("kafka_consumergroup_group_lag_seconds", inSeconds, seconds);
        maxSeconds = Math.max(maxSeconds ?? 0, seconds);
      }
    }
    for (const [topic, sum] of sums) {
      const labels = { consumergroup, topic };
      set("kafka_consumergroup_current_offset_sum", labels, sum.offset);
      set("kafka_consumergroup_lag_sum", labels, sum.lag);
    }
    const labels = { group: groupId };
    if (maxLag !== undefined) set("kafka_consumergroup_group_max_lag", labels, maxLag);
    if (maxSeconds !== undefined) {
      set("kafka_consumergroup_group_max_lag_seconds", labels, maxSeconds);
    }
  }

  /** Undefined where the leader has not said enough yet. */
  #lagOf(
    { offset, partition, topicId }: MeasuredPartition,
    nowMs: number,
  ): { readonly records: number | undefined; readonly seconds: number | undefined } {
    const { ends } = this.#options;
    const end = ends.highWatermark(topicId, partition);
    if (end === undefined) return { records: undefined, seconds: undefined };
    const records = lagRecords(offset, end);
    if (records === 0) return { records, seconds: 0 };
    return { records, seconds: lagSeconds(ends.timestamp(topicId, partition, offset), nowMs) };
  }

  async #slice(): Promise<void> {
    const { clock, timers } = this.#ports;
    if (clock.monotonicMs() - this.#sliceMs < SLICE_MS) return;
    await timers.yield();
    this.#sliceMs = clock.monotonicMs();
  }
}

function wantedOf(groups: readonly Measured[]): readonly WantedPartition[] {
  const wanted = new Map<string, WantedPartition & { readonly offsets: Set<Offset> }>();
  for (const { partitions } of groups) {
    for (const { offset, partition, topicId } of partitions) {
      const key = partitionKey(topicId, partition);
      const one = wanted.get(key) ?? { topicId, partition, offsets: new Set<Offset>() };
      one.offsets.add(offset);
      wanted.set(key, one);
    }
  }
  return [...wanted.values()];
}
