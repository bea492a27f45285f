/** What is known of a group, put together from its coordinator and the leaders of its partitions. */
import type {
  Admin,
  GroupDescription,
  GroupMemberDescription,
  GroupOffset,
  OffsetQuery,
  PartitionDescription,
  TopicDescription,
  TopicPartition,
} from "../client/index.ts";
import { toOttlaError } from "../model/errors.ts";

export interface GroupPartition extends TopicPartition {
  /** Null: nothing is committed. */
  readonly currentOffset: number | null;
  /** When it was committed, ms since 1970. */
  readonly committedAtMs: number | null;
  /** Null while no leader answers. */
  readonly logStartOffset: number | null;
  readonly logEndOffset: number | null;
  /** In records; null where one of the two is not known. */
  readonly lag: number | null;
  /** The member that has it. */
  readonly member: GroupMemberDescription | null;
  /** Undefined: there is no such partition, or no such topic. */
  readonly metadata: PartitionDescription | undefined;
}

export interface GroupFacts {
  readonly group: GroupDescription;
  /** Those that have an offset or a member, by topic and number. */
  readonly partitions: readonly GroupPartition[];
  /** Partitions of topics that members subscribed to. */
  readonly subscribed: readonly TopicDescription[];
  /** Topics that members subscribed to and that do not exist. */
  readonly unknownTopics: readonly string[];
}

/** Groups whose offsets are asked for at a time. */
const AT_ONCE_COUNT = 20;

/** Rejects with GROUP_ID_NOT_FOUND. */
export async function groupFacts(
  admin: Admin,
  groupIds: readonly string[],
): Promise<readonly GroupFacts[]> {
  const groups = await admin.describeGroups(groupIds);
  const topics = new Map((await admin.listTopics()).map((topic) => [topic.name, topic]));
  const offsets: (readonly GroupOffset[])[] = [];
  for (let at = 0; at < groups.length; at += AT_ONCE_COUNT) {
    const some = groups.slice(at, at + AT_ONCE_COUNT);
    const asked = some.map(({ groupId }) => admin.listGroupOffsets(groupId));
    offsets.push(...(await Promise.all(asked)));
  }
  const metadataOf = metadataIn(topics);
  const wanted = new Map<string, TopicPartition>();
  for (const [index, group] of groups.entries()) {
    for (const each of partitionsOf(group, offsets[index] ?? [])) wanted.set(keyOf(each), each);
  }
  const logs = await logOffsets(admin, [...wanted.values()], metadataOf);
  return groups.map((group, index) => factsOf(group, offsets[index] ?? [], { topics, logs }));
}

export type MetadataOf = (partition: TopicPartition) => PartitionDescription | undefined;

export function metadataIn(topics: ReadonlyMap<string, TopicDescription>): MetadataOf {
  return ({ partition, topic }) => topics.get(topic)?.partitions[partition];
}

/** Those that have an offset or a member, by topic and number. */
function partitionsOf(
  { members }: GroupDescription,
  offsets: readonly GroupOffset[],
): readonly TopicPartition[] {
  const names = new Map<string, TopicPartition>();
  for (const { partition, topic } of [...offsets, ...members.flatMap((each) => each.assignment)]) {
    names.set(keyOf({ topic, partition }), { topic, partition });
  }
  return [...names.values()].sort(byName);
}

interface Surroundings {
  readonly topics: ReadonlyMap<string, TopicDescription>;
  readonly logs: ReadonlyMap<string, LogOffsets>;
}

function factsOf(
  group: GroupDescription,
  offsets: readonly GroupOffset[],
  { logs, topics }: Surroundings,
): GroupFacts {
  const metadataOf = metadataIn(topics);
  const committed = new Map(offsets.map((each) => [keyOf(each), each]));
  const members = new Map(
    group.members.flatMap((member) => member.assignment.map((each) => [keyOf(each), member])),
  );
  const partitions = partitionsOf(group, offsets).map(({ partition, topic }): GroupPartition => {
    const key = keyOf({ topic, partition });
    const offset = committed.get(key);
    const currentOffset = offset === undefined || offset.offset < 0 ? null : offset.offset;
    const { end: logEndOffset = null, start: logStartOffset = null } = logs.get(key) ?? {};
    const lag =
      currentOffset === null || logEndOffset === null
        ? null
        : Math.max(0, logEndOffset - currentOffset);
    return {
      topic,
      partition,
      currentOffset,
      committedAtMs: currentOffset === null ? null : (offset?.commitTimestampMs ?? null),
      logStartOffset,
      logEndOffset,
      lag,
      member: members.get(key) ?? null,
      metadata: metadataOf({ topic, partition }),
    };
  });
  const wantedTopics = [...new Set(group.members.flatMap((member) => member.topics))].sort();
  const subscribed = wantedTopics.flatMap((name) => topics.get(name) ?? []);
  const unknownTopics = wantedTopics.filter((name) => !topics.has(name));
  return { group, partitions, subscribed, unknownTopics };
}

export interface LogOffsets {
  readonly start: number;
  readonly end: number;
}

/**
 * Starts and ends of the logs that have a leader which answers: a partition without one must not
 * keep the others from being shown.
 */
export async function logOffsets(
  admin: Admin,
  partitions: readonly TopicPartition[],
  metadataOf: MetadataOf,
): Promise<ReadonlyMap<string, LogOffsets>> {
  const byLeader = new Map<number, TopicPartition[]>();
  for (const { partition, topic } of partitions) {
    const leader = metadataOf({ topic, partition })?.leader ?? -1;
    if (leader < 0) continue;
    const led = byLeader.get(leader) ?? [];
    led.push({ topic, partition });
    byLeader.set(leader, led);
  }
  const found = new Map<string, LogOffsets>();
  const calls = [...byLeader.values()].flatMap((led) =>
    Array.from({ length: Math.ceil(led.length / PER_CALL_COUNT) }, (_, index) =>
      led.slice(index * PER_CALL_COUNT, (index + 1) * PER_CALL_COUNT),
    ),
  );
  await Promise.all(
    calls.map(async (led) => {
      try {
        const ask = (offset: OffsetQuery["offset"]) =>
          admin.listOffsets(
            led.map((each) => ({ ...each, offset })),
            { timeoutMs: LEADER_MS },
          );
        const [starts, ends] = await Promise.all([ask("beginning"), ask("end")]);
        for (const [index, each] of led.entries()) {
          const start = starts[index]?.offset;
          const end = ends[index]?.offset;
          if (start !== undefined && end !== undefined) found.set(keyOf(each), { start, end });
        }
      } catch (thrown) {
        const { code, retriable } = toOttlaError(thrown);
        if (!retriable && code !== "NO_BROKER_REACHABLE") throw thrown;
      }
    }),
  );
  return found;
}

/** A leader that is on its way is waited for so long; the table shows `-` then. */
const LEADER_MS = 5_000;
const PER_CALL_COUNT = 1_000;

export function keyOf({ partition, topic }: TopicPartition): string {
  return `${topic}:${partition}`;
}

function byName(left: TopicPartition, right: TopicPartition): number {
  if (left.topic !== right.topic) return left.topic < right.topic ? -1 : 1;
  return left.partition - right.partition;
}
