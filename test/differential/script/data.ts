/** Records in and out, and what is asked about logs. */
import { crc32 } from "node:zlib";
import { nativeCodecs } from "../../../src/adapters/native-codecs.ts";
import type { RequestInputs } from "../../../src/kafka-wire/messages.ts";
import { ZERO_UUID } from "../../../src/kafka-wire/reader.ts";
import { BatchBuilder } from "../../../src/record/records.ts";
import { eventually } from "../../support/eventually.ts";
import { alteredBatch } from "../../support/raw-client.ts";
import { type Target, versionsOf } from "../target.ts";

const TIMEOUT_MS = 30_000;
const UNKNOWN_ID = "abcdefghijklmnopqrstuA";
const DAY_MS = 86_400_000;
const EMPTY = new Uint8Array(0);

export async function dataScript(target: Target): Promise<void> {
  await target.coordinatorOf(target.name("data"));
  await producerIds(target);
  await produce(target);
  await sequences(target);
  await fetch(target);
  await sessions(target);
  await offsets(target);
  await deletion(target);
}

interface BatchOptions {
  readonly records?: number;
  readonly key?: string;
  readonly shiftMs?: number;
  readonly producerId?: number;
  readonly producerEpoch?: number;
  readonly baseSequence?: number;
}

function batch(target: Target, options: BatchOptions = {}): Uint8Array {
  const builder = new BatchBuilder(1_024);
  const { records = 2, key, shiftMs = 0 } = options;
  for (let index = 0; index < records; index++) {
    builder.append({
      timestamp: target.baseTimestamp + shiftMs + index,
      key: key === undefined ? null : Buffer.from(key),
      value: Buffer.from(`value ${index}`),
      headers: [],
    });
  }
  const { producerId = -1, producerEpoch = -1, baseSequence = -1 } = options;
  return Uint8Array.from(
    builder.seal({
      codec: "none",
      producerId,
      producerEpoch,
      baseSequence,
      crc32c: nativeCodecs.crc32c,
    }),
  );
}

/** One message of format 1, as producers sent it before Kafka 0.11. */
function oldMessage(target: Target): Uint8Array {
  const message = Buffer.alloc(12 + 4 + 1 + 1 + 8 + 4 + 4 + 1);
  message.writeInt32BE(message.length - 12, 8);
  message.writeInt8(1, 16);
  message.writeBigInt64BE(BigInt(target.baseTimestamp), 18);
  message.writeInt32BE(-1, 26);
  message.writeInt32BE(1, 30);
  message.writeInt8(7, 34);
  message.writeUInt32BE(crc32(message.subarray(16)), 12);
  return Uint8Array.from(message);
}

async function producerIds(target: Target): Promise<void> {
  await eventually("there are producer ids", async () => {
    const asked = { transactionalId: null, transactionTimeoutMs: 0 };
    return (await target.ask(1, "InitProducerId", 4, asked)).errorCode === 0;
  });
  for (const version of versionsOf("InitProducerId")) {
    const asked = (label: string, body: Partial<RequestInputs["InitProducerId"]>) =>
      target.observe(label, 1, "InitProducerId", version, {
        transactionalId: null,
        transactionTimeoutMs: 60_000,
        ...body,
      });
    await asked("a new one", {});
    await asked("an empty transactional id", { transactionalId: "" });
    await asked("a timeout of 0", { transactionTimeoutMs: 0 });
    await asked("an id that was given, with its epoch", {
      producerId: 4_000_000,
      producerEpoch: 3,
    });
    await asked("an id without an epoch", { producerId: 4_000_000 });
    await asked("an epoch without an id", { producerEpoch: 3 });
  }
}

