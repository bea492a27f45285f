/** Of the SDK: what is sent again, in which order, under which sequence. */
import type { Mutant } from "./mutant.ts";

export const CLIENT_MUTANTS: readonly Mutant[] = [
  {
    name: "acknowledged-as-sent",
    file: "src/client/core/producer-core.ts",
    find: "if (this.#options.acks === 0) {",
    replace: "if (this.#options.acks <= 0) {",
    scenario: "sdk-producer",
    seeds: "cluster",
  },
  {
    name: "sequence-counts-batches",
    file: "src/client/core/producer-core.ts",
    find: "queue.nextSequence = (queue.nextSequence + batch.recordsCount) % SEQUENCE_MODULUS;",
    replace: "queue.nextSequence = (queue.nextSequence + 1) % SEQUENCE_MODULUS;",
    scenario: "sdk-producer",
    seeds: "cluster",
  },
  {
    name: "suspect-leader-kept",
    file: "src/client/core/producer-core.ts",
    find: "if (!usable || queue.leaderSuspect) metadataWanted = true;",
    replace: "if (!usable && queue.leaderSuspect) metadataWanted = false;",
    scenario: "sdk-producer",
    seeds: "cluster",
  },
];
