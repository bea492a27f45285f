import { beforeEach, describe, expect, test } from "vitest";
import type { ErrorCode } from "../../../src/model/errors.ts";
import type { Batch } from "../../../src/record/batch.ts";
import { DenseBatches } from "../../../src/record/dense-batches.ts";
import { crc32c } from "../../sim/world/sim-codecs.ts";
import { image, partition } from "./cluster-image.ts";
import { ReplicaCluster } from "./replica-cluster.ts";

// Leaders and followers of three brokers over real streams and logs in memory. The test plays the
// controller: it publishes images by hand.

let cluster: ReplicaCluster;

beforeEach(async () => {
  cluster = await ReplicaCluster.start();
});

function texts(id: number, index = 0): string[] {
  const decoder = new TextDecoder();
  return cluster
    .log(id, index)
    .batches.map(({ header, bytes }) => `${header.leaderEpoch}:${decoder.decode(bytes.slice(68))}`);
}

/** Lets the leader's log be compacted: its first batch grows over all that follow. */
function compact(id: number): void {
  const log = cluster.log(id);
  const dense = new DenseBatches({ crc32c, isReferenced: () => false });
  const [first, ...others] = log.batches as [Batch, ...Batch[]];
  dense.keep(first);
  for (const { header } of others) dense.remove(header);
  log.batches = [dense.finish() as Batch];
}

describe("a compacted log", () => {
  test.each([false, true])(
    "is followed from within a batch that has grown (from disk: %s)",
    async (cold) => {
      await cluster.begin(image([partition()]));
      for (const text of ["a", "b", "c"]) cluster.append(1, text);
      await cluster.until(() => cluster.leader(1)?.highWatermark === 3);
      compact(1);
      cluster.log(1).cold = cold;
      const behind = cluster.log(3);
      await behind.truncateTo(2);
      cluster.publish(image([partition({ isr: [1, 2], leaderEpoch: 2, partitionEpoch: 2 })]));
      cluster.append(1, "d");
      await cluster.until(() => behind.logEndOffset === 4);
      expect(behind.batches.map(({ header }) => [header.baseOffset, header.recordsCount])).toEqual([
        [0, 1],
        [1, 1],
        [2, 0],
        [3, 1],
      ]);
      expect(behind.operations).toEqual(["truncate 2"]);
    },
  );
});