async function produce(target: Target): Promise<void> {
  for (const version of versionsOf("Produce")) {
    const plain = `in${version}`;
    const topicId = await target.topic(plain, { partitions: 2 });
    const compactedId = await target.topic(`${plain}compacted`, {
      configs: { "cleanup.policy": "compact" },
    });
    const strictId = await target.topic(`${plain}strict`, {
      configs: {
        "message.timestamp.before.max.ms": "3600000",
        "message.timestamp.after.max.ms": "3600000",
        "max.message.bytes": "1000",
      },
    });
    const stampedId = await target.topic(`${plain}stamped`, {
      configs: { "message.timestamp.type": "LogAppendTime" },
    });
    const odd = `${plain}odd`;
    // What one accepts and the other does not has a partition of its own, led by broker 1.
    const oddId = await target.topic(odd, { partitions: 16 });
    const ids = new Map([
      [odd, oddId],
      [plain, topicId],
      [`${plain}compacted`, compactedId],
      [`${plain}strict`, strictId],
      [`${plain}stamped`, stampedId],
    ]);
    const bodyOf = (
      records: Uint8Array | null,
      options: {
        plain?: string;
        partition?: number;
        acks?: number;
        timeoutMs?: number;
        topicId?: string;
        transactionalId?: string;
      } = {},
    ): RequestInputs["Produce"] => {
      const name = options.plain ?? plain;
      return {
        transactionalId: options.transactionalId ?? null,
        acks: options.acks ?? -1,
        timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
        topicData: [
          {
            name: ids.has(name) ? target.name(name) : name,
            topicId: options.topicId ?? ids.get(name) ?? UNKNOWN_ID,
            partitionData: [{ index: options.partition ?? 0, records }],
          },
        ],
      };
    };
    const asked = (
      label: string,
      records: Uint8Array | null,
      options: Parameters<typeof bodyOf>[1] & { broker?: number } = {},
    ) => target.observe(label, options.broker ?? 1, "Produce", version, bodyOf(records, options));
    const good = batch(target);
    const changed = (change: (view: DataView) => void) => alteredBatch(good, change);
    await asked("two records", good);
    await asked("two records, acks 1", good, { acks: 1 });
    await target.observeSilence(
      "two records, acks 0",
      1,
      "Produce",
      version,
      bodyOf(good, { acks: 0 }),
    );
    await asked("acks 2", good, { acks: 2 });
    await asked("acks -2", good, { acks: -2 });
    await asked("a timeout of 0, acks 1", good, {
      acks: 1,
      timeoutMs: 0,
      plain: odd,
      partition: 0,
    });
    await asked("another broker than the leader", good, { broker: 2 });
    await asked("a partition that it has not", good, { partition: 9 });
    await asked("a negative partition", good, { partition: -1 });
    await asked("a topic that is not there", good, { plain: "nowhere" });
    await asked("an illegal name", good, { plain: "a b" });
    await asked("an empty name", good, { plain: "", topicId: ZERO_UUID });
    await asked("no records: nothing", EMPTY);
    await asked("two batches", Buffer.concat([good, good]));
    await asked(
      "a wrong CRC",
      (() => {
        const bad = Uint8Array.from(good);
        bad[70] = (bad[70] ?? 0) ^ 1;
        return bad;
      })(),
    );
    await asked("a batch cut short", good.subarray(0, good.length - 5));
    await asked("less than a header", good.subarray(0, 20));
    await asked("bytes behind the batch", Buffer.concat([good, Buffer.from([1, 2, 3])]), {
      plain: odd,
      partition: 3,
    });
    await asked(
      "a batch length of 0",
      changed((view) => view.setInt32(8, 0)),
    );
    await asked(
      "magic 3",
      changed((view) => view.setInt8(16, 3)),
    );
    await asked(
      "magic 1 in the header of a batch",
      changed((view) => view.setInt8(16, 1)),
    );
    await asked("a message of format 1", oldMessage(target));
    await asked(
      "a base offset that is not 0",
      changed((view) => view.setBigInt64(0, 77n)),
      { plain: odd, partition: 6 },
    );
    await asked(
      "a last offset delta that is wrong",
      changed((view) => view.setInt32(23, 5)),
    );
    await asked(
      "a count that is wrong",
      changed((view) => view.setInt32(57, 3)),
    );
    await asked(
      "a count of 0",
      changed((view) => view.setInt32(57, 0)),
    );
    await asked(
      "a negative count",
      changed((view) => view.setInt32(57, -1)),
    );
    await asked(
      "a control batch",
      changed((view) => view.setInt16(21, 0x20)),
    );
    await asked(
      "a transactional batch without a transaction",
      changed((view) => view.setInt16(21, 0x10)),
      { plain: odd, partition: 9 },
    );
    await asked(
      "a codec that nobody knows",
      changed((view) => view.setInt16(21, 7)),
    );
    await asked(
      "gzip that is none",
      changed((view) => view.setInt16(21, 1)),
      { plain: odd, partition: 12 },
    );
    await asked(
      "zstd",
      changed((view) => view.setInt16(21, 4)),
      { plain: odd, partition: 15 },
    );
    await asked(
      "a maximum timestamp that is wrong",
      changed((view) => view.setBigInt64(35, BigInt(target.baseTimestamp + 500))),
    );
    await asked(
      "timestamps of -1",
      batch(target, { records: 1, shiftMs: -1 - target.baseTimestamp }),
    );
    await asked(
      "a producer id without an epoch",
      changed((view) => view.setBigInt64(43, 4_100_000n)),
    );
    await asked("no key for a compacted topic", good, { plain: `${plain}compacted` });
    await asked("a key for a compacted topic", batch(target, { key: "k" }), {
      plain: `${plain}compacted`,
    });
    await asked("a timestamp that is too old", batch(target, { shiftMs: -DAY_MS }), {
      plain: `${plain}strict`,
    });
    await asked("a timestamp in the future", batch(target, { shiftMs: DAY_MS }), {
      plain: `${plain}strict`,
    });
    await asked("a batch that is too large", batch(target, { records: 200 }), {
      plain: `${plain}strict`,
    });
    await asked("the time of the broker", good, { plain: `${plain}stamped` });
    await asked(
      "a timestamp of -1, the time of the broker",
      batch(target, { records: 1, shiftMs: -1 - target.baseTimestamp }),
      { plain: `${plain}stamped` },
    );
    await target.observe("nothing", 1, "Produce", version, {
      transactionalId: null,
      acks: -1,
      timeoutMs: TIMEOUT_MS,
      topicData: [],
    });
    await target.observe("a topic without partitions", 1, "Produce", version, {
      transactionalId: null,
      acks: -1,
      timeoutMs: TIMEOUT_MS,
      topicData: [{ name: target.name(plain), topicId, partitionData: [] }],
    });
    const twoPartitions = [
      { index: 0, records: good },
      { index: 9, records: good },
    ];
    await target.observe("one partition that is there and one that is not", 1, "Produce", version, {
      transactionalId: null,
      acks: -1,
      timeoutMs: TIMEOUT_MS,
      topicData: [{ name: target.name(plain), topicId, partitionData: twoPartitions }],
    });
    await target.observeSilence(
      "a partition that it has not, acks 0",
      1,
      "Produce",
      version,
      bodyOf(good, { acks: 0, partition: 9 }),
    );
    await target.observeSilence("nothing, acks 0", 1, "Produce", version, {
      transactionalId: null,
      acks: 0,
      timeoutMs: TIMEOUT_MS,
      topicData: [],
    });
  }
}

