/** The assignors that come with Ottla, by Kafka's names. */
import type { Assignor } from "./assignor.ts";
import { COOPERATIVE_STICKY } from "./cooperative-sticky.ts";
import { RANGE } from "./range.ts";
import { ROUND_ROBIN } from "./round-robin.ts";
import { STICKY } from "./sticky.ts";

export const ASSIGNORS: ReadonlyMap<string, Assignor> = new Map(
  [RANGE, ROUND_ROBIN, STICKY, COOPERATIVE_STICKY].map((assignor) => [assignor.name, assignor]),
);
