/** Of consumer groups and of the log cleaner. */
import type { Mutant } from "./mutant.ts";

export const GROUP_MUTANTS: readonly Mutant[] = [
  {
    name: "old-generation-commits",
    file: "src/group/membership.ts",
    find: "if (error !== undefined || request.generationId === group.generation) return error;",
    replace: "if (error !== undefined || request.generationId <= group.generation) return error;",
    scenario: "zombie-member",
    seeds: "cluster",
  },
  {
    name: "generation-forgotten-with-the-coordinator",
    file: "src/group/group.ts",
    find: "    this.generation = value.generation;\n",
    replace: "",
    scenario: "rebalance-storm",
    seeds: "cluster",
  },
  {
    name: "offsets-expire-while-the-group-lives",
    file: "src/group/shard.ts",
    find: 'if (group?.state !== "Empty" || group.pending.size > 0) return;',
    replace: "if (group === undefined) return;",
    scenario: "offsets-of-a-live-group",
    seeds: "cluster",
  },
  {
    name: "members-forgotten-between-join-and-sync",
    file: "src/group/records.ts",
    find: "if (tag === COMPLETING_TAG) completing = true;",
    replace: "if (tag === COMPLETING_TAG) completing = false;",
    scenario: "coordinator-dies-in-a-rebalance",
    seeds: "cluster",
  },
  {
    name: "answered-before-it-is-committed",
    file: "src/group/shard.ts",
    find: "if (afterSequence <= this.#committed) this.#answers.push(answer);",
    replace: "if (afterSequence <= this.#sequence) this.#answers.push(answer);",
    scenario: "commit-that-nobody-has",
    seeds: "cluster",
  },
  {
    name: "swap-forgotten-by-a-crash",
    file: "src/storage/segment-swap.ts",
    find: "  if (swap !== undefined) await carryOutSwap(files, replicaPath, swap);\n",
    replace: "",
    scenario: "crash-amid-a-cleaning",
    seeds: "cluster",
  },
  {
    name: "last-value-removed",
    file: "src/record/batch-compaction.ts",
    find: "if (cursor.offset < last) return false;",
    replace: "if (cursor.offset <= last) return false;",
    scenario: "crash-amid-a-cleaning",
    seeds: "cluster",
  },
  {
    name: "cleaned-above-the-high-watermark",
    file: "src/storage/cleanable.ts",
    find: "if (!segment.sealed || segment.endOffset > highWatermark) break;",
    replace: "if (!segment.sealed) break;",
    scenario: "cleaning-below-the-high-watermark",
    seeds: "cluster",
  },
];