async function sequences(target: Target): Promise<void> {
  const version = 9;
  await target.topic("sequences");
  const asked = (label: string, options: BatchOptions) =>
    target.observe(label, 1, "Produce", version, {
      transactionalId: null,
      acks: -1,
      timeoutMs: TIMEOUT_MS,
      topicData: [
        {
          name: target.name("sequences"),
          topicId: ZERO_UUID,
          partitionData: [{ index: 0, records: batch(target, options) }],
        },
      ],
    });
  const { producerId } = await target.ask(1, "InitProducerId", 4, {
    transactionalId: null,
    transactionTimeoutMs: 0,
  });
  const known = { producerId, producerEpoch: 0 };
  await asked("idempotent: the first", { ...known, baseSequence: 0 });
  await asked("idempotent: the first again", { ...known, baseSequence: 0 });
  await asked("idempotent: the next", { ...known, baseSequence: 2 });
  await asked("idempotent: the first once more", { ...known, baseSequence: 0 });
  await asked("idempotent: a gap", { ...known, baseSequence: 40 });
  await asked("idempotent: an overlap", { ...known, baseSequence: 3 });
  await asked("idempotent: a later epoch, from 0", { ...known, producerEpoch: 2, baseSequence: 0 });
  await asked("idempotent: an older epoch", { ...known, producerEpoch: 1, baseSequence: 0 });
  await asked("idempotent: a later epoch, not from 0", {
    ...known,
    producerEpoch: 3,
    baseSequence: 5,
  });
  await asked("idempotent: an id that nobody drew, from 0", {
    producerId: 5_000_000,
    producerEpoch: 0,
    baseSequence: 0,
  });
  await asked("idempotent: an id that nobody drew, not from 0", {
    producerId: 5_000_001,
    producerEpoch: 0,
    baseSequence: 7,
  });
  await asked("idempotent: a negative sequence", {
    producerId: 5_000_002,
    producerEpoch: 0,
    baseSequence: -1,
  });
  await asked("idempotent: a negative epoch", {
    producerId: 5_000_003,
    producerEpoch: -1,
    baseSequence: 0,
  });
  const producers = (label: string, name: string, ...partitionIndexes: number[]) =>
    target.observe(label, 1, "DescribeProducers", 0, { topics: [{ name, partitionIndexes }] });
  await producers("those of a partition", target.name("sequences"), 0);
  await producers("a partition that it has not", target.name("sequences"), 9);
  await producers("a topic that is not there", "nowhere", 0);
  await producers("an illegal name", "a b", 0);
  await producers("a partition twice", target.name("sequences"), 0, 0);
  await producers("no partitions", target.name("sequences"));
  await target.observe("another broker than the leader", 2, "DescribeProducers", 0, {
    topics: [{ name: target.name("sequences"), partitionIndexes: [0] }],
  });
}

