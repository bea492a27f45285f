import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type Answer,
  type CloseReason,
  Connection,
  type RequestServer,
} from "../../../src/api/kafka/connection.ts";
import { concatBytes, writeInt32 } from "../../../src/base/bytes.ts";
import { LIMITS } from "../../../src/model/limits.ts";
import { createMemoryPorts, type MemoryPorts } from "../../support/memory-ports.ts";
import { MemoryStream } from "./memory-stream.ts";

const APPEND = 1;
const OTHER = 2;
const IDLE_MS = 600_000;

interface Begun {
  readonly id: number;
  answer(answer: Answer): void;
  fail(error: Error): void;
}

let memory: MemoryPorts;
let stream: MemoryStream;
let begun: Begun[];
let closed: CloseReason | undefined;
let defects: unknown[];
let heldBytes: number;
let doorIsFull: boolean;
let doorServes: boolean;
let connection: Connection;

/** Requests are of two kinds and carry an id; the test answers them when it likes. */
const server: RequestServer = {
  pipelines: (frame) => frame[0] === APPEND,
  serve: (frame) => {
    const id = frame[1] as number;
    return new Promise((resolve, reject) => {
      begun.push({ id, answer: resolve, fail: reject });
    });
  },
};

beforeEach(() => {
  memory = createMemoryPorts({ auto: false });
  stream = new MemoryStream();
  begun = [];
  closed = undefined;
  defects = [];
  heldBytes = 0;
  doorIsFull = false;
  doorServes = true;
  connection = connect(server);
});

afterEach(() => memory.dispose());

function connect(requests: RequestServer): Connection {
  return new Connection(memory.ports, {
    stream,
    listenerName: "PLAINTEXT",
    server: requests,
    requestMaxBytes: 2 ** 30,
    host: {
      get serves() {
        return doorServes;
      },
      onHeld: (_connection, bytes) => {
        heldBytes += bytes;
      },
      mustWait: () => doorIsFull,
      onDefect: (_connection, error) => defects.push(error),
      onClosed: (_connection, reason) => {
        closed = reason;
      },
    },
  });
}

function request(kind: number, id: number, size = 20): Uint8Array {
  const out = new Uint8Array(4 + size);
  writeInt32(out, 0, size);
  out[4] = kind;
  out[5] = id;
  return out;
}

function send(...requests: readonly Uint8Array[]): void {
  stream.onData(concatBytes(requests));
}

