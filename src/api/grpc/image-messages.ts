/** The cluster's metadata as clients of this API see it. */
import type { LeaderHint } from "../../broker/broker-api.ts";
import type { ottla } from "../../gen/ottla.js";
import type { QuorumDescription, QuorumMember } from "../../metadata/commands.ts";
import type {
  BrokerRegistration,
  MetadataImage,
  PartitionImage,
  TopicImage,
} from "../../metadata/image.ts";
import type { Endpoint } from "../../metadata/records.ts";
import type { BrokerId } from "../../model/ids.ts";

/** Who came in by one listener is sent to the other brokers' listeners of the same name. */
function endpointOf(
  broker: BrokerRegistration | undefined,
  listenerName: string,
): Endpoint | undefined {
  return broker?.endpoints.find(({ name }) => name === listenerName);
}

/** Who leads, and where: with it a client needs no metadata call to go there. */
export function hintMessage(
  hint: LeaderHint | undefined,
  image: MetadataImage,
  listenerName: string,
): ottla.v1.LeaderHint.$Properties | null {
  if (hint === undefined) return null;
  const endpoint = endpointOf(image.brokers.get(hint.brokerId), listenerName);
  return {
    brokerId: hint.brokerId,
    leaderEpoch: hint.leaderEpoch,
    host: endpoint?.host ?? "",
    port: endpoint?.port ?? 0,
  };
}

/** Brokers without the listener cannot be reached by who came in by it. */
export function brokerMessages(
  brokers: readonly BrokerRegistration[],
  listenerName: string,
): ottla.v1.Broker.$Properties[] {
  return brokers.flatMap((broker) => {
    const endpoint = endpointOf(broker, listenerName);
    if (endpoint === undefined) return [];
    const { host, port } = endpoint;
    return [{ id: broker.id, host, port, rack: broker.rack ?? "" }];
  });
}

export function topicMessage(
  topic: TopicImage,
  live: ReadonlySet<BrokerId>,
): ottla.v1.Topic.$Properties {
  return {
    name: topic.name,
    id: topic.id,
    partitions: topic.partitions.map((partition, index) =>
      partitionMessage(index, partition, live),
    ),
  };
}

function partitionMessage(
  partition: number,
  image: PartitionImage,
  live: ReadonlySet<BrokerId>,
): ottla.v1.Partition.$Properties {
  return {
    partition,
    leader: image.leader,
    leaderEpoch: image.leaderEpoch,
    replicas: [...image.replicas],
    isr: [...image.isr],
    elr: [...image.elr],
    lastKnownElr: image.lastKnownLeader < 0 ? [] : [image.lastKnownLeader],
    offlineReplicas: image.replicas.filter((id) => !live.has(id)),
  };
}

export function clusterBrokerMessage(
  broker: BrokerRegistration,
): ottla.v1.ClusterBroker.$Properties {
  return {
    id: broker.id,
    endpoints: broker.endpoints.map(({ name, host, port }) => ({ name, host, port })),
    rack: broker.rack ?? "",
    fenced: broker.fenced,
    inControlledShutdown: broker.inControlledShutdown,
    brokerEpoch: broker.epoch,
  };
}

export function quorumMessage(quorum: QuorumDescription): ottla.v1.Quorum.$Properties {
  const member = ({ id, directoryId, matchIndex, lastContactMs }: QuorumMember) => ({
    id,
    directoryId,
    matchIndex,
    lastContactMs: Math.max(0, Math.round(lastContactMs)),
  });
  return {
    leaderId: quorum.leaderId,
    term: quorum.term,
    commitIndex: quorum.commitIndex,
    voters: quorum.voters.map(member),
    observers: quorum.observers.map(member),
  };
}
