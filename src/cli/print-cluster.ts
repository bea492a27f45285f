/** How `cluster describe` shows a cluster. */
import type { ClusterDescription, QuorumMember } from "../client/index.ts";
import { type BrokerTally, type PartitionTally, stateOf } from "./cluster-news.ts";
import { formatTable, writeLine } from "./output.ts";

const PLACES = ["Broker", "Endpoints", "Rack", "State", "Epoch"] as const;
const SPREAD = ["Broker", "Rack", "State", "Epoch", "Leaders", "Replicas", "InSync"] as const;

/** Entries of the metadata log that each member lacks, counted from the leader's end. */
function lagOf(member: QuorumMember, quorum: NonNullable<ClusterDescription["quorum"]>): number {
  const leader = quorum.voters.find(({ id }) => id === quorum.leaderId);
  return Math.max(0, (leader?.matchIndex ?? quorum.commitIndex) - member.matchIndex);
}

/** As `--output json` shows it. */
export function withLag({ quorum, ...cluster }: ClusterDescription) {
  if (quorum === null) return { ...cluster, quorum };
  const measured = (member: QuorumMember) => ({ ...member, lag: lagOf(member, quorum) });
  const voters = quorum.voters.map(measured);
  const observers = quorum.observers.map(measured);
  return { ...cluster, quorum: { ...quorum, voters, observers } };
}

/** With `counted` also how leaders and replicas are spread. */
export async function printCluster(
  cluster: ClusterDescription,
  counted?: PartitionTally,
): Promise<void> {
  const controller = cluster.controllerId < 0 ? "none" : cluster.controllerId;
  await writeLine(
    `ClusterId: ${cluster.clusterId}  Controller: ${controller}  MetadataVersion: ${cluster.metadataVersion}`,
  );
  const byId = [...cluster.brokers].sort((left, right) => left.id - right.id);
  const brokers = byId.map((broker) => [
    broker.id,
    // Whoever watches knows where the brokers are, and a line of the screen is short.
    ...(counted === undefined ? [addressesOf(broker)] : []),
    broker.rack,
    stateOf(broker),
    broker.brokerEpoch,
    ...(counted === undefined ? [] : spread(counted.byBroker.get(broker.id))),
  ]);
  await writeLine("");
  await writeLine(await formatTable(counted === undefined ? PLACES : SPREAD, brokers));
  if (counted !== undefined) {
    const { offlineCount, partitionsCount, underReplicatedCount } = counted;
    await writeLine("");
    await writeLine(
      `Partitions: ${partitionsCount}  UnderReplicated: ${underReplicatedCount}  Offline: ${offlineCount}`,
    );
  }
  const { quorum } = cluster;
  await writeLine("");
  if (quorum === null) {
    await writeLine("Quorum: no active controller; start a majority of the voters");
    return;
  }
  await writeLine(
    `Quorum: LeaderId: ${quorum.leaderId}  LeaderEpoch: ${quorum.term}  HighWatermark: ${quorum.commitIndex}`,
  );
  const row = (member: QuorumMember, status: string) => [
    member.id,
    member.directoryId,
    member.matchIndex,
    lagOf(member, quorum),
    member.lastContactMs,
    status,
  ];
  const members = [
    ...quorum.voters.map((each) => row(each, each.id === quorum.leaderId ? "Leader" : "Follower")),
    ...quorum.observers.map((each) => row(each, "Observer")),
  ];
  const head = ["NodeId", "DirectoryId", "LogEndOffset", "Lag", "LastContactMs", "Status"];
  await writeLine(await formatTable(head, members));
}

function addressesOf({ endpoints }: ClusterDescription["brokers"][number]): string {
  return endpoints.map(({ name, host, port }) => `${name}://${host}:${port}`).join(" ");
}

function spread(counted: BrokerTally | undefined): readonly number[] {
  const { inSync, leaders, replicas } = counted ?? { inSync: 0, leaders: 0, replicas: 0 };
  return [leaders, replicas, inSync];
}
