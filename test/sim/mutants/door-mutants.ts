/** Of Kafka's door: random seeds have none, so the scenario alone finds what is wrong with it. */
import type { Mutant } from "./mutant.ts";

export const DOOR_MUTANTS: readonly Mutant[] = [
  {
    name: "first-batch-left-out",
    file: "src/api/kafka/fetch-handlers.ts",
    find: "records: batches.length === 0 ? EMPTY_BYTES : batches.map(({ bytes }) => bytes),",
    replace:
      "records: batches.length < 2 ? EMPTY_BYTES : batches.slice(1).map(({ bytes }) => bytes),",
    scenario: "kafka-door",
    seeds: "cluster",
  },
];