interface FetchPartitionOptions {
  readonly partition?: number;
  readonly offset?: number;
  readonly epoch?: number;
  readonly lastEpoch?: number;
  readonly maxBytes?: number;
}

function fetchPartition(options: FetchPartitionOptions = {}) {
  return {
    partition: options.partition ?? 0,
    currentLeaderEpoch: options.epoch ?? -1,
    fetchOffset: options.offset ?? 0,
    lastFetchedEpoch: options.lastEpoch ?? -1,
    logStartOffset: -1,
    partitionMaxBytes: options.maxBytes ?? 1_000_000,
  };
}

async function fill(target: Target, plain: string, batches: number): Promise<void> {
  for (let index = 0; index < batches; index++) {
    await target.ask(1, "Produce", 9, {
      transactionalId: null,
      acks: -1,
      timeoutMs: TIMEOUT_MS,
      topicData: [
        {
          name: target.name(plain),
          topicId: ZERO_UUID,
          partitionData: [{ index: 0, records: batch(target, { shiftMs: index * 10 }) }],
        },
      ],
    });
  }
}

const NOT_WAITING = { maxWaitMs: 0, minBytes: 0, maxBytes: 1_000_000, isolationLevel: 0 } as const;

async function fetch(target: Target): Promise<void> {
  const topicId = await target.topic("out", { partitions: 2 });
  await fill(target, "out", 3);
  for (const version of versionsOf("Fetch")) {
    const asked = (
      label: string,
      options: FetchPartitionOptions & { name?: string; id?: string; broker?: number } = {},
      body: Partial<RequestInputs["Fetch"]> = {},
    ) =>
      target.observe(label, options.broker ?? 1, "Fetch", version, {
        ...NOT_WAITING,
        topics: [
          {
            topic: options.name ?? target.name("out"),
            topicId: options.id ?? topicId,
            partitions: [fetchPartition(options)],
          },
        ],
        forgottenTopicsData: [],
        ...body,
      });
    await asked("from the beginning");
    await asked("from the middle of a batch", { offset: 3 });
    await asked("from the end", { offset: 6 });
    await asked("from behind the end", { offset: 7 });
    await asked("from a negative offset", { offset: -1 });
    await asked("from the end, with a minimum and no time", { offset: 6 }, { minBytes: 1 });
    await asked("committed only", {}, { isolationLevel: 1 });
    await asked("an isolation level that nobody knows", {}, { isolationLevel: 7 });
    await asked("one byte of the partition", { maxBytes: 1 });
    await asked("no bytes of the partition", { maxBytes: 0 });
    await asked("one byte of the whole", {}, { maxBytes: 1 });
    await asked("no bytes of the whole", {}, { maxBytes: 0 });
    await asked("a negative number of bytes", { maxBytes: -1 });
    await asked("another broker than the leader", { broker: 2 });
    await asked("a partition that it has not", { partition: 9 });
    await asked("a topic that is not there", { name: "nowhere", id: UNKNOWN_ID });
    await asked("an illegal name", { name: "a b", id: ZERO_UUID });
    await target.observe("nothing", 1, "Fetch", version, {
      ...NOT_WAITING,
      topics: [],
      forgottenTopicsData: [],
    });
    await target.observe("a partition twice", 1, "Fetch", version, {
      ...NOT_WAITING,
      topics: [
        {
          topic: target.name("out"),
          topicId,
          partitions: [fetchPartition(), fetchPartition({ offset: 4 })],
        },
      ],
      forgottenTopicsData: [],
    });
    await asked(
      "a replica that is none",
      {},
      version < 15 ? { replicaId: 77 } : { replicaState: { replicaId: 77, replicaEpoch: 1 } },
    );
    if (version >= 9) {
      await asked("an epoch that is to come", { epoch: 50 });
      await asked("the epoch that is", { epoch: 0 });
    }
    if (version >= 12) {
      await asked("a last epoch that is to come", { lastEpoch: 50, offset: 2 });
      await asked("the last epoch that is", { lastEpoch: 0, offset: 2 });
      await asked("the id of another cluster", {}, { clusterId: "another" });
    }
  }
}

