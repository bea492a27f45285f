/** All partitions of all topics in a row, dealt to the members in turn. */
import {
  AssignmentBuilder,
  type Assignments,
  type Assignor,
  type AssignorMember,
  inOrder,
  type PartitionCounts,
  subscribedTopicsOf,
} from "./assignor.ts";

export const ROUND_ROBIN: Assignor = {
  name: "roundrobin",
  protocol: "eager",
  assign: deal,
  userData: () => null,
};

function deal(counts: PartitionCounts, members: readonly AssignorMember[]): Assignments {
  const builder = new AssignmentBuilder(members);
  const ordered = inOrder(members).map(({ memberId, subscription }) => ({
    memberId,
    topics: new Set(subscription.topics),
  }));
  let turn = 0;
  for (const topic of subscribedTopicsOf(counts, members)) {
    const count = counts.get(topic) ?? 0;
    for (let partition = 0; partition < count; partition++) {
      // Somebody subscribes to the topic, or it would not be here.
      while (ordered[turn % ordered.length]?.topics.has(topic) === false) turn++;
      const consumer = ordered[turn % ordered.length];
      if (consumer !== undefined) builder.add(consumer.memberId, topic, partition);
      turn++;
    }
  }
  return builder.finish();
}
