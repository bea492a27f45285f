/**
 * Compiles the simulator once as it is, and of each mutant the one file that it changes, into
 * `dist-test/mutants`. A mutant whose line is gone, or stands there twice, is an error: mutants must
 * not rot into ones that change nothing.
 */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { Mutant } from "./mutant.ts";

/** What the children need: the player and its loader hooks reach everything else. */
const ENTRY_POINTS = ["test/sim/mutants/play.ts", "test/sim/mutants/hooks.ts"];

export interface Build {
  /** The compiled tree without any mutant. */
  readonly plain: string;
  /** The compiled file of a mutant. */
  patched(mutant: Mutant): string;
}

export function applyMutant(source: string, { name, file, find, replace }: Mutant): string {
  const count = source.split(find).length - 1;
  if (count !== 1) {
    throw new Error(
      `mutant ${name}: ${file} has ${count === 0 ? "no" : count} "${find}", and must have it once: fit the mutant to the code`,
    );
  }
  // A function, because the text may contain what `replace` gives a meaning to.
  return source.replace(find, () => replace);
}

export function buildMutants(root: string, mutants: readonly Mutant[]): Build {
  const work = join(root, "dist-test/mutants");
  const [plain, sources, patched] = ["plain", "sources", "patched"].map((name) => join(work, name));
  if (plain === undefined || sources === undefined || patched === undefined) throw new Error("!");
  rmSync(work, { recursive: true, force: true });
  for (const mutant of mutants) {
    const target = join(sources, mutant.name, mutant.file);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, applyMutant(readFileSync(join(root, mutant.file), "utf8"), mutant));
  }
  const base = { extends: join(root, "tsconfig.sim.json"), include: [] };
  compile(root, join(work, "tsconfig.plain.json"), {
    ...base,
    compilerOptions: { rootDir: root, outDir: plain, sourceMap: false },
    files: ENTRY_POINTS.map((file) => join(root, file)),
  });
  compile(root, join(work, "tsconfig.patched.json"), {
    ...base,
    // Every file by itself: what it imports is found in the plain tree when it runs.
    compilerOptions: { rootDir: sources, outDir: patched, sourceMap: false, noResolve: true },
    files: mutants.map(({ name, file }) => join(sources, name, file)),
  });
  const generated = join(root, "src/gen");
  if (existsSync(generated)) cpSync(generated, join(plain, "src/gen"), { recursive: true });
  return {
    plain,
    patched: ({ name, file }) => join(patched, name, file.replace(/\.ts$/, ".js")),
  };
}

function compile(root: string, configFile: string, config: object): void {
  mkdirSync(dirname(configFile), { recursive: true });
  writeFileSync(configFile, JSON.stringify(config));
  const require = createRequire(import.meta.url);
  const tsc = join(dirname(require.resolve("typescript/package.json")), "bin/tsc");
  execFileSync(process.execPath, [tsc, "-p", configFile], { cwd: root, stdio: "inherit" });
}
