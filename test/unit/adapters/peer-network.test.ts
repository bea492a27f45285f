import { Client, credentials } from "@grpc/grpc-js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { GrpcPeerNetwork } from "../../../src/adapters/grpc-peer-network.ts";
import { PEER_CODECS } from "../../../src/adapters/peer-messages.ts";
import { PinoLogger } from "../../../src/adapters/pino-logger.ts";
import { ottla } from "../../../src/gen/internal.js";
import type { PeerHandlers, PeerStream } from "../../../src/ports/peer-network.ts";
import type { ReplicationDown, ReplicationUp } from "../../../src/replica/messages.ts";

const logger = PinoLogger.create({ level: "error" });
const REFUSE: PeerHandlers = {
  raft: (stream) => stream.close(),
  replication: (stream) => stream.close(),
  controller: (stream) => stream.close(),
  offsets: (stream) => stream.close(),
};
const LOOPBACK = { host: "127.0.0.1", port: 0 };

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

function frame(size: number): ReplicationDown {
  const batches = new Uint8Array(size);
  return {
    type: "frame",
    partitions: [{ handle: 1, highWatermark: 0, logStartOffset: 0, batches }],
  };
}

describe("messages between brokers", () => {
  test("frames written by hand are read by general code, whatever the numbers", () => {
    const offset = fc.oneof(fc.integer({ min: -1, max: 200 }), fc.maxSafeNat());
    const partition = fc.record({
      handle: fc.oneof(fc.nat(200), fc.integer({ min: 0, max: 2 ** 32 - 1 })),
      highWatermark: offset,
      logStartOffset: offset,
      batches: fc.uint8Array({ maxLength: 400 }),
    });
    fc.assert(
      fc.property(fc.array(partition, { maxLength: 5 }), (partitions) => {
        const { down } = PEER_CODECS.replication;
        const bytes = down.encode({ type: "frame", partitions });
        const read = ottla.internal.v1.ReplicationDown.decode(bytes);
        expect(read.frame?.partitions?.length).toBe(partitions.length);
        const back = down.decode(bytes);
        if (back.type !== "frame") throw new Error("not a frame");
        expect(back.partitions.map((each) => ({ ...each, batches: [...each.batches] }))).toEqual(
          partitions.map((each) => ({ ...each, batches: [...each.batches] })),
        );
      }),
    );
  });

  test("garbage throws or is read as something, and never more", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        for (const { up, down } of Object.values(PEER_CODECS)) {
          for (const codec of [up, down]) {
            try {
              codec.decode(Buffer.from(bytes));
            } catch (thrown) {
              expect(thrown).toBeInstanceOf(Error);
            }
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("the network between brokers", () => {
  test("garbage from a peer ends that stream and no other", async () => {
    const network = new GrpcPeerNetwork(logger, { count: () => {} });
    const ends: string[] = [];
    const received: ReplicationUp[] = [];
    const listener = await network.listen(LOOPBACK, {
      ...REFUSE,
      replication: (stream) => {
        stream.onMessage = (message) => received.push(message);
        stream.onEnd = (reason) => ends.push(reason);
      },
    });
    const good = network.open(listener.address, "replication");
    good.send({ type: "stop", handles: [1] });
    await until(() => received.length === 1);
    const { port } = listener.address;
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    const identity = (bytes: Buffer): Buffer => bytes;
    const bad = client.makeBidiStreamRequest(
      "/ottla.internal.v1.Peer/Replication",
      identity,
      identity,
    );
    const refused = new Promise((resolve) => bad.on("error", resolve));
    bad.on("data", () => {});
    bad.write(Buffer.from([0x0a, 0xff, 0xff, 0xff]));
    await refused;
    await until(() => ends.length === 1);
    good.send({ type: "stop", handles: [2] });
    await until(() => received.length === 2);
    client.close();
    good.close();
    await listener.close();
    network.close();
  });

  // Who is away comes back on the same address: what waits for it must not wait for a back-off.
  test("reaches a peer that comes back, by trying again", async () => {
    const network = new GrpcPeerNetwork(logger, { count: () => {} });
    const other = new GrpcPeerNetwork(logger, { count: () => {} });
    const first = await other.listen(LOOPBACK, REFUSE);
    const { address } = first;
    await first.close();
    let failures = 0;
    const failing = network.open(address, "raft");
    failing.onEnd = () => failures++;
    await until(() => failures === 1);
    let accepted = 0;
    const second = await other.listen(address, {
      ...REFUSE,
      raft: (stream) => {
        accepted++;
        stream.close();
      },
    });
    const attempt = (): void => {
      const stream = network.open(address, "raft");
      stream.onEnd = () => {
        if (accepted === 0) setTimeout(attempt, 5);
      };
    };
    attempt();
    await until(() => accepted > 0);
    await second.close();
    network.close();
    other.close();
  });

  test("gives up a peer that takes nothing, instead of queueing without end", async () => {
    const network = new GrpcPeerNetwork(logger, { count: () => {} });
    let stream: PeerStream<ReplicationDown, ReplicationUp> | undefined;
    const ends: string[] = [];
    const listener = await network.listen(LOOPBACK, {
      ...REFUSE,
      replication: (accepted) => {
        stream = accepted;
        accepted.onEnd = (reason) => ends.push(reason);
      },
    });
    const opener = network.open(listener.address, "replication");
    opener.send({ type: "stop", handles: [] });
    await until(() => stream !== undefined);
    // Within one turn nothing can leave.
    let sent = 0;
    while (ends.length === 0 && sent < 1_000) {
      stream?.send(frame(256 * 1024));
      sent++;
    }
    expect(ends[0]).toContain("bytes wait for a peer that does not take them");
    expect(stream?.send(frame(1))).toBe(false);
    opener.close();
    await listener.close();
    network.close();
  });

  test("does not send what the peer would refuse", async () => {
    const network = new GrpcPeerNetwork(logger, { count: () => {} });
    const ends: string[] = [];
    let outcome: boolean | undefined;
    const listener = await network.listen(LOOPBACK, {
      ...REFUSE,
      replication: (stream) => {
        stream.onEnd = (reason) => ends.push(reason);
        outcome = stream.send(frame(17 * 1024 * 1024));
      },
    });
    const opener = network.open(listener.address, "replication");
    opener.send({ type: "stop", handles: [] });
    await until(() => outcome !== undefined);
    expect(outcome).toBe(false);
    expect(ends).toHaveLength(1);
    opener.close();
    await listener.close();
    network.close();
  });
});
