/** Loader hooks: in place of one file of the product the mutant's version of it is loaded. */
import { readFileSync } from "node:fs";

export interface HookData {
  /** URL of the file that is replaced. */
  readonly original: string;
  /** Path of the one that takes its place. */
  readonly mutated: string;
}

interface Loaded {
  readonly format: string;
  readonly source?: string;
  readonly shortCircuit?: boolean;
}

let data: HookData | undefined;

export function initialize(given: HookData): void {
  data = given;
}

export async function load(
  url: string,
  context: object,
  nextLoad: (url: string, context: object) => Promise<Loaded>,
): Promise<Loaded> {
  if (url !== data?.original) return await nextLoad(url, context);
  return { format: "module", source: readFileSync(data.mutated, "utf8"), shortCircuit: true };
}
