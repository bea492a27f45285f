/** What lies in the brokers, read past every client under test, and what may be said against it. */
import { nativeCodecs } from "../../src/adapters/native-codecs.ts";
import { text } from "../../src/base/bytes.ts";
import { partitionOfKey } from "../../src/client/core/murmur2.ts";
import type { Admin } from "../../src/client/index.ts";
import { ZERO_UUID } from "../../src/kafka-wire/reader.ts";
import type { Compression } from "../../src/model/compression.ts";
import { LIMITS } from "../../src/model/limits.ts";
import {
  type BatchHeader,
  compressionOf,
  hasValidCrc,
  recordsSection,
  splitBatches,
} from "../../src/record/batch.ts";
import { decodeRecords } from "../../src/record/records.ts";
import type { Cluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { RawKafkaClient } from "../support/raw-kafka-client.ts";
import type { ReadRecord, SentRecord } from "./client.ts";

const COMPLAINTS_SHOWN = 5;
const FETCH_VERSION = 11;
const READY_MS = 60_000;

export interface Stored {
  readonly records: readonly ReadRecord[];
  readonly batches: readonly BatchHeader[];
}

export class Judge {
  readonly #cluster: Cluster;
  readonly #admin: Admin;

  constructor(cluster: Cluster, admin: Admin) {
    this.#cluster = cluster;
    this.#admin = admin;
  }

  /** Settles once every replica of the topic is in sync; returns the leaders. */
  async leaders(topic: string): Promise<readonly number[]> {
    let leaders: readonly number[] = [];
    await eventually(
      `${topic} has its leaders and replicas`,
      async () => {
        const described = (await this.#admin.listTopics()).find(({ name }) => name === topic);
        const partitions = described?.partitions ?? [];
        leaders = partitions.map(({ leader }) => leader);
        return (
          partitions.length > 0 &&
          partitions.every(
            ({ isr, leader, replicas }) => leader >= 0 && isr.length === replicas.length,
          )
        );
      },
      READY_MS,
    );
    return leaders;
  }

  /** Offsets after the last record of each partition. */
  async ends(topic: string): Promise<readonly number[]> {
    const leaders = await this.leaders(topic);
    const queries = leaders.map((_, partition) => ({ topic, partition, offset: "end" as const }));
    const listed = await this.#admin.listOffsets(queries);
    return listed.map(({ offset }) => offset);
  }

  /** All records from `starts`, by partition, and the batches that they came in. */
  async stored(topic: string, starts: readonly number[]): Promise<Stored> {
    const ends = await this.ends(topic);
    const leaders = await this.leaders(topic);
    const records: ReadRecord[] = [];
    const batches: BatchHeader[] = [];
    for (const [partition, end] of ends.entries()) {
      const client = new RawKafkaClient(
        this.#cluster.portsOf(leaders[partition] as number).kafkaPort,
      );
      try {
        for (let at = starts[partition] ?? 0; at < end; ) {
          const section = await fetch(client, topic, partition, at);
          for (const batch of splitBatches(section)) {
            const { header } = batch;
            if (!hasValidCrc(batch, nativeCodecs.crc32c)) {
              throw new Error(`${topic}-${partition}: bad CRC at ${header.baseOffset}`);
            }
            const compression = compressionOf(header) as Compression;
            const packed = recordsSection(batch);
            const plain =
              compression === "none"
                ? packed
                : await nativeCodecs.decompress(compression, packed, LIMITS.decompressedBatchBytes);
            for (const { key, offset, value } of decodeRecords(header, plain)) {
              if (offset < at) continue;
              const read = { key: text(key as Uint8Array), value: text(value as Uint8Array) };
              records.push({ partition, offset, ...read });
            }
            batches.push(header);
            at = header.baseOffset + header.lastOffsetDelta + 1;
          }
        }
      } finally {
        client.close();
      }
    }
    return { records, batches };
  }
}

async function fetch(
  client: RawKafkaClient,
  topic: string,
  partition: number,
  fetchOffset: number,
): Promise<Uint8Array> {
  const partitions = [{ partition, fetchOffset, partitionMaxBytes: 1_048_576 }];
  const { responses } = await client.ask("Fetch", FETCH_VERSION, {
    maxWaitMs: 10_000,
    minBytes: 1,
    topics: [{ topic, topicId: ZERO_UUID, partitions }],
    forgottenTopicsData: [],
  });
  const answered = responses[0]?.partitions[0];
  if (answered === undefined || answered.errorCode !== 0 || !answered.records?.length) {
    throw new Error(`${topic}-${partition} at ${fetchOffset}: error ${answered?.errorCode}`);
  }
  return answered.records;
}

/** Where records of `sent` must stand, those of each partition in the order of sending. */
export function placed(
  sent: readonly SentRecord[],
  starts: readonly number[],
): readonly ReadRecord[] {
  const next = [...starts];
  return sent.map(({ key, value }) => {
    const partition = partitionOfKey(key, starts.length);
    const offset = next[partition] as number;
    next[partition] = offset + 1;
    return { partition, offset, key, value };
  });
}

function name({ key, offset, partition, value }: ReadRecord): string {
  return `${partition}@${offset} ${key}=${value.slice(0, 24)}`;
}

function byPartition(records: readonly ReadRecord[]): Map<number, ReadRecord[]> {
  const out = new Map<number, ReadRecord[]>();
  for (const record of records) {
    const of = out.get(record.partition);
    if (of === undefined) out.set(record.partition, [record]);
    else of.push(record);
  }
  return out;
}

/** Complaints unless both hold the same records, and each partition's in the same order. */
export function compare(expected: readonly ReadRecord[], got: readonly ReadRecord[]): string[] {
  const complaints: string[] = [];
  if (got.length !== expected.length) {
    complaints.push(`${got.length} records instead of ${expected.length}`);
  }
  const partitions = byPartition(got);
  for (const [partition, wanted] of byPartition(expected)) {
    const seen = partitions.get(partition) ?? [];
    const at = wanted.findIndex((record, index) => {
      const other = seen[index];
      return (
        other?.offset !== record.offset || other.key !== record.key || other.value !== record.value
      );
    });
    if (at < 0) continue;
    const other = seen[at];
    const instead = other === undefined ? "nothing" : name(other);
    complaints.push(`${name(wanted[at] as ReadRecord)} expected, ${instead} came`);
  }
  return complaints.slice(0, COMPLAINTS_SHOWN);
}

/**
 * Complaints unless every record of `expected` was seen by somebody, nothing else was, and no reader
 * passed one over that was nobody else's. Repetitions are allowed: at least once.
 */
export function atLeastOnce(
  expected: readonly ReadRecord[],
  readers: readonly (readonly ReadRecord[])[],
): string[] {
  const wanted = new Map(expected.map((record) => [name(record), record]));
  const seen = new Set(readers.flat().map(name));
  const lost = [...wanted.keys()].filter((each) => !seen.has(each));
  const foreign = [...seen].filter((each) => !wanted.has(each));
  const skipped = readers.flatMap((records, reader) => {
    const others = new Set(readers.flatMap((each, at) => (at === reader ? [] : each.map(place))));
    return [...byPartition(records).values()].flatMap((of) => skips(of, others));
  });
  return [
    ...lost.map((each) => `nobody read ${each}`),
    ...foreign.map((each) => `${each} was read and never written`),
    ...skipped,
  ].slice(0, COMPLAINTS_SHOWN);
}

function place({ offset, partition }: Pick<ReadRecord, "offset" | "partition">): string {
  return `${partition}@${offset}`;
}

/**
 * A reader goes forward by ones, or begins again somewhere before; it passes over only what others
 * have read, while the partition was theirs.
 */
function skips(records: readonly ReadRecord[], others: ReadonlySet<string>): string[] {
  return records.flatMap((record, index) => {
    const { partition } = record;
    const before = records[index - 1];
    for (let at = (before?.offset ?? record.offset) + 1; at < record.offset; at++) {
      if (!others.has(place({ partition, offset: at }))) {
        return [`${name(record)} was read before ${partition}@${at}`];
      }
    }
    return [];
  });
}