async function answer(id: number, more: object = {}): Promise<void> {
  const one = begun.find((each) => each.id === id);
  if (one === undefined) throw new Error(`request ${id} has not begun`);
  one.answer({ chunks: [Uint8Array.of(id)], ...more });
  await settled();
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

function begunIds(): number[] {
  return begun.map(({ id }) => id);
}

function answeredIds(): number[] {
  return stream.written.map((chunk) => chunk[0] as number);
}

describe("the order of a connection", () => {
  it("begins one request after the other", async () => {
    send(request(OTHER, 1), request(OTHER, 2), request(OTHER, 3));
    expect(begunIds()).toEqual([1]);
    await answer(1);
    expect(begunIds()).toEqual([1, 2]);
    await answer(2);
    await answer(3);
    expect(answeredIds()).toEqual([1, 2, 3]);
  });

  it("begins appends beside each other, and answers them in their order", async () => {
    send(request(APPEND, 1), request(APPEND, 2), request(APPEND, 3));
    expect(begunIds()).toEqual([1, 2, 3]);
    await answer(3);
    await answer(2);
    expect(answeredIds()).toEqual([]);
    await answer(1);
    expect(answeredIds()).toEqual([1, 2, 3]);
  });

  it("begins nothing else beside appends, and no append beside anything else", async () => {
    send(request(APPEND, 1), request(OTHER, 2), request(APPEND, 3));
    expect(begunIds()).toEqual([1]);
    await answer(1);
    expect(begunIds()).toEqual([1, 2]);
    await answer(2);
    expect(begunIds()).toEqual([1, 2, 3]);
  });

  it("goes on where requests are answered at once, or not at all", async () => {
    connection = connect({
      pipelines: () => false,
      serve: (frame) => {
        const id = frame[1] as number;
        return { chunks: id % 2 === 0 ? undefined : [Uint8Array.of(id)] };
      },
    });
    send(...Array.from({ length: 5 }, (_, index) => request(OTHER, index + 1)));
    expect(answeredIds()).toEqual([1, 3, 5]);
    expect(stream.paused).toBe(false);
  });
});

describe("what a client may have under way", () => {
  it("reads no further while a whole request waits, and then goes on", async () => {
    send(request(OTHER, 1));
    expect(stream.paused).toBe(false);
    send(request(OTHER, 2));
    expect(stream.paused).toBe(true);
    await answer(1);
    expect(stream.paused).toBe(false);
  });

  it("limits appends by number", async () => {
    const limit = LIMITS.kafkaRequestsPerConnectionCount;
    send(...Array.from({ length: limit + 1 }, (_, index) => request(APPEND, index)));
    expect(begun).toHaveLength(limit);
    await answer(0);
    expect(begun).toHaveLength(limit + 1);
  });

  it("limits appends by bytes, but takes one of any size", async () => {
    const large = LIMITS.kafkaBytesPerConnection + 1;
    send(request(APPEND, 1, large), request(APPEND, 2));
    expect(begunIds()).toEqual([1]);
    await answer(1);
    expect(begunIds()).toEqual([1, 2]);
  });

  it("begins nothing for a client that does not read", async () => {
    stream.reading = false;
    send(request(OTHER, 1), request(OTHER, 2));
    begun[0]?.answer({ chunks: [new Uint8Array(LIMITS.kafkaUnreadBytes + 1)] });
    await settled();
    expect(begunIds()).toEqual([1]);
    expect(stream.paused).toBe(true);
    stream.drain();
    expect(begunIds()).toEqual([1, 2]);
  });

  it("counts the bytes of its requests, whole or not, until they are answered", async () => {
    send(request(OTHER, 1, 100), request(OTHER, 2, 50).subarray(0, 30));
    expect(heldBytes).toBe(130);
    await answer(1);
    expect(heldBytes).toBe(30);
    stream.destroy();
    expect(heldBytes).toBe(0);
  });

  it("is not read while the door is full", async () => {
    doorIsFull = true;
    send(request(OTHER, 1));
    expect(stream.paused).toBe(true);
    doorIsFull = false;
    connection.onRoom();
    expect(stream.paused).toBe(false);
  });

  it("waits for a door that does not serve yet", () => {
    doorServes = false;
    send(request(OTHER, 1));
    expect(begun).toEqual([]);
    expect(stream.paused).toBe(true);
    doorServes = true;
    connection.onRoom();
    expect(begunIds()).toEqual([1]);
    expect(stream.paused).toBe(false);
  });

  it("is answered at once and then not served for as long as it is throttled (KIP-219)", async () => {
    send(request(OTHER, 1), request(OTHER, 2));
    await answer(1, { throttleMs: 500 });
    expect(answeredIds()).toEqual([1]);
    expect(begunIds()).toEqual([1]);
    await memory.world.runFor(499);
    expect(begunIds()).toEqual([1]);
    await memory.world.runFor(1);
    expect(begunIds()).toEqual([1, 2]);
  });
});

describe("the end of a connection", () => {
  it("is ours for a stream that makes no sense, after what was whole before", async () => {
    send(request(OTHER, 1), Uint8Array.of(0, 0, 0, 1));
    expect(begunIds()).toEqual([1]);
    expect(stream.ended).toBe("destroy");
    expect(closed).toEqual({ ours: true, reason: "a request is too short to be one" });
    await answer(1);
    expect(stream.written).toEqual([]);
  });

  it("is ours where an answer says so, and nothing after it is answered", async () => {
    send(request(APPEND, 1), request(APPEND, 2));
    await answer(2);
    begun[0]?.answer({ close: "refused" });
    await settled();
    expect(closed).toEqual({ ours: true, reason: "refused" });
    expect(stream.written).toEqual([]);
  });

  it("follows a defect, which is told", async () => {
    send(request(OTHER, 1));
    begun[0]?.fail(new Error("broken"));
    await settled();
    expect(defects).toEqual([new Error("broken")]);
    expect(stream.ended).toBe("destroy");
  });

  it("is told to whoever waits for it, once", () => {
    const told: number[] = [];
    connection.whenClosed(() => told.push(1));
    const forget = connection.whenClosed(() => told.push(2));
    forget();
    stream.destroy();
    expect(told).toEqual([1]);
    expect(closed).toEqual({ ours: false, reason: "destroy" });
  });

  it("comes after what was begun, when the door closes", async () => {
    send(request(APPEND, 1), request(APPEND, 2), request(OTHER, 3));
    connection.finish();
    await answer(1);
    expect(stream.ended).toBeUndefined();
    await answer(2);
    expect(answeredIds()).toEqual([1, 2]);
    expect(stream.ended).toBe("end");
    expect(begunIds()).toEqual([1, 2]);
  });
});

describe("a client that is overdue", () => {
  const SLOW_MS = LIMITS.slowReaderMs + 1;

  async function reasonAfter(durationMs: number): Promise<string | undefined> {
    const { clock } = memory.ports;
    // As the door does, again and again: what moves between two looks counts.
    for (let passed = 0; passed < durationMs; passed += 1_000) {
      connection.overdueBecause(clock.monotonicMs(), IDLE_MS);
      await memory.world.runFor(Math.min(1_000, durationMs - passed));
    }
    return connection.overdueBecause(clock.monotonicMs(), IDLE_MS);
  }

  it("is silent with nothing under way", async () => {
    expect(await reasonAfter(IDLE_MS)).toBeUndefined();
    expect(await reasonAfter(1_001)).toBe("idle");
  });

  it("does not finish its request", async () => {
    send(request(OTHER, 1).subarray(0, 9));
    expect(await reasonAfter(SLOW_MS)).toBe("it does not finish its request");
  });

  it("does not read its answers", async () => {
    stream.reading = false;
    send(request(OTHER, 1));
    await answer(1);
    expect(await reasonAfter(SLOW_MS)).toBe("it does not read its answers");
  });

  it("is not one that reads slowly, nor one that waits for us", async () => {
    stream.reading = false;
    send(request(OTHER, 1), request(OTHER, 2).subarray(0, 9));
    await answer(1, { chunks: [new Uint8Array(100)] });
    for (let left = 99; left > 0; left -= 20) {
      stream.onData(new Uint8Array(1));
      stream.queuedBytes = left;
      expect(await reasonAfter(LIMITS.slowReaderMs - 2_000)).toBeUndefined();
    }
    stream.drain();
    begun = [];
    send(request(OTHER, 3, 10));
    expect(await reasonAfter(IDLE_MS * 2)).toBeUndefined();
  });
});
