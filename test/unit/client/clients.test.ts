/** Producer and Consumer as programs use them, against brokers in memory. */
import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import {
  Consumer,
  type ConsumerOptions,
  deserializers,
  OttlaError,
  Producer,
  type ProducerOptions,
  serializers,
} from "../../../src/client/index.ts";
import { lastOffset } from "../../../src/record/batch.ts";
import { MemoryCluster } from "./memory-cluster.ts";

function producerOf(cluster: MemoryCluster, options: Partial<ProducerOptions> = {}): Producer {
  const [bootstrapServers] = cluster.bootstrapServers;
  return new Producer({
    bootstrapServers: bootstrapServers as string,
    environment: { transport: cluster },
    ...options,
  });
}

function consumerOf(
  cluster: MemoryCluster,
  options: Partial<ConsumerOptions<string | null, string | null>> = {},
): Consumer<string | null, string | null> {
  return new Consumer<string | null, string | null>({
    bootstrapServers: cluster.bootstrapServers,
    environment: { transport: cluster },
    keyDeserializer: deserializers.string,
    valueDeserializer: deserializers.string,
    ...options,
  });
}

async function read(
  consumer: Consumer<string | null, string | null>,
  count: number,
): Promise<string[]> {
  const values: string[] = [];
  if (count === 0) return values;
  for await (const message of consumer) {
    values.push(`${message.value}`);
    if (values.length === count) break;
  }
  return values;
}

function numbers(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, index) => `${from + index}`);
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof OttlaError)) throw new Error(`no OttlaError: ${String(error)}`);
  return `${error.code}: ${error.message}`;
}

