/**
 * P23, one fetcher: a broker has at most one fetch of a partition open, over all its streams, so
 * that two cannot append to one log. That a log has one appender is what the lock of its store is
 * for. Source: KAFKA-3410 and its kin (fetchers that overlap).
 */
import type { Fetching, Invariant, RunContext } from "../cluster/run-context.ts";

export function oneFetcher(context: RunContext): Invariant {
  const open = new Map<string, Fetching>();
  const idOf = ({ follower, key }: Fetching): string => `${follower.node} ${key}`;
  const end = (fetching: Fetching): void => {
    if (open.get(idOf(fetching)) === fetching) open.delete(idOf(fetching));
  };
  return {
    onFetchStart(fetching) {
      const other = open.get(idOf(fetching));
      if (other !== undefined && other.follower.life === fetching.follower.life) {
        context.fail(
          "P23 one fetch of a partition",
          `${fetching.follower.node} fetches ${fetching.key} from ${fetching.leader} while it fetches from ${other.leader}`,
        );
      }
      open.set(idOf(fetching), fetching);
    },
    onFetchStop: end,
    onRefusal: end,
    onStreamEnd({ incarnation, channel, stream }) {
      if (channel !== "replication") return;
      for (const fetching of [...open.values()]) {
        if (fetching.stream === stream && fetching.follower.node === incarnation.node.name) {
          end(fetching);
        }
      }
    },
  };
}
