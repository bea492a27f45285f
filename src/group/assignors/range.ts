/**
 * Each topic by itself: consecutive partitions to its members in order, one more to the first ones
 * if it does not come out even. Topics with as many partitions thus meet in the same members.
 */
import {
  AssignmentBuilder,
  type Assignments,
  type Assignor,
  type AssignorMember,
  inOrder,
  type PartitionCounts,
  subscribedTopicsOf,
} from "./assignor.ts";

export const RANGE: Assignor = {
  name: "range",
  protocol: "eager",
  assign: assignRanges,
  userData: () => null,
};

function assignRanges(counts: PartitionCounts, members: readonly AssignorMember[]): Assignments {
  const builder = new AssignmentBuilder(members);
  const ordered = inOrder(members);
  for (const topic of subscribedTopicsOf(counts, members)) {
    const consumers = ordered.filter(({ subscription }) => subscription.topics.includes(topic));
    const count = counts.get(topic) ?? 0;
    const each = Math.floor(count / consumers.length);
    const more = count % consumers.length;
    let partition = 0;
    consumers.forEach(({ memberId }, index) => {
      const end = partition + each + (index < more ? 1 : 0);
      for (; partition < end; partition++) builder.add(memberId, topic, partition);
    });
  }
  return builder.finish();
}
