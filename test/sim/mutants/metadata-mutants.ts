/** Of the controller's decisions: elections, ISR and ELR, registrations, epochs. */
import type { Mutant } from "./mutant.ts";

export const METADATA_MUTANTS: readonly Mutant[] = [
  {
    name: "leader-epoch-not-bumped",
    file: "src/metadata/delta.ts",
    find: "(record.leader === undefined ? 0 : 1)",
    replace: "(record.leader === undefined ? 0 : 0)",
    scenario: "zombie-leader",
    seeds: "cluster",
  },
  {
    name: "partition-epoch-not-bumped",
    file: "src/metadata/delta.ts",
    find: "partitionEpoch: old.partitionEpoch + 1,",
    replace: "partitionEpoch: old.partitionEpoch,",
    scenario: "zombie-leader",
    seeds: "cluster",
  },
  {
    name: "unclean-without-being-asked",
    file: "src/metadata/partition-change.ts",
    find: "if (goal.unclean === true) {",
    replace: "if (goal.unclean !== null) {",
    scenario: "last-replica-standing",
    seeds: "cluster",
  },
  {
    name: "lost-replica-stays-eligible",
    file: "src/metadata/partition-change.ts",
    find: "...state.elr, ...isr])].filter(not(lost));",
    replace: "...state.elr, ...isr])];",
    scenario: "lost-tail",
    seeds: "cluster",
  },
  {
    name: "reported-loss-ignored",
    file: "src/metadata/decide/register-broker.ts",
    find: "const tailLost = gone || lost.has(partitionKey(topic.id, partition));",
    replace: "const tailLost = gone;",
    scenario: "lost-tail",
    seeds: "cluster",
  },
  {
    name: "new-disk-not-noticed",
    file: "src/metadata/decide/register-broker.ts",
    find: 'const gone = directory !== "" && !request.directories.includes(directory);',
    replace: 'const gone = directory === "none";',
    scenario: "wiped-eligible-replica",
    seeds: "cluster",
  },
  {
    name: "second-process-taken",
    file: "src/metadata/decide/register-broker.ts",
    find: "if (old !== undefined && context.liveIncarnation === old.incarnationId) {",
    replace: "if (old !== undefined && context.liveIncarnation === incarnationId) {",
    scenario: "reborn-broker",
    seeds: "cluster",
  },
  {
    name: "producer-ids-overlap",
    file: "src/metadata/decide/producer-ids.ts",
    find: "const nextProducerId = start + BLOCK_COUNT;",
    replace: "const nextProducerId = start + 1;",
    scenario: "producer-id-blocks",
    seeds: "cluster",
  },
];
