/** One line of the product made wrong, as data: the test of the tests. Never part of what ships. */
export interface Mutant {
  /** In kebab-case; unique. */
  readonly name: string;
  /** Of the product, from the root of the repository. */
  readonly file: `src/${string}.ts`;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  /** Of `scenarios/all.ts`: it must fail with this mutant, and does not without. */
  readonly scenario: string;
  /** The simulation whose random seeds look for it. */
  readonly seeds: "cluster" | "quorum" | "raft" | "log";
}
