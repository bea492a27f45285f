/** Of the SDK: what is sent again, in which order, under which sequence. */
import type { Mutant } from "./mutant.ts";

export const CLIENT_MUTANTS: readonly Mutant[] = [
  {
    name: "answer-to-an-earlier-attempt-counts",
    file: "src/client/core/producer-core.ts",
    find: 'if (batch.state !== "in-flight" || batch.attempt !== attempt) return;',
    replace: 'if (batch.state === "done") return;',
    scenario: "sdk-producer",
    seeds: "cluster",
  },
  {
    name: "retry-signed-anew",
    file: "src/client/core/producer-core.ts",
    find: "if (idempotent && batch.baseSequence < 0) {",
    replace: "if (idempotent) {",
    scenario: "sdk-producer",
    seeds: "cluster",
  },
  {
    name: "retries-out-of-order",
    file: "src/client/core/partition-queue.ts",
    find: "(this.retry[index - 1] as ProducerBatch<Attachment>).place.order > batch.place.order",
    replace: "(this.retry[index - 1] as ProducerBatch<Attachment>).place.order < batch.place.order",
    scenario: "sdk-producer",
    seeds: "cluster",
  },
  {
    name: "lost-broker-not-retried",
    file: "src/client/core/producer-core.ts",
    find: "if (batch.sentTo === brokerId) this.#retryLater(batch, error, true, nowMs);",
    replace: "if (batch.sentTo < 0) this.#retryLater(batch, error, true, nowMs);",
    scenario: "sdk-producer",
    seeds: "cluster",
  },
];
