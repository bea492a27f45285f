import { beforeEach, describe, expect, test } from "vitest";
import type { ControllerDown, ControllerUp } from "../../../src/metadata/session-messages.ts";
import type { ErrorCode } from "../../../src/model/errors.ts";
import type { PeerStream } from "../../../src/ports/peer-network.ts";
import { ControllerSession } from "../../../src/runtime/controller-session.ts";
import { createMemoryPorts, type MemoryPorts } from "../../support/memory-ports.ts";

// A broker's session against three voters that the test plays.

class Voter {
  readonly memory: MemoryPorts;
  readonly id: number;
  active = false;
  term = 1;
  registered = false;
  mayShutDown = false;
  /** 0: it does not say. */
  wallMs = 0;
  readonly heard: ControllerUp[] = [];
  streams: PeerStream<ControllerDown, ControllerUp>[] = [];
  /** Answers a request; undefined: does not answer. */
  answer: (name: string, body: unknown) => { body?: unknown; error?: ErrorCode } | undefined =
    () => ({
      body: {},
    });

  constructor(id: number, memory: MemoryPorts) {
    this.id = id;
    this.memory = memory;
  }

  async listen(): Promise<void> {
    await this.memory.world.settle(
      this.memory.ports.network.listen(
        { host: `node-${this.id}`, port: 9392 },
        {
          raft: (stream) => stream.close(),
          replication: (stream) => stream.close(),
          offsets: (stream) => stream.close(),
          controller: (stream) => {
            this.streams.push(stream);
            stream.onMessage = (message) => this.#onMessage(stream, message);
            stream.onEnd = () => {
              this.streams = this.streams.filter((other) => other !== stream);
            };
          },
        },
      ),
    );
  }

  sendStatus(): void {
    for (const stream of this.streams) stream.send(this.#status());
  }

  breakStreams(): void {
    for (const stream of this.streams) stream.close();
    this.streams = [];
  }

  #status(): ControllerDown {
    return {
      type: "status",
      active: this.active,
      leaderId: this.active ? this.id : -1,
      term: this.term,
      fenced: false,
      registered: this.registered,
      mayShutDown: this.mayShutDown,
      wallMs: this.wallMs,
    };
  }

  #onMessage(stream: PeerStream<ControllerDown, ControllerUp>, message: ControllerUp): void {
    this.heard.push(message);
    if (message.type === "heartbeat") {
      stream.send(this.#status());
      return;
    }
    const answer = this.answer(message.name, message.body);
    if (answer === undefined) return;
    if (message.name === "register-broker" && answer.error === undefined) this.registered = true;
    stream.send({
      type: "reply",
      id: message.id,
      body: answer.body ?? null,
      error: answer.error === undefined ? null : { code: answer.error, message: "refused" },
    });
  }
}

let broker: MemoryPorts;
let voters: readonly Voter[];
let session: ControllerSession;
let registeredAt: number[];
/** When the write that is under way began; undefined: none is. */
let writingSinceMs: number | undefined;

function voter(id: number): Voter {
  return voters[id - 1] as Voter;
}

beforeEach(async () => {
  broker = createMemoryPorts({ name: "broker", auto: false });
  const { world, network } = broker;
  voters = [1, 2, 3].map(
    (id) => new Voter(id, createMemoryPorts({ name: `node-${id}`, world, network })),
  );
  registeredAt = [];
  writingSinceMs = undefined;
  for (const one of voters) {
    one.answer = (name) => ({
      body: name === "register-broker" ? { brokerEpoch: 7, index: 5 } : {},
    });
    await one.listen();
  }
  session = new ControllerSession(broker.ports, {
    brokerId: 9,
    incarnationId: "life",
    voters: voters.map(({ id }) => ({ id, host: `node-${id}`, port: 9392 })),
    heartbeatIntervalMs: 250,
    sessionTimeoutMs: 2_000,
    requestTimeoutMs: 10_000,
    clockOffsetMaxMs: 300_000,
    registration: () => ({
      brokerId: 9,
      incarnationId: "life",
      clusterId: undefined,
      endpoints: [],
      rack: null,
      directories: [],
      features: [1, 1],
      cleanShutdownEpoch: -1,
      lostReplicas: [],
    }),
    condition: () => ({
      appliedIndex: 3,
      wantFence:
        writingSinceMs !== undefined && broker.ports.clock.monotonicMs() - writingSinceMs > 2_000,
    }),
    onRegistered: (epoch, index) => registeredAt.push(epoch, index),
  });
});