describe("producer", () => {
  it("settles each send with the record's place", async () => {
    const cluster = new MemoryCluster();
    cluster.createTopic("t", 2);
    await using producer = producerOf(cluster);
    const sends = numbers(0, 5).map((value) => producer.send({ topic: "t", partition: 1, value }));
    const places = await Promise.all(sends);
    expect(places.map(({ offset }) => offset)).toEqual([0, 1, 2, 3, 4]);
    expect(places[0]).toMatchObject({ topic: "t", partition: 1 });
  });

  it("puts equal keys into one partition, and sendBatch into the same", async () => {
    const cluster = new MemoryCluster();
    cluster.createTopic("t", 6);
    await using producer = producerOf(cluster);
    const one = await producer.send({ topic: "t", key: "foobar", value: "1" });
    const many = await producer.sendBatch("t", [
      { key: Buffer.from("foobar"), value: "2" },
      { key: "21", value: "3" },
    ]);
    expect(one.partition).toBe((-790332482 & 0x7fffffff) % 6);
    expect(many.map(({ partition }) => partition)).toEqual([
      one.partition,
      (-973932308 & 0x7fffffff) % 6,
    ]);
  });

  it("writes more than its memory holds, in order, as memory becomes free", async () => {
    const cluster = new MemoryCluster();
    cluster.createTopic("t", 1);
    await using producer = producerOf(cluster, { bufferMemory: 4_096, maxRequestSize: 2_048 });
    const values = numbers(0, 500);
    const single = values.slice(0, 250).map((value) => producer.send({ topic: "t", value }));
    const batch = producer.sendBatch(
      "t",
      values.slice(250, 400).map((value) => ({ value })),
    );
    const rest = values.slice(400).map((value) => producer.send({ topic: "t", value }));
    const places = [...(await Promise.all(single)), ...(await batch), ...(await Promise.all(rest))];
    expect(places.map(({ offset }) => offset)).toEqual(values.map(Number));
  });

  it("gives a send up that finds no memory within maxBlockMs", async () => {
    const cluster = new MemoryCluster();
    cluster.createTopic("t", 1);
    const producer = producerOf(cluster, {
      bufferMemory: 1_024,
      maxRequestSize: 1_024,
      maxBlockMs: 30,
    });
    await producer.send({ topic: "t", value: "warm" });
    for (const id of cluster.brokerIds) cluster.frozen.add(id);
    const stuck = producer.send({ topic: "t", value: "x".repeat(900) });
    stuck.catch(() => undefined);
    expect(await codeOf(producer.send({ topic: "t", value: "y".repeat(900) }))).toMatch(
      /^BUFFER_EXHAUSTED/,
    );
    await producer.close({ timeoutMs: 0 });
    expect(await codeOf(stuck)).toMatch(/^CLOSED/);
  });

  it("goes to the new leader when one is killed, nothing lost, doubled or out of order", async () => {
    const cluster = new MemoryCluster();
    cluster.createTopic("t", 1);
    await using producer = producerOf(cluster, { batchSize: 1_024 });
    const values = numbers(0, 600);
    const sends: Promise<unknown>[] = [];
    for (const value of values) {
      sends.push(producer.send({ topic: "t", value }));
      if (value === "200") await new Promise((resolve) => setImmediate(resolve));
      if (value === "300") cluster.kill(1);
    }
    await Promise.all(sends);
    await using consumer = consumerOf(cluster);
    await consumer.assign([{ topic: "t", partition: 0 }]);
    expect(await read(consumer, 600)).toEqual(values);
  });

  it("leaves a frozen leader for the new one", async () => {
    const cluster = new MemoryCluster();
    cluster.createTopic("t", 1);
    await using producer = producerOf(cluster);
    await producer.send({ topic: "t", value: "0" });
    cluster.frozen.add(1);
    const sent = producer.send({ topic: "t", value: "1" });
    cluster.moveLeaders(1);
    expect((await sent).offset).toBe(1);
  });

  it("leaves a leader that is cut off from the others, whatever that one still says", async () => {
    const cluster = new MemoryCluster();
    cluster.createTopic("t", 1);
    await using producer = producerOf(cluster);
    await producer.send({ topic: "t", value: "0" });
    cluster.cutOff(1);
    cluster.moveLeaders(1);
    expect((await producer.send({ topic: "t", value: "1" })).offset).toBe(1);
  });

  it("follows the hint of a refusal without asking for metadata", async () => {
    const cluster = new MemoryCluster();
    cluster.createTopic("t", 1);
    await using producer = producerOf(cluster);
    await producer.send({ topic: "t", value: "0" });
    cluster.unaryCalls = [];
    cluster.moveLeaders(1);
    await producer.send({ topic: "t", value: "1" });
    expect(cluster.unaryCalls).toEqual([]);
  });

  it("splits batches that the topic finds too large", async () => {
    const cluster = new MemoryCluster();
    cluster.createTopic("t", 1);
    cluster.maxMessageBytes = 400;
    await using producer = producerOf(cluster);
    const values = numbers(0, 100);
    const places = await producer.sendBatch(
      "t",
      values.map((value) => ({ value })),
    );
    expect(places.map(({ offset }) => offset)).toEqual(values.map(Number));
  });

  it("waits for a partition that was added a moment ago, and sends to the others meanwhile", async () => {
    const cluster = new MemoryCluster();
    cluster.createTopic("t", 1);
    await using producer = producerOf(cluster);
    await producer.send({ topic: "t", value: "v", partition: 0 });
    const added = producer.send({ topic: "t", value: "new", partition: 1 });
    const batch = producer.sendBatch("t", [
      { value: "a", partition: 0 },
      { value: "b", partition: 1 },
    ]);
    // Whoever is asked for metadata has not heard of the partition yet.
    expect((await producer.send({ topic: "t", value: "w", partition: 0 })).offset).toBe(1);
    const [first] = cluster.topics.get("t") ?? [];
    cluster.createTopic("t", 2);
    if (first !== undefined) cluster.topics.get("t")?.splice(0, 1, first);
    expect(await added).toMatchObject({ partition: 1, offset: 0 });
    expect(await batch).toMatchObject([{ offset: 2 }, { offset: 1 }]);
  });

  it("refuses records that cannot be sent, naming what is allowed", async () => {
    const cluster = new MemoryCluster();
    cluster.createTopic("t", 2);
    await using producer = producerOf(cluster);
    const send = (record: object) =>
      codeOf(producer.send({ topic: "t", value: "v", ...record } as never));
    expect(await send({ partition: 2 })).toBe(
      "UNKNOWN_TOPIC_OR_PARTITION: topic t has no partition 2, allowed are 0 to 1",
    );
    expect(await send({ partition: -1 })).toMatch(/^INVALID_ARGUMENT: partition is -1/);
    expect(await send({ timestamp: 1.5 })).toMatch(/^INVALID_ARGUMENT: timestamp is 1.5/);
    expect(await send({ value: 7 })).toMatch(/^INVALID_ARGUMENT: value is number/);
    expect(await send({ value: "x".repeat(2_000_000) })).toMatch(/^MESSAGE_TOO_LARGE/);
    expect(await send({ topic: "nowhere" })).toMatch(
      /^UNKNOWN_TOPIC_OR_PARTITION: no topic nowhere/,
    );
  });

  it("tells which option is wrong", () => {
    const cluster = new MemoryCluster();
    expect(() => producerOf(cluster, { lingerMs: -1 })).toThrow(/lingerMs is -1/);
    expect(() => producerOf(cluster, { acks: 1, enableIdempotence: true })).toThrow(/acks "all"/);
    expect(() => producerOf(cluster, { compressionType: "brotli" as never })).toThrow(/zstd/);
    expect(() => producerOf(cluster, { bootstrapServers: "nonsense" })).toThrow(/host:port/);
  });

  it("names the addresses when no broker can be reached", async () => {
    const cluster = new MemoryCluster();
    for (const id of cluster.brokerIds) cluster.dead.add(id);
    const producer = producerOf(cluster, {
      bootstrapServers: ["memory:1", "memory:2"],
      connectTimeoutMs: 1_000,
    });
    const said = await codeOf(producer.send({ topic: "t", value: "v" }));
    expect(said).toMatch(/^NO_BROKER_REACHABLE: .*memory:1, memory:2/);
    await producer.close();
  });

  it("takes a signal, before and while a send waits", async () => {
    const cluster = new MemoryCluster();
    cluster.createTopic("t", 1);
    await using producer = producerOf(cluster);
    const aborted = AbortSignal.abort();
    expect(await codeOf(producer.send({ topic: "t", value: "v" }, { signal: aborted }))).toMatch(
      /^ABORTED/,
    );
    const later = new AbortController();
    const waiting = producer.send({ topic: "nowhere", value: "v" }, { signal: later.signal });
    later.abort();
    expect(await codeOf(waiting)).toMatch(/^ABORTED/);
  });

  // Node accuses a program of a leak from the eleventh listener on.
  it("listens once to a signal that many sends share", async () => {
    const cluster = new MemoryCluster();
    await using producer = producerOf(cluster);
    const controller = new AbortController();
    const { signal } = controller;
    const sends = Array.from({ length: 30 }, () =>
      codeOf(producer.send({ topic: "nowhere", value: "v" }, { signal })),
    );
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    controller.abort();
    for (const said of await Promise.all(sends)) expect(said).toMatch(/^ABORTED/);
  });

  it("flushes what lingers, and refuses sends once it is closed", async () => {
    const cluster = new MemoryCluster();
    cluster.createTopic("t", 1);
    const producer = producerOf(cluster, { lingerMs: 3_600_000, deliveryTimeoutMs: 4_000_000 });
    const first = producer.send({ topic: "t", value: "0" });
    await producer.flush();
    expect((await first).offset).toBe(0);
    const second = producer.send({ topic: "t", value: "1" });
    await producer.close();
    expect((await second).offset).toBe(1);
    expect(await codeOf(producer.send({ topic: "t", value: "2" }))).toMatch(/^CLOSED/);
  });

  it("settles acks 0 at once, without an offset", async () => {
    const cluster = new MemoryCluster();
    cluster.createTopic("t", 1);
    await using producer = producerOf(cluster, { acks: 0 });
    expect((await producer.send({ topic: "t", value: "v" })).offset).toBe(-1);
  });
});

