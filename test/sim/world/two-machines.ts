/** Two machines and what one of them hears on a channel: what tests of the network begin with. */
import type { PeerChannel, PeerStream } from "../../../src/ports/peer-network.ts";
import type { RaftStreamMessage } from "../../../src/raft/messages.ts";
import { createMemoryPorts, type MemoryPorts } from "../../support/memory-ports.ts";

export interface Heard {
  /** Indexes of numbered messages, in the order in which they came. */
  readonly numbers: number[];
  /** When each came. */
  readonly atMs: number[];
  readonly streams: PeerStream<unknown, unknown>[];
  readonly ends: string[];
}

export interface TwoMachines {
  readonly left: MemoryPorts;
  readonly right: MemoryPorts;
  /** What the right one hears. */
  readonly heard: Heard;
  /** Opens a stream from left to right; `ends` gets the reason for which it ended on the left. */
  open(channel?: PeerChannel): {
    readonly stream: PeerStream<RaftStreamMessage, unknown>;
    readonly ends: string[];
    readonly answers: number[];
  };
}

export function numbered(number: number, paddingBytes = 0): RaftStreamMessage {
  return {
    type: "hello",
    node: { id: number, directoryId: "d".repeat(paddingBytes) },
    clusterId: undefined,
    empty: true,
    formation: [],
  };
}

function numberOf(message: unknown): number {
  return (message as { readonly node: { readonly id: number } }).node.id;
}

export async function twoMachines(
  options: { readonly seed?: number; readonly answers?: boolean } = {},
): Promise<TwoMachines> {
  const left = createMemoryPorts({ auto: false, name: "left", seed: options.seed ?? 1 });
  const { world, network } = left;
  const right = createMemoryPorts({ auto: false, name: "right", world, network });
  const heard: Heard = { numbers: [], atMs: [], streams: [], ends: [] };
  const take = (stream: PeerStream<unknown, unknown>): void => {
    heard.streams.push(stream);
    stream.onEnd = (reason) => heard.ends.push(reason);
    stream.onMessage = (message) => {
      heard.numbers.push(numberOf(message));
      heard.atMs.push(world.nowMs);
      if (options.answers === true) stream.send(message);
    };
  };
  await world.settle(
    right.ports.network.listen(
      { host: "", port: 7 },
      {
        raft: (stream) => take(stream as unknown as PeerStream<unknown, unknown>),
        replication: (stream) => take(stream as unknown as PeerStream<unknown, unknown>),
        controller: (stream) => take(stream as unknown as PeerStream<unknown, unknown>),
        offsets: (stream) => take(stream as unknown as PeerStream<unknown, unknown>),
      },
    ),
  );
  return {
    left,
    right,
    heard,
    open(channel = "raft") {
      const stream = left.ports.network.open(
        { host: "right", port: 7 },
        channel,
      ) as unknown as PeerStream<RaftStreamMessage, unknown>;
      const ends: string[] = [];
      const answers: number[] = [];
      stream.onEnd = (reason) => ends.push(reason);
      stream.onMessage = (message) => answers.push(numberOf(message));
      return { stream, ends, answers };
    },
  };
}
