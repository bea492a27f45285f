/**
 * S3: a broker that finds a log below its durable mark says so as it registers, and does not serve
 * it in silence; the same goes for its metadata log, which is R22's. Sources: KIP-966; LevelDB opens
 * what has lost its end without an error.
 *
 * Narrower: where the disk fails as the broker starts, it cannot find out. Such a log is offline until
 * it could be verified; the replica is reported as failed, and its loss as it comes back. C7 and P1
 * see to it that nobody counts on it meanwhile.
 */
import type { RegisterBroker } from "../../../src/metadata/commands.ts";
import { partitionKey } from "../../../src/model/ids.ts";
import { type Invariant, partitionByKey, type RunContext } from "../cluster/run-context.ts";

export function lostTail(context: RunContext): Invariant {
  /** By machine and life: what was missing as it began. */
  const missing = new Map<string, ReadonlyMap<string, string>>();
  /** By machine and life: faults of its disk before it began. */
  const faultsBefore = new Map<string, number>();
  return {
    onLife({ node, life }) {
      const found = new Map<string, string>();
      for (const [key, { end: mark }] of context.states.marks(node.name)) {
        const head = context.states.head(node.name, key);
        const cut = head?.cut?.offset ?? Number.POSITIVE_INFINITY;
        const end = Math.max(
          context.logs.log(node.name, key)?.endOffset ?? 0,
          head?.logStartOffset ?? 0,
        );
        if (end < Math.min(mark, cut)) found.set(key, `${end} of ${mark}`);
      }
      missing.set(`${node.name} ${life}`, found);
      faultsBefore.set(`${node.name} ${life}`, node.disk.faultsCount);
    },
    onControllerRequest({ from, name, body }) {
      if (name !== "register-broker") return;
      const id = `${from.node} ${from.life}`;
      const gone = missing.get(id) ?? new Map<string, string>();
      if (gone.size === 0) return;
      if (context.diskOf(from.node).faultsCount > (faultsBefore.get(id) ?? 0)) return;
      const { lostReplicas } = body as RegisterBroker;
      const told = new Set(lostReplicas.map((one) => partitionKey(one.topicId, one.partition)));
      for (const [key, what] of gone) {
        if (told.has(key) || partitionByKey(context.newestImage(), key) === undefined) continue;
        context.fail(
          "S3 a lost tail is reported",
          `${from.node} registers without a word of ${key}, of which it has ${what}`,
        );
      }
    },
  };
}