async function until(condition: () => boolean, maxMs = 5_000): Promise<void> {
  if (!(await broker.world.runUntil(condition, maxMs))) throw new Error("the condition never held");
}

async function registered(): Promise<void> {
  voter(1).active = true;
  session.start();
  await until(() => session.brokerEpoch === 7);
}

describe("heartbeats and registration", () => {
  test("every voter hears heartbeats, only the active one a registration", async () => {
    await registered();
    await broker.world.runFor(1_000);
    expect(registeredAt).toEqual([7, 5]);
    for (const { heard } of voters) {
      const beats = heard.filter(({ type }) => type === "heartbeat");
      expect(beats.length).toBeGreaterThan(3);
      expect(beats.at(-1)).toMatchObject({ brokerId: 9, brokerEpoch: 7, appliedIndex: 3 });
    }
    expect(voter(2).heard.some(({ type }) => type === "request")).toBe(false);
  });

  test("after a stall nothing counts as hung that has been done meanwhile", async () => {
    await registered();
    const wantsFence = (): boolean =>
      voter(1).heard.some((message) => message.type === "heartbeat" && message.wantFence);
    const heardCount = voter(1).heard.length;
    writingSinceMs = broker.ports.clock.monotonicMs();
    // Of all that was due meanwhile, the tick comes first.
    broker.ports.timers.after(4_000, () => {
      writingSinceMs = undefined;
    });
    broker.node.pause();
    await broker.world.runFor(5_000);
    broker.node.resume();
    await until(() => voter(1).heard.length > heardCount + 4);
    expect(wantsFence()).toBe(false);
    // What does hang is told.
    writingSinceMs = broker.ports.clock.monotonicMs();
    await until(wantsFence);
  });

  test("a controller that does not know the broker is registered with again", async () => {
    await registered();
    voter(1).registered = false;
    await until(() => voter(1).registered);
    expect(broker.fatals).toEqual([]);
  });

  test("a registration whose answer never came is asked for again", async () => {
    voter(1).answer = () => undefined;
    voter(1).active = true;
    session.start();
    await until(() => voter(1).heard.some(({ type }) => type === "request"));
    // It was committed all the same, and the successor knows the broker.
    voter(1).active = false;
    voter(2).active = true;
    voter(2).term = 2;
    voter(2).registered = true;
    await until(() => session.brokerEpoch === 7, 20_000);
    expect(registeredAt).toEqual([7, 5]);
  });

  test("after a quick restart it waits until the session of the life before has run out", async () => {
    let refusals = 0;
    voter(1).answer = () =>
      refusals++ < 6
        ? { error: "DUPLICATE_BROKER_REGISTRATION" }
        : { body: { brokerEpoch: 7, index: 5 } };
    await registered();
    expect(broker.fatals).toEqual([]);
  });

  test("two brokers with one id: the second ends itself", async () => {
    voter(1).answer = () => ({ error: "DUPLICATE_BROKER_REGISTRATION" });
    voter(1).active = true;
    session.start();
    await until(() => broker.fatals.length > 0, 20_000);
  });

  test("a newer life's epoch ends this one", async () => {
    await registered();
    voter(1).answer = () => ({ error: "STALE_BROKER_EPOCH" });
    const request = session.request(
      "allocate-producer-ids",
      { brokerId: 9, brokerEpoch: 7 },
      1_000,
    );
    await expect(broker.world.settle(request)).rejects.toMatchObject({
      code: "STALE_BROKER_EPOCH",
    });
    expect(broker.fatals).toHaveLength(1);
  });

  test("a broken stream comes back within 100 ms", async () => {
    await registered();
    voter(2).breakStreams();
    await until(() => voter(2).streams.length === 1, 100);
  });

  test("a voter that falls silent is given up and met again", async () => {
    await registered();
    voter(2).memory.node.pause();
    await broker.world.runFor(10_000);
    voter(2).memory.node.resume();
    await until(() => voter(2).streams.length > 0, 10_000);
    const before = voter(2).heard.length;
    await broker.world.runFor(1_000);
    expect(voter(2).heard.length).toBeGreaterThan(before);
  });
});