describe("a leader and its followers", () => {
  test("every replica gets the same bytes, and the high watermark follows their disks", async () => {
    await cluster.begin(image([partition()]));
    for (const text of ["a", "b", "c"]) cluster.append(1, text);
    await cluster.until(() => cluster.leader(1)?.highWatermark === 3);
    await cluster.until(() => cluster.member(2).manager.get("topic-id", 0)?.highWatermark === 3);
    await cluster.until(() => cluster.member(3).manager.get("topic-id", 0)?.highWatermark === 3);
    for (const id of [2, 3]) {
      expect(cluster.log(id).batches.map(({ bytes }) => bytes)).toEqual(
        cluster.log(1).batches.map(({ bytes }) => bytes),
      );
    }
  });

  // The follower learns of the new leader before the leader does, says once what its disk holds, and
  // has nothing to add while no record comes: what it said must not be lost with the start that waits.
  test("a new leader counts what a follower told it before it began", async () => {
    await cluster.begin(image([partition()]));
    cluster.append(1, "a");
    await cluster.until(
      () => cluster.log(2).durableEndOffset === 1 && cluster.log(3).durableEndOffset === 1,
    );
    const moved = image([partition({ leader: 2, isr: [2, 3], leaderEpoch: 2, partitionEpoch: 2 })]);
    cluster.publish(moved, 3);
    await cluster.run(10);
    expect(cluster.member(2).manager.get("topic-id", 0)?.highWatermark).toBe(0);
    cluster.publish(moved, 1, 2);
    await cluster.until(() => cluster.leader(2)?.highWatermark === 1);
  });

  test("the high watermark waits for each ISR member's disk, not for what it received", async () => {
    await cluster.begin(image([partition()]));
    cluster.log(3).autoSync = false;
    cluster.append(1, "a");
    await cluster.until(() => cluster.log(3).logEndOffset === 1);
    await cluster.run(100);
    expect(cluster.leader(1)?.highWatermark).toBe(0);
    cluster.log(3).sync();
    await cluster.until(() => cluster.leader(1)?.highWatermark === 1);
  });

  test("followers receive a batch before the leader's own disk has it", async () => {
    await cluster.begin(image([partition()]));
    cluster.log(1).autoSync = false;
    cluster.append(1, "a");
    await cluster.until(() => cluster.log(2).durableEndOffset === 1);
    expect(cluster.log(1).durableEndOffset).toBe(0);
    expect(cluster.leader(1)?.highWatermark).toBe(0);
    cluster.log(1).sync();
    expect(cluster.leader(1)?.highWatermark).toBe(0);
    await cluster.until(() => cluster.leader(1)?.highWatermark === 1);
  });

  test("a follower that is far behind catches up from the disk, within the credit window", async () => {
    await cluster.begin(image([partition({ isr: [1, 2] })]));
    cluster.member(3).manager.onMetadata(image([]));
    cluster.log(1).cold = true;
    for (let index = 0; index < 500; index++) cluster.append(1, "x".repeat(50_000));
    await cluster.run(100);
    cluster.publish(image([partition({ isr: [1, 2], partitionEpoch: 2 })]));
    await cluster.run(1);
    await cluster.until(() => cluster.log(3).durableEndOffset === 500);
    await cluster.until(() => cluster.proposals.length > 0);
    expect(cluster.proposals[0]?.partitions[0]?.newIsr.map(({ brokerId }) => brokerId)).toEqual([
      1, 2, 3,
    ]);
  });

  // Few partitions read from disk at a time; others wait until one of them has read.
  test("partitions that wait for the disk are sent also if others find what they need in memory", async () => {
    const all = Array.from({ length: 12 }, (_, index) => index);
    const parts = (partitionEpoch: number) =>
      image(all.map(() => partition({ isr: [1, 2], partitionEpoch })));
    await cluster.begin(parts(1));
    cluster.member(3).manager.onMetadata(image([]));
    await cluster.run(100);
    for (const index of all) {
      for (let count = 0; count < 12; count++) cluster.append(1, "x".repeat(50_000), index);
    }
    await cluster.run(100);
    for (const index of all) {
      const log = cluster.log(1, index);
      log.cold = true;
      log.coldReadsCount = index < 2 ? 2 : 1;
      log.seek = () => cluster.member(1).memory.ports.timers.sleep(10);
    }
    cluster.publish(parts(2));
    await cluster.until(() => all.every((index) => cluster.log(3, index).durableEndOffset === 12));
  });

  test("a follower whose disk stands still is sent one window and no more", async () => {
    await cluster.begin(image([partition()]));
    cluster.log(3).autoSync = false;
    for (let index = 0; index < 300; index++) cluster.append(1, "x".repeat(50_000));
    await cluster.run(1_000);
    const windowBytes = 8 * 1024 * 1024;
    const frameBytes = 256 * 1024;
    expect(cluster.log(3).sizeBytes).toBeGreaterThan(windowBytes - frameBytes);
    expect(cluster.log(3).sizeBytes).toBeLessThan(windowBytes + 2 * frameBytes);
    expect(cluster.log(2).logEndOffset).toBe(300);
    cluster.log(3).autoSync = true;
    cluster.log(3).sync();
    await cluster.until(() => cluster.leader(1)?.highWatermark === 300);
  });

  // It is sent again when an answer is lost: the first copy may have been granted, and moved the epoch.
  test.each([
    ["INVALID_UPDATE_VERSION", 1],
    ["FENCED_LEADER_EPOCH", 1],
    ["INELIGIBLE_REPLICA", 2],
  ] as const)(
    "after %s for a proposal of the ISR the high watermark is %i",
    async (code, reached) => {
      cluster.answer = ({ partitions }) => ({
        partitions: partitions.map(({ topicId, partition: index }) => ({
          topicId,
          partition: index,
          error: { code, message: "" },
        })),
      });
      await cluster.begin(image([partition({ isr: [1, 2] })]));
      cluster.append(1, "a");
      await cluster.until(() => cluster.leader(1)?.highWatermark === 1);
      await cluster.until(() => cluster.proposals.length > 0, 1_000);
      cluster.log(3).autoSync = false;
      cluster.append(1, "b");
      await cluster.until(() => cluster.log(2).durableEndOffset === 2);
      await cluster.run(150);
      expect(cluster.leader(1)?.highWatermark).toBe(reached);
      const { meter } = cluster.member(1).memory;
      const refused = meter.counter("kafka_server_replicamanager_failedisrupdates_total");
      expect(refused).toBe(cluster.proposals.length);
    },
  );

  test("a follower whose stream is gone for two seconds leaves the ISR", async () => {
    await cluster.begin(image([partition()]));
    cluster.member(3).memory.node.crash();
    await cluster.run(1_500);
    expect(cluster.proposals).toEqual([]);
    await cluster.until(() => cluster.proposals.length > 0, 2_500);
    const item = cluster.proposals[0]?.partitions[0];
    expect(item?.newIsr).toEqual([
      { brokerId: 1, brokerEpoch: 11 },
      { brokerId: 2, brokerEpoch: 12 },
    ]);
    expect(item?.leaderEpoch).toBe(1);
    cluster.append(1, "a");
    await cluster.run(200);
    // The change is accepted, but not yet known here: the old ISR still counts.
    expect(cluster.leader(1)?.highWatermark).toBe(0);
    cluster.publish(image([partition({ isr: [1, 2], partitionEpoch: 2 })]), 1, 2);
    expect(cluster.leader(1)?.highWatermark).toBe(1);
  });

  test("many partitions share a stream and all arrive", async () => {
    await cluster.begin(image(Array.from({ length: 40 }, () => partition())));
    for (let round = 0; round < 3; round++) {
      for (let index = 0; index < 40; index++) cluster.append(1, `${round}`, index);
    }
    await cluster.until(() =>
      Array.from({ length: 40 }, (_, index) => cluster.leader(1, index)?.highWatermark).every(
        (highWatermark) => highWatermark === 3,
      ),
    );
  });
});

