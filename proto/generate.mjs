/**
 * Makes `src/gen` from the schemas in this folder, with tools from the npm registry alone, and puts
 * a copy beside the compiled code. Run by `npm run generate`; the output is never committed, so it
 * cannot differ from the schemas.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..");
const pbjs = createRequire(import.meta.url).resolve("protobufjs-cli/bin/pbjs");

/** Only encoding and decoding are used: the rest of what the tool can emit stays out. */
const FLAGS = [
  "--target=static-module",
  "--wrap=esm",
  "--dts",
  "--force-number",
  "--no-verify",
  "--no-convert",
  "--no-delimited",
  "--no-service",
  "--no-beautify",
];

const schemas = [
  { name: "ottla", path: "ottla/v1/ottla.proto" },
  { name: "internal", path: "ottla/internal/v1/internal.proto" },
];

for (const { name, path } of schemas) {
  const source = join(here, path);
  const target = join(root, "src/gen", `${name}.js`);
  if (!isFresh(target, source)) {
    mkdirSync(dirname(target), { recursive: true });
    execFileSync(process.execPath, [pbjs, ...FLAGS, `--root=${name}`, `--out=${target}`, source], {
      stdio: "inherit",
    });
    // The emitted declarations fetch `Long` as CommonJS does; numbers are forced, so nothing uses it.
    const declarations = target.replace(/js$/, "d.ts");
    const text = readFileSync(declarations, "utf8");
    writeFileSync(declarations, text.replace(/^import Long = require\("long"\);\n/m, ""));
  }
  for (const file of [`${name}.js`, `${name}.d.ts`]) {
    const copy = join(root, "dist/gen", file);
    mkdirSync(dirname(copy), { recursive: true });
    copyFileSync(join(root, "src/gen", file), copy);
  }
}

/** Newer than the schema and than this script. */
function isFresh(target, source) {
  if (!existsSync(target)) return false;
  const { mtimeMs } = statSync(target);
  return mtimeMs > statSync(source).mtimeMs && mtimeMs > statSync(fileURLToPath(import.meta.url)).mtimeMs;
}
