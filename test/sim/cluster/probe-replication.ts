/** Rare paths of replicas: truncation, divergence, segments that come and go. */
import type { ErrorCode } from "../../../src/model/errors.ts";
import type { Hit } from "./probe-taps.ts";
import type { ProbeName } from "./probes.ts";
import { type Invariant, partitionByKey, type RunContext } from "./run-context.ts";

const REFUSALS: Partial<Record<ErrorCode, ProbeName>> = {
  FENCED_LEADER_EPOCH: "fetch-refused-for-an-old-epoch",
  UNKNOWN_LEADER_EPOCH: "fetch-refused-for-a-new-epoch",
  OFFSET_OUT_OF_RANGE: "fetch-refused-out-of-range",
  NOT_LEADER_OR_FOLLOWER: "fetch-refused-by-a-former-leader",
};

interface Cutting {
  readonly replica: string;
  readonly epoch: number;
  readonly event: number;
}

export function replicationProbes(context: RunContext, hit: Hit): Invariant {
  let cutting: Cutting | undefined;
  /** By follower and partition: the last answer was a divergence. */
  const diverged = new Set<string>();
  /** Replicas that a storage error took offline. */
  const offline = new Set<string>();
  return {
    onRemoved(log, batch, how) {
      if (how === "lost") hit("batches-lost-with-power");
      if (how === "directory") {
        // A wiped disk loses its directories while nobody runs on it.
        const alive = context.lifeOf(log.node) !== undefined;
        const exists = partitionByKey(context.newestImage(), log.key) !== undefined;
        if (alive && exists) hit("segment-deleted");
      }
      if (how !== "truncated") return;
      const replica = `${log.node} ${log.key}`;
      const event = context.world.eventsCount;
      const same = cutting?.replica === replica && cutting.event === event;
      if (!same) hit("follower-truncates");
      else if (cutting?.epoch !== batch.leaderEpoch) hit("truncation-over-two-epochs");
      cutting = { replica, epoch: batch.leaderEpoch, event };
    },
    onRefusal({ follower, key }, { error, diverging }) {
      const replica = `${follower.node} ${key}`;
      if (diverging === undefined) diverged.delete(replica);
      else {
        hit("divergence-answered");
        if (diverged.has(replica)) hit("divergence-answered-twice-in-a-row");
        diverged.add(replica);
      }
      const name = error === undefined ? undefined : REFUSALS[error];
      if (name !== undefined) hit(name);
    },
    onFrame({ fetching }) {
      if (diverged.size > 0) diverged.delete(`${fetching.follower.node} ${fetching.key}`);
    },
    onFetchStart({ follower, key, start }) {
      const log = context.logs.log(follower.node, key);
      const empty = (log?.batches.length ?? 0) === 0;
      if (empty && start.fetchOffset > 0) hit("log-started-anew-at-the-leader's-start");
    },
    onControllerRequest({ name, body, from }) {
      if (name !== "replicas-failed") return;
      const { partitions } = body as {
        readonly partitions: readonly { readonly topicId: string; readonly partition: number }[];
      };
      for (const { topicId, partition } of partitions) {
        offline.add(`${from.node} ${topicId}-${partition}`);
      }
    },
    onPartition({ key, after }) {
      if (offline.size === 0) return;
      for (const id of after.isr) {
        if (offline.delete(`${context.nodeOf(id)} ${key}`))
          hit("storage-error-and-back-in-the-isr");
      }
    },
    atEnd() {
      for (const node of context.nodes) {
        const disk = context.diskOf(node);
        for (const replica of disk.list("/data/logs")) {
          if (disk.list(`/data/logs/${replica}`).length > 1) hit("segment-rolled");
        }
      }
    },
  };
}
