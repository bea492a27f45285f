/** Which fault comes next: every chosen kind once, in an order that the seed draws, then again. */
import type { Prng } from "../../src/base/prng.ts";
import type { FaultKind } from "./faults/fault-kind.ts";

export function* scheduleOf(
  kinds: readonly FaultKind[],
  prng: Prng,
): Generator<FaultKind, never, undefined> {
  if (kinds.length === 0) throw new RangeError("no kind of fault is chosen");
  for (;;) yield* prng.shuffle(kinds);
}
