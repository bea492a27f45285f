/** Brokers die, stop, freeze and lose their disks while records flow. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Admin, Consumer, Producer, type RecordMetadata } from "../../src/client/index.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { RawClient, rawBatch } from "../support/raw-client.ts";

const TOPIC = "flow";
const PARTITIONS = 3;

let cluster: Cluster;
let admin: Admin;

beforeEach(async () => {
  cluster = await startCluster({ brokers: 3 });
  admin = new Admin({ bootstrapServers: cluster.bootstrapServers });
  await admin.createTopics([{ name: TOPIC, partitions: PARTITIONS, replicationFactor: 3 }]);
});

afterEach(async () => {
  await admin.close();
  await cluster.stop();
});

/** Sends numbered records without pause until `stop`; remembers where each was acknowledged. */
class Flow {
  readonly #producer = new Producer({ bootstrapServers: cluster.bootstrapServers });
  readonly acknowledged = new Map<number, RecordMetadata>();
  readonly failures: unknown[] = [];
  readonly #running: Promise<void>;
  #sent = 0;
  #stopped = false;

  constructor() {
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    const pending = new Set<Promise<void>>();
    while (!this.#stopped as boolean) {
      const number = this.#sent++;
      const sending = this.#producer
        .send({ topic: TOPIC, key: `k${number % 50}`, value: String(number) })
        .then((place) => void this.acknowledged.set(number, place))
        .catch((thrown: unknown) => void this.failures.push(thrown))
        .finally(() => pending.delete(sending));
      pending.add(sending);
      if (pending.size >= 500) await Promise.race(pending);
      if (number % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await Promise.all(pending);
  }

  /** Every partition has been written to since now. */
  async flows(): Promise<void> {
    const before = this.acknowledged.size;
    const waiting = new Set(Array.from({ length: PARTITIONS }, (_, partition) => partition));
    let seen = before;
    await eventually("records flow in every partition", () => {
      for (const place of [...this.acknowledged.values()].slice(seen)) {
        waiting.delete(place.partition);
      }
      seen = this.acknowledged.size;
      return waiting.size === 0 && seen > before + 500;
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    await this.#producer.close();
  }
}

async function partitions() {
  const [topic] = await admin.describeTopics([TOPIC]);
  return topic?.partitions ?? [];
}

async function whole(): Promise<void> {
  await eventually("every replica is in sync", async () =>
    (await partitions()).every(({ isr, leader }) => leader >= 0 && isr.length === 3),
  );
}

/** Every acknowledged record is there exactly once, where it was said to be, in order of its key. */
async function verify(flow: Flow): Promise<void> {
  expect(flow.failures).toEqual([]);
  const queries = Array.from({ length: PARTITIONS }, (_, partition) => ({
    topic: TOPIC,
    partition,
  }));
  await using consumer = new Consumer({ bootstrapServers: cluster.bootstrapServers });
  await consumer.assign(queries.map((each) => ({ ...each, offset: "beginning" as const })));
  const ends = await consumer.endOffsets(queries);
  let left = ends.reduce((sum, { offset }) => sum + offset, 0);
  const places = new Map<number, string>();
  const lastOfKey = new Map<string, number>();
  for await (const { key, offset, partition, value } of consumer) {
    const number = Number(Buffer.from(value as Uint8Array).toString());
    expect(places.has(number), `record ${number} twice`).toBe(false);
    places.set(number, `${partition}:${offset}`);
    const name = Buffer.from(key as Uint8Array).toString();
    expect(lastOfKey.get(name) ?? -1).toBeLessThan(number);
    lastOfKey.set(name, number);
    if (--left === 0) break;
  }
  for (const [number, place] of flow.acknowledged) {
    expect(places.get(number)).toBe(`${place.partition}:${place.offset}`);
  }
}

describe("failover", () => {
  it("loses nothing when a leader is killed, twice", async () => {
    const flow = new Flow();
    for (let kill = 0; kill < 2; kill++) {
      await flow.flows();
      const { controllerId } = await admin.describeCluster();
      const leader = (await partitions()).find((each) => each.leader !== controllerId)?.leader;
      const victim = leader ?? controllerId;
      await cluster.killBroker(victim);
      await flow.flows();
      await cluster.startBroker(victim);
      await whole();
    }
    await flow.stop();
    await verify(flow);
  });

  it("loses nothing when the active controller is killed", async () => {
    const flow = new Flow();
    await flow.flows();
    const { controllerId } = await admin.describeCluster();
    await cluster.killBroker(controllerId);
    await flow.flows();
    await eventually("another controller is active", async () => {
      const now = (await admin.describeCluster()).controllerId;
      return now !== controllerId && now >= 0;
    });
    await cluster.startBroker(controllerId);
    await whole();
    await flow.stop();
    await verify(flow);
  });

  it("fails no send when brokers are stopped in turn, and preferred leaders come back", async () => {
    const flow = new Flow();
    for (const id of cluster.brokerIds) {
      await flow.flows();
      expect(await cluster.stopBroker(id)).toBe(0);
      await flow.flows();
      await cluster.startBroker(id);
      await whole();
    }
    await flow.stop();
    await verify(flow);
    await admin.electLeaders({ type: "preferred" });
    await eventually("preferred leaders lead", async () =>
      (await partitions()).every(({ leader, replicas }) => leader === replicas[0]),
    );
  });

  it("goes on without a broker that is frozen, and takes it back", async () => {
    const flow = new Flow();
    await flow.flows();
    const victim = (await partitions())[0]?.leader as number;
    cluster.freezeBroker(victim);
    await flow.flows();
    cluster.thawBroker(victim);
    await whole();
    await flow.stop();
    await verify(flow);
  });

  it("rebuilds a broker whose disk was lost", async () => {
    const flow = new Flow();
    await flow.flows();
    await cluster.killBroker(3);
    await cluster.wipeBroker(3);
    await flow.flows();
    await cluster.startBroker(3);
    await whole();
    await flow.stop();
    // What the others acknowledged is now on the new disk too: it serves alone.
    await cluster.killBroker(1);
    await verify(flow);
    await eventually("the wiped voter votes again", async () => {
      const { quorum } = await admin.describeCluster();
      return quorum?.voters.some(({ id }) => id === 3) === true;
    });
  });

  it("loses nothing when all brokers are killed at once", async () => {
    const flow = new Flow();
    for (let round = 0; round < 2; round++) {
      await flow.flows();
      await Promise.all(cluster.brokerIds.map((id) => cluster.killBroker(id)));
      await Promise.all(cluster.brokerIds.map((id) => cluster.startBroker(id)));
      await flow.flows();
    }
    await whole();
    await flow.stop();
    await verify(flow);
  });

  it("answers a repeated batch with its first offset, from the next leader too", async () => {
    const batch = rawBatch([{ value: "once" }], {
      producerId: 800_000,
      producerEpoch: 0,
      baseSequence: 0,
    });
    const produce = async () => {
      const leader = (await partitions())[0]?.leader as number;
      const raw = new RawClient(cluster.portsOf(leader).grpcPort);
      try {
        return { leader, result: await raw.produceOnceLed({ topic: TOPIC, batch }) };
      } finally {
        raw.close();
      }
    };
    // The ones before this killed brokers: two must be in the ISR once this one has killed its own.
    await eventually("every replica is in the ISR", async () =>
      (await partitions()).every(({ isr, replicas }) => isr.length === replicas.length),
    );
    const first = await produce();
    expect(first.result.error).toBeNull();
    await cluster.killBroker(first.leader);
    await eventually("another broker leads", async () => {
      const leader = (await partitions())[0]?.leader;
      return leader !== first.leader && leader !== -1;
    });
    const second = await produce();
    expect(second.leader).not.toBe(first.leader);
    expect(second.result.error).toBeNull();
    expect(second.result.baseOffset).toBe(first.result.baseOffset);
  });
});
