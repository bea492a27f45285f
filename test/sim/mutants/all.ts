/** Every mutant. */
import type { Mutant } from "./mutant.ts";
import { REPLICA_MUTANTS } from "./replica-mutants.ts";

export const MUTANTS: readonly Mutant[] = [...REPLICA_MUTANTS];
