/** Streams between brokers: order, wholeness, ends and backpressure. */
import { describe, expect, test } from "vitest";
import type {
  PeerAddress,
  PeerChannels,
  PeerHandlers,
  PeerNetwork,
  PeerStream,
} from "../../src/ports/peer-network.ts";
import type { RaftStreamMessage } from "../../src/raft/messages.ts";

export interface PeerNetworkSubject {
  /** Two processes that can reach each other. */
  readonly left: PeerNetwork;
  readonly right: PeerNetwork;
  /** Where `right` may listen; port 0. */
  readonly address: PeerAddress;
  /** Settles once `condition` holds; rejects if it never does. */
  until(condition: () => boolean): Promise<void>;
  dispose(): Promise<void>;
}

type Incoming<Channel extends keyof PeerChannels> = PeerStream<
  PeerChannels[Channel]["down"],
  PeerChannels[Channel]["up"]
>;

const REFUSE: PeerHandlers = {
  raft: (stream) => stream.close(),
  replication: (stream) => stream.close(),
  controller: (stream) => stream.close(),
  offsets: (stream) => stream.close(),
};

function vote(term: number): RaftStreamMessage {
  return {
    type: "vote-request",
    from: { id: 1, directoryId: "left" },
    to: { id: 2, directoryId: "right" },
    term,
    preVote: term % 2 === 0,
    transfer: false,
    lastIndex: 2 ** 40 + term,
    lastTerm: 3,
  };
}