describe("consumer", () => {
  async function written(partitions: number, values: readonly string[], options = {}) {
    const cluster = new MemoryCluster();
    cluster.createTopic("t", partitions);
    await using producer = producerOf(cluster, { batchSize: 1_024, ...options });
    await producer.sendBatch(
      "t",
      values.map((value, index) => ({ value, partition: index % partitions, timestamp: index })),
    );
    return cluster;
  }

  it.each(["none", "gzip", "snappy", "lz4", "zstd"] as const)(
    "reads what was written with %s",
    async (compressionType) => {
      const values = numbers(0, 300);
      const cluster = await written(1, values, { compressionType });
      await using consumer = consumerOf(cluster);
      await consumer.assign([{ topic: "t", partition: 0 }]);
      expect(await read(consumer, 300)).toEqual(values);
    },
  );

  it("gives keys, headers, timestamps and nulls as they were written", async () => {
    const cluster = new MemoryCluster();
    cluster.createTopic("t", 1);
    const producer = new Producer<{ id: number }, string | null>({
      bootstrapServers: cluster.bootstrapServers,
      environment: { transport: cluster },
      keySerializer: serializers.json,
      valueSerializer: serializers.string,
    });
    const headers = { trace: "ü", empty: null };
    await producer.send({ topic: "t", key: { id: 1 }, value: null, timestamp: 17, headers });
    await producer.close();
    await using consumer = consumerOf(cluster);
    await consumer.assign([{ topic: "t", partition: 0, offset: 0 }]);
    for await (const message of consumer) {
      expect(message).toMatchObject({ key: '{"id":1}', value: null, timestamp: 17, offset: 0 });
      expect(
        message.headers.map(({ key, value }) => [key, value && Buffer.from(value).toString()]),
      ).toEqual([
        ["trace", "ü"],
        ["empty", null],
      ]);
      break;
    }
  });

  it("begins where it is told: offset, time, beginning, end", async () => {
    const cluster = await written(1, numbers(0, 200));
    await using consumer = consumerOf(cluster);
    await consumer.assign([{ topic: "t", partition: 0, offset: 120 }]);
    expect(await read(consumer, 2)).toEqual(["120", "121"]);
    consumer.seek({ topic: "t", partition: 0, offset: "beginning" });
    expect(await read(consumer, 1)).toEqual(["0"]);
    consumer.seekToTimestamp(10_000);
    const next = read(consumer, 1);
    await expect.poll(() => consumer.position({ topic: "t", partition: 0 })).toBe(200);
    await using producer = producerOf(cluster);
    await producer.send({ topic: "t", value: "new" });
    expect(await next).toEqual(["new"]);
  });

  it("knows after assign where the end was", async () => {
    const cluster = await written(1, numbers(0, 50));
    await using consumer = consumerOf(cluster);
    await consumer.assign([{ topic: "t", partition: 0, offset: "end" }]);
    expect(consumer.position({ topic: "t", partition: 0 })).toBe(50);
    expect(await consumer.beginningOffsets([{ topic: "t", partition: 0 }])).toMatchObject([
      { offset: 0 },
    ]);
    expect(await consumer.endOffsets([{ topic: "t", partition: 0 }])).toMatchObject([
      { offset: 50 },
    ]);
  });

  it("goes on within a batch when iteration is left and begun again", async () => {
    const cluster = await written(1, numbers(0, 100));
    await using consumer = consumerOf(cluster);
    await consumer.assign([{ topic: "t", partition: 0 }]);
    expect(await read(consumer, 3)).toEqual(["0", "1", "2"]);
    expect(consumer.position({ topic: "t", partition: 0 })).toBe(3);
    for await (const batch of consumer.batches()) {
      expect(batch.messages[0]?.value).toBe("3");
      break;
    }
  });

  it("reads everything with little memory and several partitions", async () => {
    const values = numbers(0, 2_000);
    const cluster = await written(4, values);
    await using consumer = consumerOf(cluster, {
      prefetchBytes: 4_096,
      fetchMaxBytes: 2_048,
      maxPartitionFetchBytes: 1_024,
    });
    await consumer.assign([0, 1, 2, 3].map((partition) => ({ topic: "t", partition })));
    const got = await read(consumer, 2_000);
    expect(got.map(Number).sort((left, right) => left - right)).toEqual(values.map(Number));
  });

  it("neither loses nor repeats when connections break and leaders move", async () => {
    const values = numbers(0, 1_000);
    const cluster = await written(2, values);
    await using consumer = consumerOf(cluster, {
      fetchMaxBytes: 2_048,
      maxPartitionFetchBytes: 1_024,
    });
    await consumer.assign([0, 1].map((partition) => ({ topic: "t", partition })));
    const got: number[] = [];
    for await (const { value } of consumer) {
      got.push(Number(value));
      if (got.length === 200) cluster.breakConnections(1);
      if (got.length === 400) cluster.kill(2);
      if (got.length === 1_000) break;
    }
    for (const parity of [0, 1]) {
      expect(got.filter((each) => each % 2 === parity)).toEqual(
        values.map(Number).filter((each) => each % 2 === parity),
      );
    }
  });

  it("leaves a leader that is cut off from the others, whatever that one still says", async () => {
    const cluster = await written(1, numbers(0, 10));
    await using consumer = consumerOf(cluster);
    await consumer.assign([{ topic: "t", partition: 0 }]);
    expect(await read(consumer, 10)).toEqual(numbers(0, 10));
    cluster.cutOff(1);
    cluster.moveLeaders(1);
    await using producer = producerOf(cluster, { bootstrapServers: "memory:2" });
    for (const value of numbers(10, 20)) await producer.send({ topic: "t", partition: 0, value });
    expect(await read(consumer, 10)).toEqual(numbers(10, 20));
  });

  it("delivers nothing of a paused partition and goes on where it stood", async () => {
    const cluster = await written(2, numbers(0, 100));
    await using consumer = consumerOf(cluster);
    await consumer.assign([0, 1].map((partition) => ({ topic: "t", partition })));
    await read(consumer, 1);
    const stood = consumer.position({ topic: "t", partition: 0 });
    consumer.pause([{ topic: "t", partition: 0 }]);
    const odd = await read(consumer, stood === 0 ? 49 : 50);
    expect(odd.every((value) => Number(value) % 2 === 1)).toBe(true);
    expect(consumer.position({ topic: "t", partition: 0 })).toBe(stood);
    consumer.resume([{ topic: "t", partition: 0 }]);
    expect((await read(consumer, 1)).map(Number)).toEqual([(stood as number) * 2]);
  });

  it("resets to where autoOffsetReset says, or throws", async () => {
    const cluster = await written(1, numbers(0, 50));
    const start = [{ topic: "t", partition: 0, offset: 500 }];
    await using strict = consumerOf(cluster, { autoOffsetReset: "none" });
    await strict.assign(start);
    expect(await codeOf(read(strict, 1))).toMatch(/^OFFSET_OUT_OF_RANGE: t-0/);
    await using earliest = consumerOf(cluster, { autoOffsetReset: "earliest" });
    await earliest.assign(start);
    expect(await read(earliest, 1)).toEqual(["0"]);
  });

  it("reads what came in place of what it had read, and not only what follows that", async () => {
    const cluster = await written(1, numbers(0, 300));
    await using consumer = consumerOf(cluster, { autoOffsetReset: "latest" });
    await consumer.assign([{ topic: "t", partition: 0, offset: "beginning" }]);
    expect(await read(consumer, 300)).toHaveLength(300);
    // Elected uncleanly, the new leader has the first batches only, and writes others behind them.
    const partition = cluster.partition("t", 0);
    partition.log = partition.log.filter(({ header }) => header.baseOffset < 100);
    const last = partition.log.at(-1) as (typeof partition.log)[number];
    const cutAt = lastOffset(last.header) + 1;
    expect(cutAt).toBeLessThan(300);
    cluster.moveLeaders(partition.leader);
    const values = numbers(1_000, 1_400);
    await using producer = producerOf(cluster);
    await producer.sendBatch(
      "t",
      values.map((value) => ({ value })),
    );
    expect(await read(consumer, 400)).toEqual(values);
    expect(consumer.position({ topic: "t", partition: 0 })).toBe(cutAt + 400);
  });

  it("throws at a batch whose CRC is wrong, and goes on behind it after a seek", async () => {
    const cluster = await written(1, numbers(0, 200));
    const { log } = cluster.partition("t", 0);
    const second = log[1];
    if (second === undefined) throw new Error("several batches");
    const at = second.bytes.length - 1;
    second.bytes[at] = (second.bytes[at] as number) ^ 1;
    await using consumer = consumerOf(cluster);
    await consumer.assign([{ topic: "t", partition: 0 }]);
    const first = second.header.baseOffset;
    expect(await codeOf(read(consumer, 200))).toBe(
      `CORRUPT_MESSAGE: t-0 at offset ${first}: the batch's CRC-32C is not that of its bytes`,
    );
    consumer.seek({ topic: "t", partition: 0, offset: first + second.header.recordsCount });
    expect(await read(consumer, 1)).toEqual([`${first + second.header.recordsCount}`]);
  });

  it("names the record that a deserializer fails at", async () => {
    const cluster = await written(1, ["1", "2", "x"]);
    await using consumer = new Consumer<Uint8Array | null, unknown>({
      bootstrapServers: cluster.bootstrapServers,
      environment: { transport: cluster },
      valueDeserializer: deserializers.json,
    });
    await consumer.assign([{ topic: "t", partition: 0 }]);
    const iterate = async () => {
      for await (const _ of consumer);
    };
    expect(await codeOf(iterate())).toMatch(
      /^INVALID_RECORD: t-0 at offset 2: the deserializer says/,
    );
  });

  it("ends iteration on close, and with ABORTED on a signal", async () => {
    const cluster = await written(1, []);
    const consumer = consumerOf(cluster);
    await consumer.assign([{ topic: "t", partition: 0 }]);
    const controller = new AbortController();
    const aborted = (async () => {
      for await (const _ of consumer.messages({ signal: controller.signal }));
    })();
    const closed = (async () => {
      for await (const _ of consumer.batches());
      return "ended";
    })();
    controller.abort();
    expect(await codeOf(aborted)).toMatch(/^ABORTED/);
    await consumer.close();
    expect(await closed).toBe("ended");
  });

  it("tells of a topic or partition that is not there", async () => {
    const cluster = await written(1, ["1"]);
    await using consumer = consumerOf(cluster);
    expect(await codeOf(consumer.assign([{ topic: "t", partition: 4 }]))).toBe(
      "UNKNOWN_TOPIC_OR_PARTITION: topic t has no partition 4, allowed are 0 to 0",
    );
    expect(await codeOf(consumer.assign([{ topic: "t", partition: 0, offset: -3 }]))).toMatch(
      /^INVALID_ARGUMENT: offset is -3/,
    );
    expect(() => consumer.seek({ topic: "u", partition: 0, offset: 0 })).toThrow(/assigned/);
  });
});
