/**
 * The cluster's metadata at one index of the log: immutable, shared freely. Only `MetadataDelta`
 * makes the next one. Equal logs give equal images on every node (C11).
 */
import type {
  BrokerEpoch,
  BrokerId,
  ClusterId,
  DirectoryId,
  IncarnationId,
  LogIndex,
  Term,
  TopicId,
} from "../model/ids.ts";
import type { Endpoint, PartitionState } from "./records.ts";

export interface BrokerRegistration {
  readonly id: BrokerId;
  readonly epoch: BrokerEpoch;
  readonly incarnationId: IncarnationId;
  readonly endpoints: readonly Endpoint[];
  readonly rack: string | null;
  readonly directories: readonly DirectoryId[];
  readonly features: readonly [number, number];
  /** A fenced broker leads nothing, is in no ISR and is not shown to clients. */
  readonly fenced: boolean;
  readonly inControlledShutdown: boolean;
}

export type PartitionImage = PartitionState;

export interface TopicImage {
  readonly id: TopicId;
  readonly name: string;
  /** The index is the partition's number. */
  readonly partitions: readonly PartitionImage[];
}

export interface MetadataImage {
  /** Index and term of the last entry applied; 0 before the first. */
  readonly index: LogIndex;
  readonly term: Term;
  /** 0 until the first record. */
  readonly metadataVersion: number;
  readonly clusterId: ClusterId | undefined;
  readonly brokers: ReadonlyMap<BrokerId, BrokerRegistration>;
  /** Highest broker epoch ever given out. */
  readonly lastBrokerEpoch: BrokerEpoch;
  readonly topics: ReadonlyMap<TopicId, TopicImage>;
  readonly topicIds: ReadonlyMap<string, TopicId>;
  /** Overrides by `topic:<name>`, `broker:<id>` and `broker:` (all brokers). */
  readonly configs: ReadonlyMap<string, ReadonlyMap<string, string>>;
  readonly nextProducerId: number;
  /** Unclean elections since the cluster began; counted so that nobody overlooks one. */
  readonly uncleanElectionsCount: number;
}

export const EMPTY_IMAGE: MetadataImage = {
  index: 0,
  term: 0,
  metadataVersion: 0,
  clusterId: undefined,
  brokers: new Map(),
  lastBrokerEpoch: 0,
  topics: new Map(),
  topicIds: new Map(),
  configs: new Map(),
  nextProducerId: 0,
  uncleanElectionsCount: 0,
};

export function topicByName(image: MetadataImage, name: string): TopicImage | undefined {
  const id = image.topicIds.get(name);
  return id === undefined ? undefined : image.topics.get(id);
}