export function peerNetworkSuite(name: string, make: () => Promise<PeerNetworkSubject>): void {
  describe(`${name} as PeerNetwork`, () => {
    test("carries messages whole and in order, those too that were sent before it connected", async () => {
      const { left, right, address, until, dispose } = await make();
      const received: RaftStreamMessage[] = [];
      const listener = await right.listen(address, {
        ...REFUSE,
        raft: (stream) => {
          stream.onMessage = (message) => received.push(message);
        },
      });
      const stream = left.open(listener.address, "raft");
      const sent = Array.from({ length: 200 }, (_, term) => vote(term));
      for (const message of sent) stream.send(message);
      await until(() => received.length === sent.length);
      expect(received).toEqual(sent);
      stream.close();
      await listener.close();
      await dispose();
    });

    test("carries every kind of Raft message with entries, snapshots and undefined", async () => {
      const { left, right, address, until, dispose } = await make();
      const envelope = {
        from: { id: 1, directoryId: "left" },
        to: { id: 2, directoryId: "right" },
        term: 9,
      };
      const head = {
        index: 10,
        term: 4,
        voters: [{ id: 1, directoryId: "left" }],
        sizeBytes: 3,
      };
      const messages: RaftStreamMessage[] = [
        {
          type: "hello",
          node: { id: 0, directoryId: "d" },
          clusterId: undefined,
          empty: true,
          formation: [],
        },
        {
          type: "hello",
          node: { id: 7, directoryId: "d" },
          clusterId: "cluster",
          empty: false,
          formation: [{ id: 7, directoryId: "d" }],
        },
        vote(1),
        { ...envelope, type: "vote-response", preVote: true, granted: true },
        {
          ...envelope,
          type: "append-request",
          previousIndex: 0,
          previousTerm: 0,
          commitIndex: 2 ** 33,
          entries: [
            { index: 1, term: 9, kind: "no-op", payload: new Uint8Array(0) },
            { index: 2, term: 9, kind: "data", payload: new Uint8Array([0, 255, 1]) },
            { index: 3, term: 9, kind: "config", payload: new Uint8Array([4]) },
          ],
        },
        {
          ...envelope,
          type: "append-response",
          success: false,
          matchIndex: 0,
          conflictTerm: 3,
          previousIndex: 11,
        },
        {
          ...envelope,
          type: "snapshot-request",
          head,
          offset: 0,
          bytes: new Uint8Array([1, 2, 3]),
        },
        { ...envelope, type: "snapshot-response", index: 10, nextOffset: 3, installed: true },
        { ...envelope, type: "timeout-now" },
        { ...envelope, type: "observe-request", lastIndex: 5, lastTerm: 2 },
      ];
      const received: RaftStreamMessage[] = [];
      const listener = await right.listen(address, {
        ...REFUSE,
        raft: (stream) => {
          stream.onMessage = (message) => received.push(message);
        },
      });
      const stream = left.open(listener.address, "raft");
      for (const message of messages) stream.send(message);
      await until(() => received.length === messages.length);
      expect(received.map(plain)).toEqual(messages.map(plain));
      stream.close();
      await listener.close();
      await dispose();
    });

    test("carries messages in both directions of one stream", async () => {
      const { left, right, address, until, dispose } = await make();
      const listener = await right.listen(address, {
        ...REFUSE,
        controller: (stream) => {
          stream.onMessage = (message) => {
            if (message.type !== "request") return;
            const body = { echo: message.body };
            stream.send({ type: "reply", id: message.id, body, error: null });
          };
        },
      });
      const stream = left.open(listener.address, "controller");
      const replies: unknown[] = [];
      stream.onMessage = (message) => replies.push(message);
      const body = { text: "ä", list: [1, null, { deep: true }] };
      stream.send({ type: "request", id: 5, name: "describe-quorum", body, timeoutMs: 100 });
      await until(() => replies.length === 1);
      expect(replies).toEqual([{ type: "reply", id: 5, body: { echo: body }, error: null }]);
      stream.close();
      await listener.close();
      await dispose();
    });

    test("carries replication frames with their bytes", async () => {
      const { left, right, address, until, dispose } = await make();
      let acceptor: Incoming<"replication"> | undefined;
      const ups: PeerChannels["replication"]["up"][] = [];
      const listener = await right.listen(address, {
        ...REFUSE,
        replication: (stream) => {
          acceptor = stream;
          stream.onMessage = (message) => ups.push(message);
        },
      });
      const stream = left.open(listener.address, "replication");
      const downs: PeerChannels["replication"]["down"][] = [];
      stream.onMessage = (message) => downs.push(message);
      const up: PeerChannels["replication"]["up"][] = [
        { type: "hello", brokerId: 0, brokerEpoch: 12, clusterId: "cluster" },
        {
          type: "start",
          partitions: [
            {
              handle: 1,
              topicId: "topic",
              partition: 0,
              leaderEpoch: 0,
              fetchOffset: 2 ** 40,
              lastFetchedEpoch: -1,
              logStartOffset: 0,
            },
          ],
        },
        {
          type: "progress",
          partitions: [{ handle: 1, receivedEnd: 5, durableEnd: 0, logStartOffset: 0 }],
          creditBytes: 77,
        },
        { type: "stop", handles: [1, 2] },
      ];
      for (const message of up) stream.send(message);
      await until(() => ups.length === up.length);
      expect(ups.map(plain)).toEqual(up.map(plain));
      const down: PeerChannels["replication"]["down"][] = [
        {
          type: "frame",
          partitions: [
            { handle: 1, highWatermark: 0, logStartOffset: 0, batches: new Uint8Array([9, 8]) },
            { handle: 2, highWatermark: 4, logStartOffset: 1, batches: new Uint8Array(0) },
          ],
        },
        {
          type: "refuse",
          partitions: [
            {
              handle: 1,
              error: "FENCED_LEADER_EPOCH",
              diverging: undefined,
              logStartOffset: 0,
              logEndOffset: 3,
            },
            {
              handle: 2,
              error: undefined,
              diverging: { epoch: 0, endOffset: 0 },
              logStartOffset: 0,
              logEndOffset: 3,
            },
          ],
        },
      ];
      for (const message of down) acceptor?.send(message);
      await until(() => downs.length === down.length);
      expect(downs.map(plain)).toEqual(down.map(plain));
      stream.close();
      await listener.close();
      await dispose();
    });

    test("tells the opener once if nobody listens", async () => {
      const { left, right, address, until, dispose } = await make();
      const listener = await right.listen(address, REFUSE);
      const gone = listener.address;
      await listener.close();
      const stream = left.open(gone, "raft");
      const ends: string[] = [];
      stream.onEnd = (reason) => ends.push(reason);
      stream.send(vote(1));
      await until(() => ends.length > 0);
      expect(stream.send(vote(2))).toBe(false);
      expect(ends.length).toBe(1);
      await dispose();
    });

    test("tells the other side of a close, not one's own", async () => {
      const { left, right, address, until, dispose } = await make();
      const told: string[] = [];
      let accepted = 0;
      const listener = await right.listen(address, {
        ...REFUSE,
        raft: (stream) => {
          accepted++;
          stream.onEnd = () => told.push("acceptor");
        },
      });
      const stream = left.open(listener.address, "raft");
      stream.onEnd = () => told.push("opener");
      stream.send(vote(1));
      await until(() => accepted === 1);
      stream.close();
      stream.close();
      await until(() => told.length > 0);
      expect(told).toEqual(["acceptor"]);
      expect(stream.send(vote(2))).toBe(false);
      await listener.close();
      await dispose();
    });

    test("an acceptor may end a stream; several streams do not disturb one another", async () => {
      const { left, right, address, until, dispose } = await make();
      let first = true;
      const received: number[] = [];
      const listener = await right.listen(address, {
        ...REFUSE,
        raft: (stream) => {
          const end = first;
          first = false;
          stream.onMessage = (message) => {
            if (message.type !== "vote-request") return;
            if (end) stream.close();
            else received.push(message.term);
          };
        },
      });
      const ends: string[] = [];
      const ended = left.open(listener.address, "raft");
      ended.onEnd = () => ends.push("ended");
      ended.send(vote(0));
      await until(() => ends.length === 1);
      const other = left.open(listener.address, "raft");
      other.onEnd = () => ends.push("other");
      for (let term = 1; term <= 20; term++) other.send(vote(term));
      await until(() => received.length === 20);
      expect(ends).toEqual(["ended"]);
      other.close();
      await listener.close();
      await dispose();
    });

    test("says when its window is full, and when it is free again; nothing is lost", async () => {
      const { left, right, address, until, dispose } = await make();
      let receivedBytes = 0;
      let stream: Incoming<"replication"> | undefined;
      const listener = await right.listen(address, {
        ...REFUSE,
        replication: (accepted) => {
          stream = accepted;
          accepted.onMessage = () => {};
        },
      });
      const opener = left.open(listener.address, "replication");
      opener.onMessage = (message) => {
        if (message.type !== "frame") return;
        for (const { batches } of message.partitions) receivedBytes += batches.length;
      };
      opener.send({ type: "hello", brokerId: 1, brokerEpoch: 1, clusterId: "c" });
      await until(() => stream !== undefined);
      const batches = new Uint8Array(256 * 1024);
      let sentBytes = 0;
      let drained = 0;
      const sender = stream as unknown as Incoming<"replication">;
      sender.onDrain = () => drained++;
      for (let frame = 0; frame < 400; frame++) {
        sentBytes += batches.length;
        const more = sender.send({
          type: "frame",
          partitions: [{ handle: 1, highWatermark: 0, logStartOffset: 0, batches }],
        });
        if (!more) break;
      }
      expect(sentBytes).toBeLessThan(400 * batches.length);
      await until(() => drained > 0 && receivedBytes === sentBytes);
      opener.close();
      await listener.close();
      await dispose();
    });

    test("refuses a port in use", async () => {
      const { left, right, address, dispose } = await make();
      const listener = await right.listen(address, REFUSE);
      await expect(right.listen(listener.address, REFUSE)).rejects.toMatchObject({
        code: "PORT_IN_USE",
      });
      await listener.close();
      const again = await right.listen(listener.address, REFUSE);
      await again.close();
      void left;
      await dispose();
    });
  });
}

/** Typed arrays of any kind as plain numbers: a Buffer equals a Uint8Array of the same bytes. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: [...value] };
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}
