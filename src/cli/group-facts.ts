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

/** Rejects with GROUP_ID_NOT_FOUND. */
export async function groupFacts(
  admin: Admin,
  groupIds: readonly string[],
): Promise<readonly GroupFacts[]> {
  const groups = await admin.describeGroups(groupIds);
  const topics = new Map((await admin.listTopics()).map((topic) => [topic.name, topic]));
  const facts: GroupFacts[] = [];
  for (const group of groups) {
    const offsets = await admin.listGroupOffsets(group.groupId);
    facts.push(await factsOf(admin, group, offsets, topics));
  }
  return facts;
}

async function factsOf(
  admin: Admin,
  group: GroupDescription,
  offsets: readonly GroupOffset[],
  topics: ReadonlyMap<string, TopicDescription>,
): Promise<GroupFacts> {
  const names = new Map<string, TopicPartition>();
  const members = new Map<string, GroupMemberDescription>();
  const committed = new Map<string, GroupOffset>();
  for (const each of offsets) {
    names.set(keyOf(each), each);
    committed.set(keyOf(each), each);
  }
  for (const member of group.members) {
    for (const each of member.assignment) {
      names.set(keyOf(each), each);
      members.set(keyOf(each), member);
    }
  }
  const wanted = [...names.values()].sort(byName);
  const metadataOf = ({ partition, topic }: TopicPartition) =>
    topics.get(topic)?.partitions.find((each) => each.partition === partition);
  const logs = await logOffsets(admin, wanted, metadataOf);
  const partitions = wanted.map(({ partition, topic }): GroupPartition => {
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
  metadataOf: (partition: TopicPartition) => PartitionDescription | undefined,
): Promise<ReadonlyMap<string, LogOffsets>> {
  const byLeader = new Map<number, TopicPartition[]>();
  for (const { partition, topic } of partitions) {
    const leader = metadataOf({ topic, partition })?.leader ?? -1;
    if (leader < 0) continue;
    byLeader.set(leader, [...(byLeader.get(leader) ?? []), { topic, partition }]);
  }
  const found = new Map<string, LogOffsets>();
  await Promise.all(
    [...byLeader.values()].map(async (led) => {
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

export function keyOf({ partition, topic }: TopicPartition): string {
  return `${topic}:${partition}`;
}

function byName(left: TopicPartition, right: TopicPartition): number {
  if (left.topic !== right.topic) return left.topic < right.topic ? -1 : 1;
  return left.partition - right.partition;
}
