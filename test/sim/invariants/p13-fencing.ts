/**
 * P13, fencing: a broker sends a partition's data only in the leader epoch in which it leads by the
 * metadata that it has applied; a consumer that names another epoch gets an error and no data.
 * Source: KIP-320.
 */
import {
  type FetchStarted,
  type Invariant,
  partitionByKey,
  type RunContext,
} from "../cluster/run-context.ts";

export function fencing(context: RunContext): Invariant {
  const answered = new WeakSet<FetchStarted>();
  return {
    onFrame({ from, fetching }) {
      const image = context.imageOf(from.node);
      const state = image === undefined ? undefined : partitionByKey(image, fetching.key);
      if (state === undefined) return;
      const { leaderEpoch } = fetching.start;
      const leads = state.leader === context.brokerIdOf(from.node);
      if (leads && state.leaderEpoch === leaderEpoch) return;
      context.fail(
        "P13 data is sent in the leader's own epoch",
        `${from.node} sends ${fetching.key} in epoch ${leaderEpoch}, it knows leader ${state.leader} of epoch ${state.leaderEpoch}`,
      );
    },
    onFetched(started, { error }) {
      const { where, key, start, image } = started;
      if (answered.has(started)) return;
      answered.add(started);
      const state = key === undefined ? undefined : partitionByKey(image, key);
      const { currentLeaderEpoch } = start;
      if (state === undefined || currentLeaderEpoch === -1 || error !== undefined) return;
      if (state.leaderEpoch === currentLeaderEpoch) return;
      context.fail(
        "P13 consumers of another epoch are refused",
        `${where.node} serves ${key ?? "?"} in epoch ${state.leaderEpoch} to who named ${currentLeaderEpoch}`,
      );
    },
  };
}
