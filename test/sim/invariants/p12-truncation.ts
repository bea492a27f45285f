/**
 * P12, truncation: a replica removes batches from the end of its log only after its leader's answer
 * told it to (a divergence, or that it asked for what is not there), or as it opens a log whose end
 * may be torn; and never one that it has saved as committed, unless an unclean election gave it up.
 * Sources: KIP-101, KIP-279, KIP-595; KAFKA-1211 (truncation to the own high watermark).
 */
import type { Invariant, RunContext } from "../cluster/run-context.ts";

const STATEMENT = "P12 only a divergence truncates";

export function truncation(context: RunContext): Invariant {
  /** By machine, life and partition. */
  const told = new Set<string>();
  return {
    onRefusal({ follower, key }, { diverging, error }) {
      if (diverging === undefined && error !== "OFFSET_OUT_OF_RANGE") return;
      told.add(`${follower.node} ${follower.life} ${key}`);
    },
    onRemoved(log, batch, how) {
      const { node, key } = log;
      const life = context.lifeOf(node)?.life;
      // Whole segments go with the log start, or with the replica.
      if (how !== "truncated" || life === undefined) return;
      const head = context.states.head(node, key);
      if (head?.cut?.reset === true) return;
      const saved = context.states.savedHighWatermark(node, key);
      if (batch.endOffset <= saved && context.newestImage().uncleanElectionsCount === 0) {
        context.fail(
          STATEMENT,
          `${node} removes ${key}:${batch.baseOffset} to ${batch.endOffset}, it saved ${saved} as committed`,
        );
      }
      const opens = !context.isRunning(node) || context.diskOf(node).faultsCount > 0;
      if (opens || told.has(`${node} ${life} ${key}`)) return;
      context.fail(
        STATEMENT,
        `${node} removes ${key}:${batch.baseOffset} and no leader told it to`,
      );
    },
  };
}
