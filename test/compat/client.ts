/** What the plan asks of a client, whatever it is written in. */
import type { Compression } from "../../src/model/compression.ts";

export interface SentRecord {
  readonly key: string;
  readonly value: string;
}

export interface ReadRecord extends SentRecord {
  readonly partition: number;
  readonly offset: number;
}

export interface NewTopicRequest {
  readonly topic: string;
  readonly partitions: number;
  readonly replicationFactor: number;
}

export interface ProduceRequest {
  readonly topic: string;
  readonly codec: Compression;
  readonly idempotent: boolean;
  /** To be placed by murmur2 of the key, each partition's in this order. */
  readonly records: readonly SentRecord[];
}

export interface PartitionLag {
  readonly partition: number;
  /** The committed offset. */
  readonly committed: number;
  readonly lag: number;
}

/** A member of a group, in a process of its own. */
export interface GroupMember {
  /** What it has read so far, in the order in which it did. */
  readonly records: readonly ReadRecord[];
  /** What it said beside: for a person who looks for the cause of a failure. */
  complaints(): string;
  /** kill -9: it neither commits nor leaves. */
  kill(): Promise<void>;
  /** It commits and leaves. */
  stop(): Promise<void>;
}

/**
 * A client's calls. One that it does not have is not a method here, and `without` says why: it is
 * shown in the report, and neither passed nor failed. A method rejects with what the client said.
 */
export interface CompatClient {
  readonly name: string;
  readonly version: string;
  readonly without: Readonly<Partial<Record<CallName, string>>>;
  create?(request: NewTopicRequest): Promise<void>;
  produce(request: ProduceRequest): Promise<void>;
  /** Every partition from its beginning to `ends`, by assignment; in order by partition. */
  consume(topic: string, ends: readonly number[]): Promise<readonly ReadRecord[]>;
  /** Partition 0 from the first record that is not older, to its end. */
  consumeFromTime(topic: string, timestamp: number, end: number): Promise<readonly ReadRecord[]>;
  join(topic: string, group: string): GroupMember;
  lag?(topic: string, group: string, partitions: number): Promise<readonly PartitionLag[]>;
  /** Ids of the brokers. */
  brokers?(): Promise<readonly number[]>;
  topics?(): Promise<readonly string[]>;
  setConfig?(topic: string, name: string, value: string): Promise<void>;
  config?(topic: string, name: string): Promise<string>;
  addPartitions?(topic: string, total: number): Promise<void>;
  groups?(): Promise<readonly string[]>;
  /** The group's state as the client calls it. */
  groupState?(group: string): Promise<string>;
  deleteRecords?(topic: string, partition: number, before: number): Promise<void>;
  deleteGroup?(group: string): Promise<void>;
  deleteTopic?(topic: string): Promise<void>;
  /** What only this client can show; rejects where one does not hold. */
  readonly others?: readonly (readonly [name: string, show: (topic: string) => Promise<void>])[];
}

/** "assign" is no method: without it the client reads alone in a group that nobody else is in. */
export type CallName =
  | "assign"
  | "create"
  | "lag"
  | "brokers"
  | "topics"
  | "setConfig"
  | "config"
  | "addPartitions"
  | "groups"
  | "groupState"
  | "deleteRecords"
  | "deleteGroup"
  | "deleteTopic";

/** What a machine must have for a client, or why it has it not. */
export type Found =
  | { readonly client: CompatClient; readonly notRun?: undefined }
  | { readonly client?: undefined; readonly notRun: string };

export interface Workshop {
  /** `host:port` of every broker, with commas. */
  readonly bootstrapServers: string;
  /** Where what is fetched for a client stays from run to run. */
  readonly cacheDirectory: string;
  /** A directory of this run. */
  readonly directory: string;
}

/** One line of the catalogue. */
export interface ClientFacts {
  readonly name: string;
  find(workshop: Workshop): Promise<Found>;
}
