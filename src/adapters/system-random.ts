import { randomFillSync, randomInt } from "node:crypto";
import type { Random } from "../ports/random.ts";

/** The operating system's cryptographic source. */
export const systemRandom: Random = {
  // Not `randomBytes`: the `slice` of its Buffers shares bytes where everybody expects a copy.
  bytes: (size) => randomFillSync(new Uint8Array(size)),
  below: (bound) => (bound <= 1 ? 0 : randomInt(bound)),
};