async function sessions(target: Target): Promise<void> {
  const topicId = await target.topic("session");
  await fill(target, "session", 1);
  for (const version of versionsOf("Fetch").filter((one) => one >= 7)) {
    const asked = (
      label: string,
      sessionId: number,
      sessionEpoch: number,
      partitions: readonly ReturnType<typeof fetchPartition>[],
      forgotten: readonly number[] = [],
    ) => {
      const topic = { topic: target.name("session"), topicId };
      return target.observe(`session: ${label}`, 1, "Fetch", version, {
        ...NOT_WAITING,
        sessionId,
        sessionEpoch,
        topics: partitions.length === 0 ? [] : [{ ...topic, partitions }],
        forgottenTopicsData: forgotten.length === 0 ? [] : [{ ...topic, partitions: forgotten }],
      });
    };
    await asked("an id that nobody has", 4_711, 1, []);
    await asked("an id that nobody has, which ends", 4_711, -1, [fetchPartition()]);
    await asked("an id of 0 in the middle", 0, 5, [fetchPartition()]);
    const begun = await asked("begun", 0, 0, [fetchPartition()]);
    const id = begun?.sessionId ?? 0;
    await asked("goes on without news", id, 1, [fetchPartition({ offset: 2 })]);
    await asked("a wrong epoch", id, 9, []);
    await asked("goes on at the right one", id, 2, [fetchPartition({ offset: 0 })]);
    await asked("an error in it", id, 3, [fetchPartition({ offset: 99 })]);
    await asked("forgets its partition", id, 4, [], [0]);
    await asked("behind its end", id, 5, []);
    await asked("begun without partitions", 0, 0, []);
  }
}

async function offsets(target: Target): Promise<void> {
  await target.topic("offsets", { partitions: 2 });
  await fill(target, "offsets", 3);
  const name = target.name("offsets");
  for (const version of versionsOf("ListOffsets")) {
    const asked = (
      label: string,
      partitions: RequestInputs["ListOffsets"]["topics"][number]["partitions"],
      options: { name?: string; broker?: number; replicaId?: number; isolationLevel?: number } = {},
    ) =>
      target.observe(label, options.broker ?? 1, "ListOffsets", version, {
        replicaId: options.replicaId ?? -1,
        isolationLevel: options.isolationLevel ?? 0,
        topics: [{ name: options.name ?? name, partitions }],
        timeoutMs: TIMEOUT_MS,
      });
    for (const timestamp of [-1, -2, -3, -4, -5, -6, -7, 0]) {
      await asked(`timestamp ${timestamp}`, [{ partitionIndex: 0, timestamp }]);
    }
    await asked("a timestamp of a record", [
      { partitionIndex: 0, timestamp: target.baseTimestamp + 11 },
    ]);
    await asked("a timestamp between records", [
      { partitionIndex: 0, timestamp: target.baseTimestamp + 5 },
    ]);
    await asked("a timestamp behind the last", [
      { partitionIndex: 0, timestamp: target.baseTimestamp + 5_000 },
    ]);
    await asked("the end, committed only", [{ partitionIndex: 0, timestamp: -1 }], {
      isolationLevel: 1,
    });
    await asked("an isolation level that nobody knows", [{ partitionIndex: 0, timestamp: -1 }], {
      isolationLevel: 9,
    });
    await asked("an empty partition's", [{ partitionIndex: 1, timestamp: -1 }], { broker: 2 });
    await asked("an empty partition's time", [{ partitionIndex: 1, timestamp: 0 }], { broker: 2 });
    await asked("an empty partition's latest time", [{ partitionIndex: 1, timestamp: -3 }], {
      broker: 2,
    });
    await asked("another broker than the leader", [{ partitionIndex: 0, timestamp: -1 }], {
      broker: 2,
    });
    await asked("a partition that it has not", [{ partitionIndex: 9, timestamp: -1 }]);
    await asked("a partition twice", [
      { partitionIndex: 0, timestamp: -1 },
      { partitionIndex: 0, timestamp: -2 },
    ]);
    await asked("a topic that is not there", [{ partitionIndex: 0, timestamp: -1 }], {
      name: "nowhere",
    });
    await asked("an illegal name", [{ partitionIndex: 0, timestamp: -1 }], { name: "a b" });
    await asked("no partitions", []);
    await asked("as a replica that is none", [{ partitionIndex: 0, timestamp: -1 }], {
      replicaId: 77,
    });
    await asked("as the consumer that debugs", [{ partitionIndex: 0, timestamp: -1 }], {
      replicaId: -2,
    });
    if (version >= 4) {
      await asked("an epoch that is to come", [
        { partitionIndex: 0, timestamp: -1, currentLeaderEpoch: 50 },
      ]);
      await asked("the epoch that is", [
        { partitionIndex: 0, timestamp: -1, currentLeaderEpoch: 0 },
      ]);
    }
  }
  for (const version of versionsOf("OffsetForLeaderEpoch")) {
    const asked = (
      label: string,
      partition: { partition: number; currentLeaderEpoch?: number; leaderEpoch: number },
      options: { name?: string; broker?: number } = {},
    ) =>
      target.observe(label, options.broker ?? 1, "OffsetForLeaderEpoch", version, {
        replicaId: -1,
        topics: [{ topic: options.name ?? name, partitions: [partition] }],
      });
    await asked("the epoch that is", { partition: 0, leaderEpoch: 0 });
    await asked("one that is to come", { partition: 0, leaderEpoch: 50 });
    await asked("a negative one", { partition: 0, leaderEpoch: -1 });
    await asked("of an empty partition", { partition: 1, leaderEpoch: 0 }, { broker: 2 });
    await asked("with the current epoch", { partition: 0, leaderEpoch: 0, currentLeaderEpoch: 0 });
    await asked("with a current epoch that is to come", {
      partition: 0,
      leaderEpoch: 0,
      currentLeaderEpoch: 50,
    });
    await asked("another broker than the leader", { partition: 0, leaderEpoch: 0 }, { broker: 2 });
    await asked("a partition that it has not", { partition: 9, leaderEpoch: 0 });
    await asked("a topic that is not there", { partition: 0, leaderEpoch: 0 }, { name: "nowhere" });
    await target.observe("nothing", 1, "OffsetForLeaderEpoch", version, {
      replicaId: -1,
      topics: [],
    });
  }
}

