/**
 * P5, what was served is not taken back: once a client was shown a high watermark, no later answer
 * of that leader or a later one to the question for the latest offset is below it; a leader that
 * does not know yet says so instead. Source: KIP-207. One that does not know of its fall may lag.
 *
 * The high watermark beside fetched data may lag after an election, as Kafka's does: it tells how
 * far this answer was allowed to go, not where the log ends. Within a leader epoch it is P2's.
 */
import type { Offset } from "../../../src/model/ids.ts";
import {
  type Invariant,
  type ListCall,
  partitionByKey,
  type RunContext,
} from "../cluster/run-context.ts";

const LATEST = -1;

export function servedHighWatermark(context: RunContext): Invariant {
  /** By partition, by leader epoch. */
  const served = new Map<string, Map<number, Offset>>();
  const asked = new WeakMap<ListCall, ReadonlyMap<number, Offset>>();
  const serve = (key: string, leaderEpoch: number, offset: Offset): void => {
    const epochs = served.get(key) ?? new Map<number, Offset>();
    served.set(key, epochs);
    epochs.set(leaderEpoch, Math.max(epochs.get(leaderEpoch) ?? 0, offset));
  };
  return {
    onFetched({ where, key }, { error, highWatermark }) {
      const image = context.imageOf(where.node);
      if (key === undefined || error !== undefined || image === undefined) return;
      serve(key, partitionByKey(image, key)?.leaderEpoch ?? 0, highWatermark);
    },
    onListCall(call) {
      if (call.key === undefined || call.item.timestamp !== LATEST) return;
      asked.set(call, new Map(served.get(call.key)));
    },
    onListed(call, { error, offset, leaderEpoch }) {
      const shown = asked.get(call);
      if (call.key === undefined || shown === undefined || error !== undefined) return;
      serve(call.key, leaderEpoch, offset);
      // What an unclean election gave up is gone, and counted.
      if (context.newestImage().uncleanElectionsCount > 0) return;
      for (const [epoch, least] of shown) {
        if (epoch > leaderEpoch || offset >= least) continue;
        context.fail(
          "P5 the latest offset never falls",
          `${call.where.node} says in epoch ${leaderEpoch} that ${call.key} ends at ${offset}, clients had been shown ${least} in epoch ${epoch}`,
        );
      }
    },
  };
}
