/**
 * L4, each request ends: a produce request is answered, one way or the other, within its timeout and
 * a second, and none is left at the end; whatever else hangs, its disk or its followers. Time counts
 * by the machine's own clock, and not while its process is paused or slowed down.
 */
import type { Cluster } from "../cluster/cluster.ts";
import type { Invariant, ProduceCall } from "../cluster/run-context.ts";

const LOOK_MS = 200;
const SLACK_MS = 1_000;

interface Pending {
  readonly call: ProduceCall;
  ownMs: number;
}

interface Seen {
  clockMs: number;
  hindered: boolean;
}

export function requestsEnd(cluster: Cluster): Invariant {
  const pending = new Map<ProduceCall, Pending>();
  const seen = new Map<string, Seen>();
  let looks = false;

  /** Own time of each machine since the last look. */
  function passed(): Map<string, number> {
    const out = new Map<string, number>();
    for (const { node } of cluster.brokers) {
      const hindered = node.paused || node.slowTimes > 1;
      const clockMs = node.clock.monotonicMs;
      const before = seen.get(node.name);
      const counts = before !== undefined && !before.hindered && !hindered;
      out.set(node.name, counts ? Math.min(LOOK_MS, clockMs - before.clockMs) : 0);
      seen.set(node.name, { clockMs, hindered });
    }
    return out;
  }

  function look(): void {
    const own = passed();
    for (const entry of pending.values()) {
      const { where, one } = entry.call;
      if (cluster.lifeOf(where.node)?.life !== where.life) {
        pending.delete(entry.call);
        continue;
      }
      entry.ownMs += own.get(where.node) ?? 0;
      if (entry.ownMs <= one.timeoutMs + SLACK_MS) continue;
      cluster.fail(
        "L4 each request ends",
        `${where.node} has not answered a produce request to ${one.topic}-${one.partition} with acks ${one.acks} within its timeout of ${one.timeoutMs} ms and ${SLACK_MS} ms`,
      );
    }
    looks = pending.size > 0;
    if (looks) cluster.world.schedule(LOOK_MS, "requests end", look);
  }

  return {
    onProduceCall(call) {
      pending.set(call, { call, ownMs: 0 });
      if (looks) return;
      looks = true;
      passed();
      cluster.world.schedule(LOOK_MS, "requests end", look);
    },
    onProduced(call) {
      pending.delete(call);
    },
    atEnd() {
      for (const { where, one } of pending.keys()) {
        if (cluster.lifeOf(where.node)?.life !== where.life) continue;
        cluster.fail("L4 each request ends", `${where.node} still holds one to ${one.topic}`);
      }
    },
  };
}
