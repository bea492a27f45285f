/**
 * Listens to followers and leaders, and tells who fetches what in which epoch, what leaders send
 * and refuse, what followers report, and each high watermark that a leader shows. A frame names
 * partitions by the handle that the follower chose when it began to fetch.
 */
import { partitionKey } from "../../../src/model/ids.ts";
import type { ReplicationDown, ReplicationUp } from "../../../src/replica/messages.ts";
import type { SentMessage } from "../world/sim-network.ts";
import type { Fetching, Invariant } from "./run-context.ts";

interface Stream {
  brokerId: number;
  brokerEpoch: number;
  readonly handles: Map<number, Fetching>;
}

export function highWatermarkTap(invariants: readonly Invariant[]): Invariant {
  const streams = new WeakMap<object, Stream>();
  const hearing = <Hook extends keyof Invariant>(hook: Hook): readonly Invariant[] =>
    invariants.filter((invariant) => invariant[hook] !== undefined);
  const starts = hearing("onFetchStart");
  const stops = hearing("onFetchStop");
  const progresses = hearing("onProgress");
  const frames = hearing("onFrame");
  const refusals = hearing("onRefusal");
  const watermarks = hearing("onHighWatermark");

  function streamOf({ stream }: SentMessage): Stream {
    let known = streams.get(stream);
    if (known === undefined) {
      known = { brokerId: -1, brokerEpoch: -1, handles: new Map() };
      streams.set(stream, known);
    }
    return known;
  }

  function fromFollower(sent: SentMessage, message: ReplicationUp): void {
    const stream = streamOf(sent);
    switch (message.type) {
      case "hello":
        stream.brokerId = message.brokerId;
        stream.brokerEpoch = message.brokerEpoch;
        return;
      case "start":
        for (const start of message.partitions) {
          const fetching: Fetching = {
            follower: { node: sent.from.node.name, life: sent.from.life },
            followerId: stream.brokerId,
            brokerEpoch: stream.brokerEpoch,
            leader: sent.to,
            key: partitionKey(start.topicId, start.partition),
            start,
            stream: sent.stream,
          };
          stream.handles.set(start.handle, fetching);
          for (const invariant of starts) invariant.onFetchStart?.(fetching);
        }
        return;
      case "stop":
        for (const handle of message.handles) {
          const fetching = stream.handles.get(handle);
          if (fetching === undefined) continue;
          for (const invariant of stops) invariant.onFetchStop?.(fetching);
        }
        return;
      case "progress":
        for (const progress of message.partitions) {
          const fetching = stream.handles.get(progress.handle);
          if (fetching === undefined) continue;
          for (const invariant of progresses) invariant.onProgress?.(fetching, progress);
        }
    }
  }

  function fromLeader(sent: SentMessage, message: ReplicationDown): void {
    const stream = streamOf(sent);
    const from = { node: sent.from.node.name, life: sent.from.life };
    if (message.type === "refuse") {
      for (const refusal of message.partitions) {
        const fetching = stream.handles.get(refusal.handle);
        if (fetching === undefined) continue;
        for (const invariant of refusals) invariant.onRefusal?.(fetching, refusal);
      }
      return;
    }
    for (const fetched of message.partitions) {
      const fetching = stream.handles.get(fetched.handle);
      if (fetching === undefined) continue;
      const { key, start } = fetching;
      const { highWatermark } = fetched;
      const shown = { ...from, key, leaderEpoch: start.leaderEpoch, highWatermark };
      for (const invariant of watermarks) invariant.onHighWatermark?.(shown);
      for (const invariant of frames) invariant.onFrame?.({ from, fetching, fetched });
    }
  }

  return {
    onSent(sent) {
      if (sent.channel !== "replication") return;
      const message = sent.message as ReplicationUp | ReplicationDown;
      if (message.type === "frame" || message.type === "refuse") fromLeader(sent, message);
      else fromFollower(sent, message);
    },
  };
}
