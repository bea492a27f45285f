/** `ottla cluster ...` */
import type { Command } from "commander";
import type { ClusterDescription, QuorumMember } from "../client/index.ts";
import {
  type ClusterOptions,
  type OutputOptions,
  withAdmin,
  withCluster,
  withOutput,
} from "./common.ts";
import { formatTable, writeJson, writeLine } from "./output.ts";

type Options = ClusterOptions & OutputOptions;

export function registerCluster(program: Command): void {
  const cluster = program.command("cluster").description("look at the cluster as a whole");
  withOutput(
    withCluster(
      cluster
        .command("describe")
        .description("show brokers, the active controller, and the quorum's lag")
        .addHelpText(
          "after",
          `
Examples:
  $ ottla cluster describe
  $ ottla cluster describe --output json | jq .controllerId`,
        ),
    ),
  ).action(async (options: Options) => {
    const description = await withAdmin(options, (admin) => admin.describeCluster());
    if (options.output === "json") await writeJson(withLag(description));
    else await print(description);
  });
}

/** Entries of the metadata log that each member lacks, counted from the leader's end. */
function lagOf(member: QuorumMember, quorum: NonNullable<ClusterDescription["quorum"]>): number {
  const leader = quorum.voters.find(({ id }) => id === quorum.leaderId);
  return Math.max(0, (leader?.matchIndex ?? quorum.commitIndex) - member.matchIndex);
}

function withLag({ quorum, ...cluster }: ClusterDescription) {
  if (quorum === null) return { ...cluster, quorum };
  const measured = (member: QuorumMember) => ({ ...member, lag: lagOf(member, quorum) });
  const voters = quorum.voters.map(measured);
  const observers = quorum.observers.map(measured);
  return { ...cluster, quorum: { ...quorum, voters, observers } };
}

async function print(cluster: ClusterDescription): Promise<void> {
  const controller = cluster.controllerId < 0 ? "none" : cluster.controllerId;
  await writeLine(
    `ClusterId: ${cluster.clusterId}  Controller: ${controller}  MetadataVersion: ${cluster.metadataVersion}`,
  );
  const byId = [...cluster.brokers].sort((left, right) => left.id - right.id);
  const brokers = byId.map((broker) => [
    broker.id,
    broker.endpoints.map(({ name, host, port }) => `${name}://${host}:${port}`).join(" "),
    broker.rack,
    broker.fenced ? "fenced" : broker.inControlledShutdown ? "shutting down" : "alive",
    broker.brokerEpoch,
  ]);
  await writeLine("");
  await writeLine(await formatTable(["Broker", "Endpoints", "Rack", "State", "Epoch"], brokers));
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
