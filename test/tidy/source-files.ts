/** The repository as the tidy tests see it: files, their rooms, their imports. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSync } from "oxc-parser";

export const ROOT: string = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

/** Paths relative to the root, sorted, of all files below `folder` with that ending. */
export function filesBelow(folder: string, ending: string): string[] {
  const out: string[] = [];
  const walk = (path: string): void => {
    for (const name of readdirSync(path)) {
      const child = join(path, name);
      if (statSync(child).isDirectory()) {
        if (name !== "gen" && name !== "node_modules") walk(child);
      } else if (name.endsWith(ending)) out.push(relative(ROOT, child));
    }
  };
  walk(join(ROOT, folder));
  return out.sort((left, right) => (left < right ? -1 : 1));
}

export function textOf(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** The room of a source file: the folder below `src`, two deep for `api`. */
export function roomOf(path: string): string {
  const [, first = "", second = ""] = path.split("/");
  return first === "api" ? `api/${second}` : first;
}

export interface Import {
  readonly target: string;
  /** The room, or undefined for something outside `src`. */
  readonly room: string | undefined;
}

/** Every static import, re-export and dynamic import of a file; a type import counts too. */
export function importsOf(path: string): Import[] {
  const source = textOf(path);
  const { errors, module, program } = parseSync(path, source);
  if (errors.length > 0) throw new Error(`${path} does not parse: ${errors[0]?.message}`);
  const targets = [
    ...module.staticImports.map((each) => each.moduleRequest.value),
    ...module.staticExports.flatMap((each) =>
      each.entries.flatMap((entry) => (entry.moduleRequest ? [entry.moduleRequest.value] : [])),
    ),
    ...module.dynamicImports.map((each) => {
      const text = source.slice(each.moduleRequest.start, each.moduleRequest.end);
      return text.replace(/^["'`]|["'`]$/g, "");
    }),
  ];
  if (program.body.length === 0) throw new Error(`${path} is empty`);
  return targets.map((target) => {
    if (!target.startsWith(".")) return { target, room: undefined };
    const resolved = relative(ROOT, resolve(ROOT, dirname(path), target));
    return { target, room: resolved.startsWith("src/") ? roomOf(resolved) : resolved };
  });
}
