/** Every kind of fault, and how the command line names them: by kind or by class. */
import { beyondFaults } from "./beyond-faults.ts";
import { clockFaults } from "./clock-faults.ts";
import { damageFaults } from "./damage-faults.ts";
import { diskFaults } from "./disk-faults.ts";
import { FAULT_CLASSES, type FaultKind } from "./fault-kind.ts";
import { networkFaults } from "./network-faults.ts";
import { processFaults } from "./process-faults.ts";

export const FAULT_KINDS: readonly FaultKind[] = [
  ...processFaults,
  ...networkFaults,
  ...diskFaults,
  ...damageFaults,
  ...clockFaults,
  ...beyondFaults,
];

const KINDS = new Map(FAULT_KINDS.map((kind) => [kind.kind, kind]));

export function faultKind(name: string): FaultKind | undefined {
  return KINDS.get(name);
}

/** Names of kinds. `beyond` is left to runs that mean it: it must be asked for by name. */
export const FAULTS: readonly string[] = FAULT_KINDS.filter(({ class: of }) => of !== "beyond").map(
  ({ kind }) => kind,
);

/** Names of classes and kinds to names of kinds. Throws on a name that is neither. */
export function faultsNamed(names: readonly string[]): readonly string[] {
  const out = new Set<string>();
  for (const name of names) {
    const found = FAULT_KINDS.filter((each) => each.kind === name || each.class === name);
    if (found.length === 0) {
      throw new RangeError(
        `fault "${name}" is neither a class (${FAULT_CLASSES.join(", ")}) nor a kind (${[...KINDS.keys()].join(", ")})`,
      );
    }
    for (const { kind } of found) out.add(kind);
  }
  return [...out];
}
