/**
 * R7, state machine safety: all nodes that ever applied an index applied the same entry there, and
 * are in the same state after it; an incarnation never goes back. Sources: Ongaro 2014, figure 3.2;
 * for the image, C11 and C12 of the controller (equal logs give equal images).
 */
import type { Invariant, RunContext } from "../cluster/run-context.ts";
import { imageFingerprint } from "./image-fingerprint.ts";

export function stateMachineSafety(context: RunContext): Invariant {
  const states = new Map<number, { readonly state: string; readonly node: string }>();
  return {
    onImage({ node, before, after }) {
      if (before !== undefined && after.index < before.index) {
        context.fail("R7 applied never falls", `${node}: from ${before.index} to ${after.index}`);
      }
      const state = imageFingerprint(after);
      const known = states.get(after.index);
      if (known === undefined) states.set(after.index, { state, node });
      else if (known.state !== state) {
        context.fail(
          "R7 state machine safety",
          `at index ${after.index} ${known.node} has ${known.state}, ${node} has ${state}`,
        );
      }
    },
  };
}
