import { describe, expect, test } from "vitest";
import { describeLogDirectories, describeProducersOf } from "../../../src/broker/descriptions.ts";
import { deleteRecordsOf, listOffset } from "../../../src/broker/offsets.ts";
import { ProducerIds } from "../../../src/broker/producer-ids.ts";
import { Topics } from "../../../src/broker/topics.ts";
import { OttlaError } from "../../../src/model/errors.ts";
import { createMemoryPorts } from "../../support/memory-ports.ts";
import { image, partition, TOPIC } from "../runtime/cluster-image.ts";
import { Desk } from "./desk.ts";

describe("descriptions", () => {
  test("of the producers that the leader remembers", async () => {
    const desk = await Desk.start(image([partition()]));
    const given = { producerId: 7, producerEpoch: 2, baseSequence: 0, records: 3, timestamp: 90 };
    await desk.produce(desk.batch("a", given));
    expect(describeProducersOf(desk.partitions, TOPIC, 0)).toEqual({
      error: undefined,
      producers: [{ producerId: 7, producerEpoch: 2, lastSequence: 2, lastTimestamp: 90 }],
    });
    expect(describeProducersOf(desk.partitions, TOPIC, 1)).toMatchObject({
      error: { code: "UNKNOWN_TOPIC_OR_PARTITION" },
      producers: [],
    });
  });

  test("of what lies in which directory", async () => {
    const desk = await Desk.start(image([partition(), partition()]));
    await desk.produce(desk.batch("a"));
    const { manager } = desk.cluster.member(1);
    const logs = {
      directories: ["first", "second"],
      directoryOf: ({ partition: index }: { readonly partition: number }) =>
        index === 0 ? "first" : "second",
      spaces: async () => [{ directory: "/first", freeBytes: 5, totalBytes: 8 }],
    };
    const [first, second] = await describeLogDirectories(logs, manager);
    const sizeBytes = desk.cluster.log(1).sizeBytes;
    expect(first).toEqual({
      path: "/first",
      replicas: [{ topic: TOPIC, partition: 0, sizeBytes, offsetLag: 0 }],
      totalBytes: 8,
      usableBytes: 5,
    });
    expect(second).toMatchObject({ usableBytes: -1, replicas: [{ partition: 1 }] });
  });
});

describe("offsets", () => {
  test("earliest, latest, by time", async () => {
    const desk = await Desk.start(image([partition()]));
    await desk.produce(desk.batch("a", { timestamp: 100 }));
    await desk.produce(desk.batch("b", { timestamp: 200 }));
    const at = async (timestamp: number): Promise<unknown> => {
      const { error, offset } = await listOffset(desk.partitions, {
        topic: TOPIC,
        partition: 0,
        timestamp,
      });
      return error?.code ?? offset;
    };
    expect(await at(-2)).toBe(0);
    expect(await at(-1)).toBe(2);
    expect(await at(150)).toBe(1);
    expect(await at(300)).toBe(-1);
    expect(await at(-4)).toBe("INVALID_REQUEST");
  });

  test("a new leader does not say what is latest before it has caught up", async () => {
    // Else a consumer that had read further under the old leader would see the end move back.
    const desk = await Desk.start(image([partition({ leader: 2 })]));
    desk.cluster.append(2, "a");
    desk.cluster.log(3).autoSync = false;
    await desk.cluster.until(() => desk.cluster.log(1).durableEndOffset === 1);
    await desk.publish(image([partition({ leaderEpoch: 2, partitionEpoch: 2 })]));
    const latest = { topic: TOPIC, partition: 0, timestamp: -1 };
    expect((await listOffset(desk.partitions, latest)).error?.code).toBe("OFFSET_NOT_AVAILABLE");
    desk.cluster.log(3).sync();
    await desk.cluster.until(() => desk.cluster.leader(1)?.highWatermark === 1);
    expect((await listOffset(desk.partitions, latest)).offset).toBe(1);
  });

  test("delete-records raises the start, never above the high watermark", async () => {
    const desk = await Desk.start(image([partition()]));
    for (const text of ["a", "b", "c"]) await desk.produce(desk.batch(text));
    const { world } = desk.cluster.member(1).memory;
    const remove = (beforeOffset: number) =>
      world.settle(
        deleteRecordsOf(
          desk.ports,
          desk.partitions,
          { topic: TOPIC, partition: 0, beforeOffset },
          1_000,
        ),
      );
    expect(await remove(2)).toMatchObject({ error: undefined, lowWatermark: 2 });
    expect((await remove(4)).error?.code).toBe("OFFSET_OUT_OF_RANGE");
    expect((await remove(-2)).error?.code).toBe("OFFSET_OUT_OF_RANGE");
    expect(await remove(-1)).toMatchObject({ lowWatermark: 3 });
  });
});