describe("leader epochs", () => {
  test("a new leader's follower cuts what the old one had more, by epochs", async () => {
    await cluster.begin(image([partition()]));
    cluster.append(1, "a");
    await cluster.until(() => cluster.leader(1)?.highWatermark === 1);
    // The old leader appends while nobody hears it, and is deposed.
    cluster.publish(image([partition({ leader: 2, leaderEpoch: 2, partitionEpoch: 2 })]), 2, 3);
    await cluster.run(50);
    cluster.append(1, "lost");
    cluster.append(1, "lost too");
    cluster.append(2, "b");
    await cluster.run(50);
    cluster.publish(image([partition({ leader: 2, leaderEpoch: 2, partitionEpoch: 2 })]), 1);
    await cluster.until(() => cluster.leader(2)?.highWatermark === 2);
    expect(texts(1)).toEqual(texts(2));
    expect(cluster.log(1).operations).toEqual(["truncate 1"]);
  });

  test("a follower whose metadata is ahead of the leader's waits, and is served when it is there", async () => {
    await cluster.begin(image([partition()]));
    const next = image([partition({ leader: 2, leaderEpoch: 2, partitionEpoch: 2 })]);
    cluster.publish(next, 1, 3);
    await cluster.run(500);
    cluster.publish(next, 2);
    cluster.append(2, "a");
    await cluster.until(() => cluster.leader(2)?.highWatermark === 1, 100);
  });

  test("a follower that waited for its leader joins the ISR though nothing is appended", async () => {
    await cluster.begin(image([partition({ isr: [1, 2] })]));
    const next = { leader: 2, leaderEpoch: 2, partitionEpoch: 2, isr: [2] };
    cluster.publish(image([partition(next)]), 1, 3);
    await cluster.run(500);
    cluster.publish(image([partition(next)]), 2);
    await cluster.until(() => cluster.proposals.length > 0, 1_000);
  });

  test("what waits for an acknowledgement is told when the leader falls", async () => {
    await cluster.begin(image([partition()]));
    cluster.log(3).autoSync = false;
    cluster.append(1, "a");
    const settled: (ErrorCode | undefined)[] = [];
    cluster.leader(1)?.wait(-1, {
      endOffset: 1,
      deadlineMs: 1e9,
      settle: (error) => settled.push(error),
    });
    await cluster.run(50);
    expect(settled).toEqual([]);
    cluster.publish(image([partition({ leader: 2, leaderEpoch: 2, partitionEpoch: 2 })]));
    expect(settled).toEqual(["NOT_LEADER_OR_FOLLOWER"]);
  });

  test("nothing is led in an epoch that is older than this life", async () => {
    // Broker 1's first image names it leader: decided for the life before.
    cluster.publish(image([partition()]));
    await cluster.run(50);
    expect(cluster.leader(1)).toBeUndefined();
    cluster.publish(image([partition({ leaderEpoch: 2, partitionEpoch: 2 })]));
    expect(cluster.leader(1)?.leaderEpoch).toBe(2);
  });

  test("committed records are not given up to a leader that lacks them", async () => {
    await cluster.begin(image([partition()]));
    cluster.append(1, "a");
    cluster.append(1, "b");
    await cluster.until(() => cluster.member(3).manager.get("topic-id", 0)?.highWatermark === 2);
    // Broker 2 loses everything and yet is elected, which a controller must not do.
    await cluster.log(2).resetTo(0);
    const emptied = cluster.log(2);
    emptied.fail();
    await cluster.until(() => cluster.log(2) !== emptied);
    await cluster.run(1);
    cluster.publish(image([partition({ leader: 2, leaderEpoch: 2, partitionEpoch: 2 })]));
    cluster.append(2, "c");
    await cluster.run(500);
    expect(texts(3)).toHaveLength(2);
    expect(
      cluster.member(3).memory.logs.map(({ level, message }) => `${level} ${message}`),
    ).toContain("error the leader lacks committed records; this replica waits");
    // Once an unclean election is on record the leader's log counts.
    cluster.publish(
      image([partition({ leader: 2, leaderEpoch: 3, partitionEpoch: 3 })], {
        uncleanElectionsCount: 1,
      }),
    );
    await cluster.until(() => cluster.log(3).durableEndOffset === 1);
    expect(texts(3)).toEqual(texts(2));
  });
});