async function deletion(target: Target): Promise<void> {
  for (const version of versionsOf("DeleteRecords")) {
    const plain = `shortened${version}`;
    await target.topic(plain);
    await fill(target, plain, 3);
    const asked = (
      label: string,
      partitions: readonly { partitionIndex: number; offset: number }[],
      options: { name?: string; broker?: number } = {},
    ) =>
      target.observe(label, options.broker ?? 1, "DeleteRecords", version, {
        topics: [{ name: options.name ?? target.name(plain), partitions }],
        timeoutMs: TIMEOUT_MS,
      });
    await asked("up to an offset", [{ partitionIndex: 0, offset: 2 }]);
    await asked("up to one that is gone", [{ partitionIndex: 0, offset: 1 }]);
    await asked("up to the middle of a batch", [{ partitionIndex: 0, offset: 3 }]);
    await asked("behind the end", [{ partitionIndex: 0, offset: 99 }]);
    await asked("up to a negative offset", [{ partitionIndex: 0, offset: -2 }]);
    await asked("another broker than the leader", [{ partitionIndex: 0, offset: 2 }], {
      broker: 2,
    });
    await asked("a partition that it has not", [{ partitionIndex: 9, offset: 2 }]);
    await asked("a topic that is not there", [{ partitionIndex: 0, offset: 2 }], {
      name: "nowhere",
    });
    await asked("an internal topic", [{ partitionIndex: 0, offset: 0 }], {
      name: "__consumer_offsets",
    });
    await asked("a partition twice", [
      { partitionIndex: 0, offset: 3 },
      { partitionIndex: 0, offset: 4 },
    ]);
    await asked("all", [{ partitionIndex: 0, offset: -1 }]);
    await target.observe("nothing", 1, "DeleteRecords", version, {
      topics: [],
      timeoutMs: TIMEOUT_MS,
    });
    await target.observe(`what version ${version} of DeleteRecords left`, 1, "Fetch", 11, {
      ...NOT_WAITING,
      topics: [{ topic: target.name(plain), topicId: ZERO_UUID, partitions: [fetchPartition()] }],
      forgottenTopicsData: [],
    });
  }
}
