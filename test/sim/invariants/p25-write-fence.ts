/**
 * P25 and S4: once a store has refused a write, nothing more is written to it until it has been
 * closed and opened again, because LevelDB loses such writes without a word. Sources: LevelDB 1.20
 * as measured on a full disk; Rebello et al., ATC 2020 (failed fsyncs).
 */
import type { Invariant, RunContext } from "../cluster/run-context.ts";

export function writeFence(context: RunContext): Invariant {
  return {
    onWriteAfterFailure(node, path) {
      context.fail(
        "P25 nothing is written after a refused write",
        `${node} writes to ${path}, which has refused a write since it was opened`,
      );
    },
  };
}