describe("log start", () => {
  test("followers take over what delete-records removed", async () => {
    await cluster.begin(image([partition()]));
    for (const text of ["a", "b", "c"]) cluster.append(1, text);
    await cluster.until(() => cluster.leader(1)?.highWatermark === 3);
    await cluster.leader(1)?.raiseLogStart(2);
    await cluster.until(() => cluster.log(2).logStartOffset === 2);
    await cluster.until(() => cluster.log(3).logStartOffset === 2);
    await expect(cluster.leader(1)?.raiseLogStart(4)).rejects.toMatchObject({
      code: "OFFSET_OUT_OF_RANGE",
    });
  });

  test("delete-records waits for every replica in sync, and for no other", async () => {
    await cluster.begin(image([partition()]));
    for (const text of ["a", "b", "c"]) cluster.append(1, text);
    await cluster.until(() => cluster.leader(1)?.highWatermark === 3);
    cluster.holdBack(3);
    let settled = false;
    const deadlineMs = cluster.member(1).memory.ports.clock.monotonicMs() + 60_000;
    const deleted = cluster.leader(1)?.deleteBefore(2, deadlineMs);
    deleted?.then(
      () => {
        settled = true;
      },
      () => undefined,
    );
    await cluster.until(() => cluster.log(2).logStartOffset === 2);
    await cluster.run(100);
    expect(settled).toBe(false);
    expect(cluster.leader(1)?.lowWatermark).toBe(0);
    cluster.publish(image([partition({ isr: [1, 2], partitionEpoch: 2 })]));
    await deleted;
    expect(cluster.leader(1)?.lowWatermark).toBe(2);
  });

  test("delete-records that comes to no end in time is refused", async () => {
    await cluster.begin(image([partition()]));
    cluster.append(1, "a");
    await cluster.until(() => cluster.leader(1)?.highWatermark === 1);
    cluster.holdBack(3);
    const deadlineMs = cluster.member(1).memory.ports.clock.monotonicMs() + 500;
    const refusal = expect(cluster.leader(1)?.deleteBefore(1, deadlineMs)).rejects.toMatchObject({
      code: "REQUEST_TIMED_OUT",
    });
    await cluster.run(600);
    await refusal;
  });

  test("a follower that ends below the leader's start begins anew there", async () => {
    await cluster.begin(image([partition({ replicas: [1, 2], isr: [1, 2] })]));
    for (const text of ["a", "b", "c"]) cluster.append(1, text);
    await cluster.until(() => cluster.leader(1)?.highWatermark === 3);
    await cluster.leader(1)?.raiseLogStart(2);
    cluster.publish(image([partition({ isr: [1, 2], partitionEpoch: 2 })]));
    await cluster.run(1);
    await cluster.until(() => cluster.log(3).logEndOffset === 3);
    expect(cluster.log(3).logStartOffset).toBe(2);
  });

  // With everything deleted no batch shows the follower that it asks too low.
  test("a follower of a log of which nothing is left joins the ISR though nothing is appended", async () => {
    await cluster.begin(image([partition({ replicas: [1, 2], isr: [1, 2] })]));
    for (const text of ["a", "b", "c"]) cluster.append(1, text);
    await cluster.until(() => cluster.leader(1)?.highWatermark === 3);
    await cluster.leader(1)?.raiseLogStart(3);
    cluster.publish(image([partition({ isr: [1, 2], partitionEpoch: 2 })]));
    await cluster.until(() => cluster.proposals.length > 0, 1_000);
    expect(cluster.log(3).logStartOffset).toBe(3);
    expect(cluster.log(3).logEndOffset).toBe(3);
  });
});

