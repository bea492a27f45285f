/**
 * One voter's controller, with a log that commits when told and brokers that the test plays, on
 * virtual time: who is fenced when, what an answer waits for, and what a fallen controller forgets.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { Controller } from "../../../src/controller/controller.ts";
import type {
  ControllerRequestName,
  ControllerRequests,
  RegisterBroker,
} from "../../../src/metadata/commands.ts";
import { type MetadataImage, topicByName } from "../../../src/metadata/image.ts";
import { checkImage } from "../../../src/metadata/invariants.ts";
import type { PartitionState } from "../../../src/metadata/records.ts";
import type {
  ControllerDown,
  ControllerUp,
  Heartbeat,
} from "../../../src/metadata/session-messages.ts";
import { parseBrokerConfig } from "../../../src/model/parse-broker-config.ts";
import type { PeerStream } from "../../../src/ports/peer-network.ts";
import { MetadataLoader } from "../../../src/runtime/metadata-loader.ts";
import { FakeMetadataLog } from "../../support/fake-metadata-log.ts";
import { createMemoryPorts, type MemoryPorts } from "../../support/memory-ports.ts";

type Status = Extract<ControllerDown, { readonly type: "status" }>;
type Reply = Extract<ControllerDown, { readonly type: "reply" }>;

let memory: MemoryPorts;
let loader: MetadataLoader;
let controller: Controller;
let log: FakeMetadataLog;

beforeEach(() => {
  start({});
});

function start(properties: Record<string, string>): void {
  memory = createMemoryPorts({ auto: false });
  loader = new MetadataLoader({ ports: memory.ports });
  controller = new Controller({
    ports: memory.ports,
    config: parseBrokerConfig(
      new Map(Object.entries({ "node.id": "1", "log.dirs": "/data", ...properties })),
    ),
    loader,
    log: () => log,
  });
  log = new FakeMetadataLog(1, loader);
}

/** A broker as the controller sees it: a stream, heartbeats, and what it was told. */
class PlayedBroker {
  readonly id: number;
  readonly incarnationId: string;
  epoch = -1;
  wantFence = false;
  wantShutdown = false;
  readonly statuses: Status[] = [];
  readonly #replies = new Map<number, Reply>();
  #requestsCount = 0;
  #stream: PeerStream<ControllerDown, ControllerUp> | undefined;

  constructor(id: number, life = 1) {
    this.id = id;
    this.incarnationId = `broker-${id}-life-${life}`;
    this.connect();
  }

  get status(): Status | undefined {
    return this.statuses.at(-1);
  }

  connect(): void {
    const stream: PeerStream<ControllerDown, ControllerUp> = {
      send: (message) => {
        if (message.type === "status") this.statuses.push(message);
        else this.#replies.set(message.id, message);
        return true;
      },
      close: () => {
        this.#stream = undefined;
      },
      onMessage: () => undefined,
      onDrain: () => undefined,
      onEnd: () => undefined,
    };
    this.#stream = stream;
    controller.accept(stream);
  }

  get connected(): boolean {
    return this.#stream !== undefined;
  }

  breakStream(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.onEnd("broken");
  }

  say(message: unknown): void {
    this.#stream?.onMessage(message as ControllerUp);
  }

  heartbeat(overrides: Partial<Heartbeat> = {}): void {
    this.say({
      type: "heartbeat",
      brokerId: this.id,
      incarnationId: this.incarnationId,
      brokerEpoch: this.epoch,
      appliedIndex: loader.image.index,
      wantFence: this.wantFence,
      wantShutdown: this.wantShutdown,
      ...overrides,
    });
  }

  /** Sends the request as JSON would carry it. */
  send(name: string, body: unknown): number {
    const id = ++this.#requestsCount;
    const carried: unknown = JSON.parse(JSON.stringify(body));
    this.say({ type: "request", id, name, body: carried, timeoutMs: 1_000 });
    return id;
  }

  async replyTo(id: number): Promise<Reply | undefined> {
    await settle();
    return this.#replies.get(id);
  }

  async ask<Name extends ControllerRequestName>(
    name: Name,
    body: ControllerRequests[Name]["request"],
  ): Promise<ControllerRequests[Name]["reply"]> {
    const reply = await this.replyTo(this.send(name, body));
    if (reply === undefined) throw new Error(`${name} was not answered`);
    if (reply.error !== null) throw new Error(reply.error.code);
    return reply.body as ControllerRequests[Name]["reply"];
  }

