/** How `group describe` shows groups: Kafka's columns, or one object a line. */
import type { GroupFacts } from "./group-facts.ts";
import { formatTable, note, type OutputFormat, writeJson, writeLine } from "./output.ts";

export type DescribeView = "offsets" | "members" | "state";

const NOTHING = "-";

export async function printGroups(
  groups: readonly GroupFacts[],
  view: DescribeView,
  output: OutputFormat,
): Promise<void> {
  const { json, table } = VIEWS[view];
  for (const [index, facts] of groups.entries()) {
    if (output === "json") {
      for (const each of json(facts)) await writeJson(each);
      continue;
    }
    const { head, rows } = table(facts);
    tellOf(facts, view);
    if (rows.length === 0) continue;
    if (index > 0) await writeLine("");
    await writeLine(await formatTable(head, rows));
  }
}

/** What a table without rows, or with gaps in it, does not say. */
function tellOf({ group, partitions }: GroupFacts, view: DescribeView): void {
  const { groupId, members, state } = group;
  if (members.length === 0 && view !== "state")
    note(`Consumer group ${groupId} has no active members.`);
  if (state === "PreparingRebalance" || state === "CompletingRebalance") {
    note(`Consumer group ${groupId} is rebalancing.`);
  }
  if (view === "offsets" && partitions.length === 0) {
    note(`Consumer group ${groupId} has no committed offsets.`);
  }
}

type Row = readonly (string | number)[];

interface View {
  readonly json: (facts: GroupFacts) => readonly object[];
  readonly table: (facts: GroupFacts) => {
    readonly head: readonly string[];
    readonly rows: readonly Row[];
  };
}

const VIEWS: Readonly<Record<DescribeView, View>> = {
  offsets: {
    json: ({ group, partitions }) =>
      partitions.map(({ currentOffset, lag, logEndOffset, member, partition, topic }) => ({
        groupId: group.groupId,
        topic,
        partition,
        currentOffset,
        logEndOffset,
        lag,
        consumerId: member?.memberId ?? null,
        host: member?.host ?? null,
        clientId: member?.clientId ?? null,
      })),
    table: ({ group, partitions }) => ({
      head: [
        "GROUP",
        "TOPIC",
        "PARTITION",
        "CURRENT-OFFSET",
        "LOG-END-OFFSET",
        "LAG",
        "CONSUMER-ID",
        "HOST",
        "CLIENT-ID",
      ],
      rows: partitions.map(({ currentOffset, lag, logEndOffset, member, partition, topic }) => [
        group.groupId,
        topic,
        partition,
        currentOffset ?? NOTHING,
        logEndOffset ?? NOTHING,
        lag ?? NOTHING,
        member?.memberId ?? NOTHING,
        member?.host ?? NOTHING,
        member?.clientId ?? NOTHING,
      ]),
    }),
  },
  members: {
    json: ({ group }) =>
      group.members.map(({ assignment, clientId, groupInstanceId, host, memberId, topics }) => ({
        groupId: group.groupId,
        consumerId: memberId,
        groupInstanceId,
        host,
        clientId,
        topics,
        assignment,
      })),
    table: ({ group }) => ({
      head: [
        "GROUP",
        "CONSUMER-ID",
        "GROUP-INSTANCE-ID",
        "HOST",
        "CLIENT-ID",
        "#PARTITIONS",
        "ASSIGNMENT",
      ],
      rows: group.members.map((member) => [
        group.groupId,
        member.memberId,
        member.groupInstanceId ?? NOTHING,
        member.host,
        member.clientId,
        member.assignment.length,
        assignmentText(member.assignment),
      ]),
    }),
  },
  state: {
    json: ({ group }) => [
      {
        groupId: group.groupId,
        coordinator: group.coordinator,
        assignmentStrategy: group.protocol,
        state: group.state,
        stateSince: group.stateTimestampMs < 0 ? null : group.stateTimestampMs,
        generation: group.generationId,
        members: group.members.length,
      },
    ],
    table: ({ group }) => ({
      head: ["GROUP", "COORDINATOR", "ASSIGNMENT-STRATEGY", "STATE", "GENERATION", "#MEMBERS"],
      rows: [
        [
          group.groupId,
          group.coordinator,
          group.protocol || NOTHING,
          group.state,
          group.generationId,
          group.members.length,
        ],
      ],
    }),
  },
};

/** `orders(0,1) returns(2)` */
function assignmentText(
  assignment: readonly { readonly topic: string; readonly partition: number }[],
): string {
  const topics = new Map<string, number[]>();
  for (const { partition, topic } of assignment) {
    topics.set(topic, [...(topics.get(topic) ?? []), partition]);
  }
  const parts = [...topics].map(
    ([topic, partitions]) =>
      `${topic}(${partitions.sort((left, right) => left - right).join(",")})`,
  );
  return parts.length === 0 ? NOTHING : parts.join(" ");
}
