import type { QuorumDescription, QuorumMember } from "../metadata/commands.ts";
import type { MetadataLogStatus } from "../runtime/metadata-log.ts";

/** The quorum as its leader sees it. */
export function describeQuorum(status: MetadataLogStatus): QuorumDescription {
  const { self, leaderId, term, commitIndex } = status;
  const own: QuorumMember = { ...self, matchIndex: status.lastIndex, lastContactMs: 0 };
  const members = status.followers.map(({ node, voter, matchIndex, lastContactMs }) => ({
    voter,
    member: { ...node, matchIndex, lastContactMs },
  }));
  const byId = (left: QuorumMember, right: QuorumMember): number => left.id - right.id;
  const voters = members.filter(({ voter }) => voter).map(({ member }) => member);
  const observers = members.filter(({ voter }) => !voter).map(({ member }) => member);
  return {
    leaderId,
    term,
    commitIndex,
    voters: [own, ...voters].sort(byId),
    observers: observers.sort(byId),
  };
}
