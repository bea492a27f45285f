/** Every mutant. */
import { CLIENT_MUTANTS } from "./client-mutants.ts";
import { DOOR_MUTANTS } from "./door-mutants.ts";
import { GROUP_MUTANTS } from "./group-mutants.ts";
import { METADATA_MUTANTS } from "./metadata-mutants.ts";
import type { Mutant } from "./mutant.ts";
import { RAFT_MUTANTS } from "./raft-mutants.ts";
import { REPLICA_MUTANTS } from "./replica-mutants.ts";
import { STORAGE_MUTANTS } from "./storage-mutants.ts";

export const MUTANTS: readonly Mutant[] = [
  ...RAFT_MUTANTS,
  ...REPLICA_MUTANTS,
  ...METADATA_MUTANTS,
  ...STORAGE_MUTANTS,
  ...CLIENT_MUTANTS,
  ...GROUP_MUTANTS,
  ...DOOR_MUTANTS,
];
