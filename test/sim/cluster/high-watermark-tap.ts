/**
 * Listens to what leaders tell followers, and reports each high watermark that they show. A frame
 * names partitions by the handle that the follower chose when it began to fetch.
 */
import { partitionKey } from "../../../src/model/ids.ts";
import type { ReplicationDown, ReplicationUp } from "../../../src/replica/messages.ts";
import type { Invariant } from "./run-context.ts";

interface Fetching {
  readonly key: string;
  readonly leaderEpoch: number;
}

export function highWatermarkTap(invariants: readonly Invariant[]): Invariant {
  const streams = new WeakMap<object, Map<number, Fetching>>();
  return {
    onSent({ channel, message, stream, from }) {
      if (channel !== "replication") return;
      const sent = message as ReplicationUp | ReplicationDown;
      if (sent.type === "start") {
        const handles = streams.get(stream) ?? new Map<number, Fetching>();
        streams.set(stream, handles);
        for (const { handle, topicId, partition, leaderEpoch } of sent.partitions) {
          handles.set(handle, { key: partitionKey(topicId, partition), leaderEpoch });
        }
      }
      if (sent.type !== "frame") return;
      for (const { handle, highWatermark } of sent.partitions) {
        const fetching = streams.get(stream)?.get(handle);
        if (fetching === undefined) continue;
        const shown = {
          node: from.node.name,
          life: from.life,
          key: fetching.key,
          leaderEpoch: fetching.leaderEpoch,
          highWatermark,
        };
        for (const invariant of invariants) invariant.onHighWatermark?.(shown);
      }
    },
  };
}