describe("storage errors", () => {
  test("a follower whose disk is full is reported, and catches up when there is space", async () => {
    await cluster.begin(image([partition()]));
    cluster.log(3).full = true;
    cluster.append(1, "a");
    await cluster.until(() => cluster.failed.length > 0);
    expect(cluster.failed).toEqual(["topic-id-0"]);
    cluster.publish(image([partition({ isr: [1, 2], partitionEpoch: 2 })]));
    await cluster.until(() => cluster.leader(1)?.highWatermark === 1);
    // Out of the ISR it is nobody's concern: it tries again and again, and says nothing.
    await cluster.run(10_000);
    expect(cluster.failed).toHaveLength(1);
    cluster.log(3).full = false;
    await cluster.until(() => cluster.log(3).durableEndOffset === 1);
  });

  test("a leader whose disk is full is reported, unless nobody could take over", async () => {
    await cluster.begin(image([partition()]));
    cluster.append(1, "a");
    await cluster.until(() => cluster.leader(1)?.highWatermark === 1);
    cluster.log(1).full = true;
    expect(() => cluster.append(1, "b")).toThrow("the disk is full");
    await cluster.until(() => cluster.failed.length === 1);
    // What it has is still read.
    expect(cluster.leader(1)?.highWatermark).toBe(1);

    cluster.publish(image([partition({ isr: [1], partitionEpoch: 2 })]));
    await cluster.run(5_000);
    expect(() => cluster.append(1, "c")).toThrow("the disk is full");
    await cluster.run(1_000);
    expect(cluster.failed).toHaveLength(1);
  });

  test("a failed follower is reported, reopened, and catches up", async () => {
    await cluster.begin(image([partition()]));
    cluster.append(1, "a");
    await cluster.until(() => cluster.leader(1)?.highWatermark === 1);
    cluster.member(3).logs.failOpens = 2;
    cluster.log(3).fail();
    await cluster.until(() => cluster.failed.length > 0);
    expect(cluster.failed).toEqual(["topic-id-0"]);
    cluster.append(1, "b");
    await cluster.until(() => cluster.log(3).durableEndOffset === 2, 20_000);
  });

  // Set aside while it counts, a log could be the last that had what was acknowledged.
  test("a log that cannot be read is given up only once its replica is out of ISR and ELR", async () => {
    await cluster.begin(image([partition()]));
    const { logs } = cluster.member(3);
    const attempts = async (): Promise<boolean | undefined> => {
      const { length } = logs.rebuildable;
      await cluster.until(() => logs.rebuildable.length > length + 1, 60_000);
      return logs.rebuildable.at(-1);
    };
    logs.failOpens = 100;
    cluster.log(3).fail();
    expect(await attempts()).toBe(false);
    cluster.publish(image([partition({ isr: [1], elr: [3], partitionEpoch: 2 })]));
    expect(await attempts()).toBe(false);
    cluster.publish(image([partition({ isr: [1], partitionEpoch: 3 })]));
    expect(await attempts()).toBe(true);
  });

  test("a failed leader does not lead again in its epoch, only in a newer one", async () => {
    await cluster.begin(image([partition()]));
    cluster.append(1, "a");
    await cluster.until(() => cluster.leader(1)?.highWatermark === 1);
    cluster.log(1).fail();
    expect(cluster.leader(1)).toBeUndefined();
    await cluster.run(5_000);
    expect(cluster.member(1).manager.get("topic-id", 0)?.log).toBeDefined();
    expect(cluster.leader(1)).toBeUndefined();
    cluster.publish(image([partition({ leaderEpoch: 2, partitionEpoch: 2 })]));
    expect(cluster.leader(1)?.leaderEpoch).toBe(2);
  });

  // An election that took the log for whole must not make an emptied one the leader.
  test("a log that lost records leads only once the controller knows", async () => {
    await cluster.begin(image([partition()]));
    cluster.append(1, "a");
    await cluster.until(() => cluster.leader(1)?.highWatermark === 1);
    cluster.member(1).logs.lost.add("topic-id-0");
    cluster.log(1).fail();
    await cluster.until(() => cluster.assigned.length > 0);
    expect(cluster.assigned).toMatchObject([{ lost: true }]);
    cluster.publish(image([partition({ leaderEpoch: 2, partitionEpoch: 2 })]));
    expect(cluster.leader(1)).toBeUndefined();
    // The controller answered that it knew from index 100 on.
    cluster.publish({
      ...image([partition({ leaderEpoch: 3, partitionEpoch: 3 })]),
      index: 100,
    });
    expect(cluster.leader(1)?.leaderEpoch).toBe(3);
  });

  test("a topic that is deleted takes its logs with it", async () => {
    await cluster.begin(image([partition()]));
    cluster.publish(image([], { topics: new Map(), topicIds: new Map() }));
    await cluster.run(100);
    for (const { logs } of cluster.members) expect(logs.deleted).toEqual(["topic-id-0"]);
  });
});