  registration(overrides: Partial<RegisterBroker> = {}): RegisterBroker {
    return {
      brokerId: this.id,
      incarnationId: this.incarnationId,
      clusterId: undefined,
      endpoints: [{ name: "INTERNAL", host: "localhost", port: 9392 }],
      rack: null,
      directories: [`directory-${this.id}`],
      features: [1, 1],
      cleanShutdownEpoch: -1,
      lostReplicas: [],
      ...overrides,
    };
  }

  async register(): Promise<void> {
    ({ brokerEpoch: this.epoch } = await this.ask("register-broker", this.registration()));
  }

  async join(): Promise<this> {
    this.heartbeat();
    await this.register();
    this.heartbeat();
    await settle();
    return this;
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

/** Virtual time with heartbeats from `brokers`. */
async function run(durationMs: number, ...brokers: readonly PlayedBroker[]): Promise<void> {
  for (let elapsed = 0; elapsed < durationMs; elapsed += 50) {
    for (const broker of brokers) if (elapsed % 250 === 0) broker.heartbeat();
    await memory.world.runFor(Math.min(50, durationMs - elapsed));
  }
  await settle();
}

async function createTopic(broker: PlayedBroker, assignment: readonly number[][]): Promise<void> {
  const { topics } = await broker.ask("create-topics", {
    topics: [{ name: "t", partitionsCount: -1, replicationFactor: -1, assignment, configs: {} }],
    validateOnly: false,
  });
  expect(topics[0]?.error).toBeNull();
}

function partition(): PartitionState {
  return topicByName(loader.image, "t")?.partitions[0] as PartitionState;
}

function fenced(id: number): boolean | undefined {
  return (loader.image as MetadataImage).brokers.get(id)?.fenced;
}

async function cluster(): Promise<readonly [PlayedBroker, PlayedBroker, PlayedBroker]> {
  log.lead();
  const brokers = [
    await new PlayedBroker(1).join(),
    await new PlayedBroker(2).join(),
    await new PlayedBroker(3).join(),
  ] as const;
  await createTopic(brokers[0], [[1, 2, 3]]);
  return brokers;
}

describe("the first controller of a cluster", () => {
  it("writes version, cluster id and min.insync.replicas before anything else", async () => {
    start({ "min.insync.replicas": "3" });
    log.lead();
    await settle();
    const { metadataVersion, clusterId, configs } = loader.image;
    expect(metadataVersion).toBe(1);
    expect(clusterId).toHaveLength(22);
    expect(configs.get("broker:")?.get("min.insync.replicas")).toBe("3");
  });

  it("does so once: a second term finds the cluster", async () => {
    log.lead();
    await settle();
    const { clusterId } = loader.image;
    log.fall();
    log.lead();
    await settle();
    expect(loader.image.clusterId).toBe(clusterId);
  });
});

describe("registration", () => {
  it("unfences a broker once it has applied its own registration", async () => {
    log.lead();
    const broker = new PlayedBroker(1);
    broker.heartbeat();
    expect(broker.status).toMatchObject({ active: true, registered: false });
    const { brokerEpoch, index } = await broker.ask("register-broker", broker.registration());
    broker.epoch = brokerEpoch;
    expect(fenced(1)).toBe(true);
    broker.heartbeat({ appliedIndex: index - 1 });
    await settle();
    expect(fenced(1)).toBe(true);
    broker.wantFence = true;
    broker.heartbeat();
    await settle();
    expect(fenced(1)).toBe(true);
    broker.wantFence = false;
    broker.heartbeat();
    await settle();
    expect(fenced(1)).toBe(false);
    expect(broker.status).toMatchObject({ registered: true, fenced: false });
  });

  it("keeps the epoch of a life that asks again, and refuses another life beside it", async () => {
    log.lead();
    const broker = await new PlayedBroker(1).join();
    const { epoch } = broker;
    await broker.register();
    expect(broker.epoch).toBe(epoch);
    const other = new PlayedBroker(1, 2);
    other.heartbeat();
    await expect(other.register()).rejects.toThrow("DUPLICATE_BROKER_REGISTRATION");
    broker.breakStream();
    await run(350);
    await other.register();
    expect(other.epoch).toBe(epoch + 1);
    await expect(
      broker
        .replyTo(1)
        .then(() => other.ask("allocate-producer-ids", { brokerId: 1, brokerEpoch: epoch })),
    ).rejects.toThrow("STALE_BROKER_EPOCH");
  });

  it("of another cluster is refused", async () => {
    log.lead();
    const broker = new PlayedBroker(1);
    broker.heartbeat();
    await expect(
      broker.ask("register-broker", broker.registration({ clusterId: "other" })),
    ).rejects.toThrow("INCONSISTENT_CLUSTER_ID");
  });
});

describe("fencing", () => {
  it("follows a broken stream after the time to come back, with new leaders in one entry", async () => {
    const [first, second, third] = await cluster();
    expect(partition().leader).toBe(1);
    const entries = log.committed.length;
    first.breakStream();
    await run(250, second, third);
    expect(fenced(1)).toBe(false);
    await run(100, second, third);
    expect(fenced(1)).toBe(true);
    expect(partition()).toMatchObject({ leader: 2, isr: [2, 3], leaderEpoch: 1 });
    expect(log.committed.length).toBe(entries + 1);
    expect(checkImage(loader.image)).toEqual([]);
  });

  it("spares a broker whose stream comes back in time", async () => {
    const [first, second, third] = await cluster();
    first.breakStream();
    await run(200, second, third);
    first.connect();
    first.heartbeat();
    await run(1_000, first, second, third);
    expect(fenced(1)).toBe(false);
    expect(partition().leaderEpoch).toBe(0);
  });

  it("follows a session timeout of silence on an open stream", async () => {
    const [, second, third] = await cluster();
    await run(1_900, second, third);
    expect(fenced(1)).toBe(false);
    await run(300, second, third);
    expect(fenced(1)).toBe(true);
  });

  it("accuses nobody after a stall of this process before it has listened", async () => {
    const brokers = await cluster();
    memory.node.pause();
    await memory.world.runFor(5_000);
    memory.node.resume();
    await memory.world.runFor(10);
    await run(1_000, ...brokers);
    expect(brokers.map(({ id }) => fenced(id))).toEqual([false, false, false]);
    expect(partition().leaderEpoch).toBe(0);
  });

  it("by a new controller goes by what it heard itself", async () => {
    const [first, second, third] = await cluster();
    log.fall();
    first.breakStream();
    await run(400, second, third);
    log.lead();
    await settle();
    expect(fenced(1)).toBe(true);
    expect(partition().leader).toBe(2);
    expect(fenced(2)).toBe(false);
  });

  it("gives a broker that it never heard a whole session to come", async () => {
    const [, second, third] = await cluster();
    // The same log on another voter, which only two of the brokers reach.
    const entries = [...log.committed];
    start({});
    loader.apply(entries);
    const others = [second, third].map((broker) => {
      broker.connect();
      return broker;
    });
    log.lead();
    await run(1_900, ...others);
    expect(fenced(1)).toBe(false);
    await run(300, ...others);
    expect(fenced(1)).toBe(true);
    expect(partition()).toMatchObject({ leader: 2, isr: [2, 3] });
  });

  it("and unfencing again needs no new registration, only the metadata of the fence", async () => {
    const [first, second, third] = await cluster();
    first.breakStream();
    await run(350, second, third);
    const { index } = loader.image;
    first.connect();
    first.heartbeat({ appliedIndex: index - 1 });
    await settle();
    expect(fenced(1)).toBe(true);
    first.heartbeat();
    await settle();
    expect(fenced(1)).toBe(false);
    expect(loader.image.brokers.get(1)?.epoch).toBe(first.epoch);
  });

  it("happens at once when a broker says that its storage hangs", async () => {
    const [first] = await cluster();
    first.wantFence = true;
    first.heartbeat();
    await settle();
    expect(fenced(1)).toBe(true);
    expect(partition().leader).toBe(2);
  });
});

describe("controlled shutdown", () => {
  it("moves leaders away, and then lets the broker go", async () => {
    const [first, ...others] = await cluster();
    first.wantShutdown = true;
    first.heartbeat();
    await settle();
    expect(partition()).toMatchObject({ leader: 2, isr: [2, 3] });
    expect(first.status?.mayShutDown).toBe(true);
    expect(loader.image.brokers.get(1)).toMatchObject({ inControlledShutdown: true });
    first.breakStream();
    await run(400, ...others);
    expect(fenced(1)).toBe(true);
  });

  it("does not wait for partitions that nobody else can lead", async () => {
    log.lead();
    const only = await new PlayedBroker(1).join();
    await createTopic(only, [[1]]);
    only.wantShutdown = true;
    only.heartbeat();
    await settle();
    expect(only.status?.mayShutDown).toBe(true);
    expect(partition().leader).toBe(1);
  });
});

describe("requests", () => {
  it("are refused by a controller that is not active", async () => {
    const broker = new PlayedBroker(1);
    broker.heartbeat();
    expect(broker.status).toMatchObject({ active: false });
    await expect(broker.register()).rejects.toThrow("NOT_CONTROLLER");
  });

  it("may be many under way; each is decided on what those before it will have done", async () => {
    const [first] = await cluster();
    log.held = true;
    const create = first.send("create-topics", {
      topics: [
        { name: "u", partitionsCount: 1, replicationFactor: 3, assignment: [], configs: {} },
      ],
      validateOnly: false,
    });
    const again = first.send("create-topics", {
      topics: [
        { name: "u", partitionsCount: 1, replicationFactor: 3, assignment: [], configs: {} },
      ],
      validateOnly: false,
    });
    const grow = first.send("create-partitions", {
      topic: "u",
      partitionsCount: 3,
      assignment: [],
      validateOnly: false,
    });
    // Nothing is answered before it is true, not even a refusal that rests on what is under way.
    expect(await first.replyTo(create)).toBeUndefined();
    expect(await first.replyTo(again)).toBeUndefined();
    log.commit();
    expect(await first.replyTo(create)).toMatchObject({ error: null });
    expect((await first.replyTo(again))?.body).toMatchObject({
      topics: [{ error: { code: "TOPIC_ALREADY_EXISTS" } }],
    });
    expect(await first.replyTo(grow)).toMatchObject({ error: null });
    expect(topicByName(loader.image, "u")?.partitions).toHaveLength(3);
  });

  it("that were under way when the term ended are unknown, and their image is forgotten", async () => {
    const [first] = await cluster();
    log.held = true;
    const id = first.send("allocate-producer-ids", { brokerId: 1, brokerEpoch: first.epoch });
    await settle();
    expect(log.waitingCount).toBe(1);
    log.fall();
    expect(await first.replyTo(id)).toMatchObject({ error: { code: "NOT_CONTROLLER" } });
    expect(first.status).toMatchObject({ active: false });
    log.held = false;
    log.lead();
    expect(first.status).toMatchObject({ active: true });
    const { start: from } = await first.ask("allocate-producer-ids", {
      brokerId: 1,
      brokerEpoch: first.epoch,
    });
    expect(from).toBe(0);
  });

  it("go on after leadership was offered to a voter that did not take it", async () => {
    const [first] = await cluster();
    log.held = true;
    const before = first.send("allocate-producer-ids", { brokerId: 1, brokerEpoch: first.epoch });
    log.refusing = true;
    const during = first.send("allocate-producer-ids", { brokerId: 1, brokerEpoch: first.epoch });
    expect(await first.replyTo(during)).toMatchObject({ error: { code: "NOT_CONTROLLER" } });
    log.refusing = false;
    await expect(
      first.ask("allocate-producer-ids", { brokerId: 1, brokerEpoch: first.epoch }),
    ).rejects.toThrow("NOT_CONTROLLER");
    log.held = false;
    log.commit();
    expect((await first.replyTo(before))?.body).toEqual({ start: 0, count: 1000 });
    const { start: from } = await first.ask("allocate-producer-ids", {
      brokerId: 1,
      brokerEpoch: first.epoch,
    });
    expect(from).toBe(1000);
  });

  it("of a wrong shape are refused by name of the field, and the session goes on", async () => {
    const [first] = await cluster();
    const id = first.send("create-topics", { topics: [{ name: 7 }], validateOnly: false });
    const reply = await first.replyTo(id);
    expect(reply?.error).toMatchObject({ code: "INVALID_REQUEST", field: "topics[0].name" });
    const unknown = await first.replyTo(first.send("__proto__", {}));
    expect(unknown?.error).toMatchObject({ code: "INVALID_REQUEST", field: "name" });
    expect(first.connected).toBe(true);
  });

  it("describe the quorum", async () => {
    const [first] = await cluster();
    const quorum = await first.ask("describe-quorum", {});
    expect(quorum).toMatchObject({
      leaderId: 1,
      voters: [{ id: 1, lastContactMs: 0 }],
      observers: [{ id: 9, lastContactMs: 5 }],
    });
  });
});

describe("a session", () => {
  it("that says what is no heartbeat is ended", () => {
    log.lead();
    const broker = new PlayedBroker(1);
    broker.heartbeat({ brokerId: -5 });
    expect(broker.connected).toBe(false);
  });

  it("belongs to one life of one broker", () => {
    log.lead();
    const broker = new PlayedBroker(1);
    broker.heartbeat();
    broker.heartbeat({ incarnationId: "another" });
    expect(broker.connected).toBe(false);
  });
});

describe("what people see", () => {
  it("gauges are the active controller's alone", async () => {
    const [first, second, third] = await cluster();
    first.breakStream();
    await run(400, second, third);
    const index = loader.image.index;
    const everybodys = (isActive: number): [string, number][] => [
      ["kafka_controller_kafkacontroller_activecontrollercount{}", isActive],
      ["kafka_controller_kafkacontroller_lastappliedrecordoffset{}", index],
      ["kafka_controller_kafkacontroller_lastcommittedrecordoffset{}", index],
    ];
    expect(memory.meter.collect()).toEqual(
      new Map([
        ...everybodys(1),
        ["kafka_controller_kafkacontroller_activebrokercount{}", 2],
        ["kafka_controller_kafkacontroller_fencedbrokercount{}", 1],
        ["kafka_controller_kafkacontroller_globaltopiccount{}", 1],
        ["kafka_controller_kafkacontroller_globalpartitioncount{}", 1],
        ["kafka_controller_kafkacontroller_offlinepartitionscount{}", 0],
        // Another replica took over from the broker that fell silent.
        ["kafka_controller_kafkacontroller_preferredreplicaimbalancecount{}", 1],
        ["ottla_controller_pending_requests{}", 0],
      ]),
    );
    const elections = memory.meter.counter("ottla_controller_leader_elections_total", {
      kind: "clean",
    });
    expect(elections).toBe(1);
    log.fall();
    expect(memory.meter.collect()).toEqual(new Map(everybodys(0)));
  });

  it("an unclean election is counted and logged", async () => {
    log.lead();
    const broker = await new PlayedBroker(1).join();
    await createTopic(broker, [[1]]);
    const topicId = topicByName(loader.image, "t")?.id ?? "";
    broker.breakStream();
    await run(350);
    const next = new PlayedBroker(1, 2);
    next.heartbeat();
    const lostReplicas = [{ topicId, partition: 0 }];
    const registration = next.registration({ lostReplicas });
    ({ brokerEpoch: next.epoch } = await next.ask("register-broker", registration));
    next.heartbeat();
    await settle();
    expect(partition()).toMatchObject({ leader: -1, lastKnownLeader: 1 });
    await next.ask("elect-leaders", {
      type: "unclean",
      partitions: [{ topic: "t", partition: 0 }],
    });
    expect(partition().leader).toBe(1);
    expect(
      memory.meter.counter("kafka_controller_controllerstats_uncleanleaderelections_total"),
    ).toBe(1);
    const kind = "unclean";
    expect(memory.meter.counter("ottla_controller_leader_elections_total", { kind })).toBe(1);
    expect(memory.logs.some(({ message }) => message.startsWith("unclean election"))).toBe(true);
  });
});

describe("preferred leaders", () => {
  it("are taken back periodically", async () => {
    start({ "leader.imbalance.check.interval.seconds": "10" });
    const [first, second, third] = await cluster();
    first.breakStream();
    await run(350, second, third);
    first.connect();
    first.heartbeat();
    await settle();
    const state = partition();
    await second.ask("alter-partition", {
      brokerId: 2,
      brokerEpoch: second.epoch,
      partitions: [
        {
          topicId: topicByName(loader.image, "t")?.id ?? "",
          partition: 0,
          leaderEpoch: state.leaderEpoch,
          partitionEpoch: state.partitionEpoch,
          newIsr: [first, second, third].map((broker) => ({
            brokerId: broker.id,
            brokerEpoch: broker.epoch,
          })),
        },
      ],
    });
    expect(partition()).toMatchObject({ leader: 2, isr: [1, 2, 3] });
    await run(10_500, first, second, third);
    expect(partition()).toMatchObject({ leader: 1, isr: [1, 2, 3] });
  });
});