describe("producer ids", () => {
  test("come from blocks, each once; the next block is fetched before the last id is gone", async () => {
    let blocks = 0;
    const ids = new ProducerIds(async () => ({ start: 100 * blocks++, count: 100 }));
    const given = new Set<number>();
    for (let index = 0; index < 95; index++) given.add((await ids.init()).producerId);
    expect(blocks).toBe(2);
    const rest = await Promise.all(Array.from({ length: 205 }, () => ids.init()));
    for (const { producerId } of rest) given.add(producerId);
    expect(given.size).toBe(300);
  });

  test("a failed allocation is told to those who need it, and tried again", async () => {
    let fails = true;
    const ids = new ProducerIds(async () => {
      if (fails) throw new OttlaError("NO_QUORUM", "no controller");
      return { start: 0, count: 10 };
    });
    await expect(ids.init()).rejects.toMatchObject({ code: "NO_QUORUM" });
    fails = false;
    expect(await ids.init()).toEqual({ producerId: 0, producerEpoch: 0 });
  });
});

describe("topics", () => {
  const known = image([partition()]);
  const nothing = image([], { topics: new Map(), topicIds: new Map() });

  function topics(options: { autoCreate?: boolean; error?: "INVALID_TOPIC_EXCEPTION" } = {}) {
    const memory = createMemoryPorts({ auto: false });
    let current = nothing;
    const asked: string[] = [];
    const found = new Topics(memory.ports, {
      image: () => current,
      autoCreate: options.autoCreate ?? true,
      internalTopic: () => undefined,
      timeoutMs: 1_000,
      createTopics: async ({ topics: wanted }) => {
        asked.push(...wanted.map(({ name }) => name));
        const error = options.error === undefined ? null : { code: options.error, message: "no" };
        return {
          topics: wanted.map(({ name }) => ({
            name,
            error,
            topicId: "topic-id",
            partitionsCount: 1,
            replicationFactor: 3,
          })),
        };
      },
    });
    return {
      memory,
      asked,
      found,
      publish: () => {
        current = known;
        found.onMetadata();
      },
    };
  }

  test("a missing topic is created once for all who ask, and told once it is known here", async () => {
    const { memory, asked, found, publish } = topics();
    const both = Promise.all([found.find([TOPIC], true), found.find([TOPIC], true)]);
    await memory.world.runFor(10);
    publish();
    const [first, second] = await memory.world.settle(both);
    expect(first?.[0]).toBe(known.topics.get("topic-id"));
    expect(second?.[0]).toBe(first?.[0]);
    expect(asked).toEqual([TOPIC]);
  });

  test("only if both the caller and auto.create.topics.enable allow it", async () => {
    const refused = [{ name: TOPIC, code: "UNKNOWN_TOPIC_OR_PARTITION" }];
    expect(await topics().found.find([TOPIC], false)).toMatchObject(refused);
    expect(await topics({ autoCreate: false }).found.find([TOPIC], true)).toMatchObject(refused);
  });

  test("the controller's refusal, and metadata that does not come, are told", async () => {
    const refused = topics({ error: "INVALID_TOPIC_EXCEPTION" });
    expect(await refused.found.find(["."], true)).toMatchObject([
      { code: "INVALID_TOPIC_EXCEPTION" },
    ]);
    const late = topics();
    const waiting = late.found.find([TOPIC], true);
    expect(await late.memory.world.settle(waiting)).toMatchObject([
      { code: "LEADER_NOT_AVAILABLE" },
    ]);
  });
});
