import { randomBytes, randomInt } from "node:crypto";
import type { Random } from "../ports/random.ts";

/** The operating system's chance. */
export const systemRandom: Random = {
  bytes: (size) => randomBytes(size),
  below: (bound) => (bound <= 1 ? 0 : randomInt(bound)),
};