describe("requests", () => {
  test("wait for an active controller", async () => {
    session.start();
    const request = session.request("describe-quorum", {}, 5_000);
    await broker.world.runFor(500);
    voter(3).active = true;
    voter(3).registered = true;
    voter(3).answer = () => ({ body: { leaderId: 3 } });
    voter(3).sendStatus();
    await expect(broker.world.settle(request)).resolves.toEqual({ leaderId: 3 });
  });

  test("go to the highest term of those that claim to be active", async () => {
    await registered();
    voter(3).active = true;
    voter(3).registered = true;
    voter(3).term = 2;
    await until(() => session.activeId === 3);
    await broker.world.runFor(1_000);
    expect(session.activeId).toBe(3);
  });

  test("are asked again of the successor", async () => {
    await registered();
    voter(1).answer = () => ({ error: "NOT_CONTROLLER" });
    voter(1).active = false;
    voter(2).answer = () => ({ body: { topics: [] } });
    const request = session.request("create-topics", { topics: [], validateOnly: false }, 5_000);
    await broker.world.runFor(300);
    voter(2).active = true;
    voter(2).registered = true;
    voter(2).term = 2;
    await expect(broker.world.settle(request)).resolves.toEqual({ topics: [] });
  });

  test("that may have been done and cannot be repeated are not repeated", async () => {
    await registered();
    voter(1).answer = () => {
      voter(1).breakStreams();
      return undefined;
    };
    const create = session.request("create-topics", { topics: [], validateOnly: false }, 5_000);
    await expect(broker.world.settle(create)).rejects.toMatchObject({ code: "REQUEST_TIMED_OUT" });
    let asked = 0;
    voter(1).answer = () => {
      asked++;
      if (asked === 1) voter(1).breakStreams();
      return asked === 1 ? undefined : { body: { start: 0, count: 10 } };
    };
    const allocate = session.request(
      "allocate-producer-ids",
      { brokerId: 9, brokerEpoch: 7 },
      5_000,
    );
    await expect(broker.world.settle(allocate)).resolves.toEqual({ start: 0, count: 10 });
  });

  test("name what was missing when their time is up", async () => {
    session.start();
    const lost = session.request("describe-quorum", {}, 1_000);
    await expect(broker.world.settle(lost)).rejects.toMatchObject({ code: "NO_QUORUM" });
    await registered();
    voter(1).answer = () => undefined;
    const mute = session.request("describe-quorum", {}, 1_000);
    await expect(broker.world.settle(mute)).rejects.toMatchObject({ code: "REQUEST_TIMED_OUT" });
    session.close();
    const closed = session.request("describe-quorum", {}, 1_000);
    await expect(broker.world.settle(closed)).rejects.toMatchObject({ code: "SHUTTING_DOWN" });
  });
});

describe("controlled shutdown", () => {
  test("is asked for with each heartbeat until the controller agrees", async () => {
    await registered();
    const agreed = session.requestShutdown(5_000);
    await broker.world.runFor(600);
    expect(voter(1).heard.at(-1)).toMatchObject({ wantShutdown: true });
    voter(1).mayShutDown = true;
    await expect(broker.world.settle(agreed)).resolves.toBe(true);
  });

  test("goes on without consent once its time is up", async () => {
    await registered();
    await expect(broker.world.settle(session.requestShutdown(1_000))).resolves.toBe(false);
  });

  test("is given up where there has been no controller for two session timeouts", async () => {
    await registered();
    let moved: boolean | undefined;
    void session.requestShutdown(600_000).then((outcome) => {
      moved = outcome;
    });
    await broker.world.runFor(10_000);
    expect(moved).toBeUndefined();
    for (const one of voters) {
      one.active = false;
      one.sendStatus();
    }
    await broker.world.runFor(3_000);
    expect(moved).toBeUndefined();
    await broker.world.runFor(2_000);
    expect(moved).toBe(false);
  });
});

describe("clocks", () => {
  const hour = 3_600_000;

  test("a broker whose clock most voters contradict does not start", async () => {
    voter(1).active = true;
    for (const id of [1, 2]) voter(id).wallMs = broker.ports.clock.wallMs() + hour;
    voter(3).wallMs = broker.ports.clock.wallMs();
    session.start();
    await until(() => broker.fatals.length > 0);
    expect(broker.fatals[0]).toContain(
      "this clock is 3600 s behind that of voters 1, 2; broker.clock.offset.max.ms is 300000",
    );
  });

  test("one voter of three is no majority, and a clock that is set later is nobody's mistake", async () => {
    voter(2).wallMs = broker.ports.clock.wallMs() - hour;
    await registered();
    await broker.world.runFor(12_000);
    for (const id of [1, 2, 3]) voter(id).wallMs = broker.ports.clock.wallMs() - hour;
    await broker.world.runFor(3_000);
    expect(broker.fatals).toEqual([]);
  });
});
