/** Every kind of fault, by its name. */
import { CLOCK_FAULTS } from "./clock-faults.ts";
import type { FaultKind } from "./fault-kind.ts";
import { NETWORK_FAULTS } from "./network-faults.ts";
import { PROCESS_FAULTS } from "./process-faults.ts";
import { PROXY_FAULTS } from "./proxy-faults.ts";
import { RESOURCE_FAULTS } from "./resource-faults.ts";
import { STORAGE_FAULTS } from "./storage-faults.ts";

export const FAULTS: readonly FaultKind[] = [
  ...PROCESS_FAULTS,
  ...NETWORK_FAULTS,
  ...PROXY_FAULTS,
  ...RESOURCE_FAULTS,
  ...STORAGE_FAULTS,
  ...CLOCK_FAULTS,
];

export const FAULT_GROUPS: readonly string[] = [...new Set(FAULTS.map(({ group }) => group))];

/** Of names and groups, in the order of the catalogue; what is neither is returned as unknown. */
export function faultsNamed(words: readonly string[]): {
  readonly kinds: readonly FaultKind[];
  readonly unknown: readonly string[];
} {
  const known = new Set([...FAULTS.map(({ name }) => name), ...FAULT_GROUPS]);
  return {
    kinds: FAULTS.filter(({ group, name }) => words.includes(name) || words.includes(group)),
    unknown: words.filter((word) => !known.has(word)),
  };
}
