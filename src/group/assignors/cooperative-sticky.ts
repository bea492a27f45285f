/**
 * The sticky division for members that keep working while it changes (KIP-429): a partition that
 * goes from one member to another is left out of this assignment. Its owner sees that, gives it up
 * and joins again; only then is it the other's. So nobody has it twice (G5), and what does not move
 * never stops.
 */
import type { TopicPartitions } from "../consumer-protocol.ts";
import { FieldReader, FieldWriter } from "../fields.ts";
import type {
  Assignments,
  Assignor,
  AssignorMember,
  MemberState,
  PartitionCounts,
} from "./assignor.ts";
import { assignSticky, type Claim } from "./sticky.ts";

export const COOPERATIVE_STICKY: Assignor = {
  name: "cooperative-sticky",
  protocol: "cooperative",
  assign: assignCooperatively,
  userData: encodeGeneration,
};

interface Owner {
  readonly memberId: string;
  readonly generationId: number;
}

function assignCooperatively(
  counts: PartitionCounts,
  members: readonly AssignorMember[],
): Assignments {
  const wanted = assignSticky(counts, members, claimOf);
  const owners = new Map<string, Owner[]>();
  for (const member of members) {
    const { generationId, partitions: owned } = claimOf(member);
    for (const { topic, partitions } of owned) {
      for (const partition of partitions) {
        const key = `${topic}/${partition}`;
        const owner = { memberId: member.memberId, generationId };
        const owning = owners.get(key);
        if (owning === undefined) owners.set(key, [owner]);
        else owning.push(owner);
      }
    }
  }
  const out = new Map<string, readonly TopicPartitions[]>();
  for (const [memberId, topics] of wanted) {
    const mine = topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.filter((partition) =>
        mayHave(memberId, owners.get(`${topic}/${partition}`) ?? []),
      ),
    }));
    out.set(
      memberId,
      mine.filter(({ partitions }) => partitions.length > 0),
    );
  }
  return out;
}

/** Nobody else has it, but for those who missed that it was taken from them. */
function mayHave(memberId: string, owners: readonly Owner[]): boolean {
  const own = owners.find((owner) => owner.memberId === memberId);
  return owners.every(
    (owner) => owner === own || (own !== undefined && owner.generationId < own.generationId),
  );
}

/** Versions of the subscription without a generation have it in the user data. */
function claimOf({ subscription }: AssignorMember): Claim {
  const { ownedPartitions, generationId, userData } = subscription;
  if (generationId >= 0 || userData === null || userData.length < 4) {
    return { partitions: ownedPartitions, generationId };
  }
  return { partitions: ownedPartitions, generationId: new FieldReader(userData).int32() };
}

/** Kafka's: the generation, for readers of older subscriptions. */
function encodeGeneration({ generationId }: MemberState): Uint8Array {
  return new FieldWriter({ capacityBytes: 4 }).int32(generationId).finish();
}
