/**
 * Makes `src/gen` from the schemas in this folder, with tools from the npm registry alone, and puts
 * a copy beside each compiled tree. Run by `npm run generate`; the output is never committed, so it
 * cannot differ from the schemas.
 */
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { generateKafka, kafkaTables } from "./generate-kafka.mjs";

const script = fileURLToPath(import.meta.url);
const here = dirname(script);
const root = join(here, "..");
const target = join(root, "src/gen");
const integers = join(here, "int64.mjs");
const require = createRequire(import.meta.url);
const pbjs = require.resolve("protobufjs-cli/bin/pbjs");

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
  "--no-typeurl",
  "--no-beautify",
];

/** What tsc compiles goes to `dist`, and for the tools to `.build`; it does not copy JavaScript. */
const COPIES = [join(root, "dist/gen"), join(root, "dist-test/src/gen")];

const schemas = [
  { name: "ottla", path: "ottla/v1/ottla.proto" },
  { name: "internal", path: "ottla/internal/v1/internal.proto" },
];

mkdirSync(target, { recursive: true });
const files = ["int64.js", "ottla.descriptor.js", "ottla.descriptor.d.ts"];
copyFileSync(integers, join(target, "int64.js"));
for (const { name, path } of schemas) {
  const source = join(here, path);
  if (!isFresh(join(target, `${name}.d.ts`), [source, script, integers])) generate(name, source);
  files.push(`${name}.js`, `${name}.d.ts`);
}
const descriptor = join(target, "ottla.descriptor.d.ts");
if (!isFresh(descriptor, [join(here, "ottla/v1/ottla.proto"), script])) describe(descriptor);
// These are TypeScript: the compiler carries them over by itself.
const kafka = join(target, "kafka");
const kafkaSources = [...kafkaTables(join(here, "kafka")), join(here, "generate-kafka.mjs")];
if (!isFresh(join(kafka, "messages.ts"), kafkaSources)) generateKafka(join(here, "kafka"), kafka);
for (const directory of COPIES) {
  mkdirSync(directory, { recursive: true });
  for (const file of files) copyFileSync(join(target, file), join(directory, file));
}

/** Each file appears whole, by renaming: somebody else may be compiling. The declarations are last. */
function generate(name, source) {
  const draft = join(target, `${name}.${process.pid}`);
  execFileSync(process.execPath, [pbjs, ...FLAGS, `--root=${name}`, `--out=${draft}.js`, source], {
    stdio: "inherit",
  });
  const code = readFileSync(`${draft}.js`, "utf8");
  const read = code
    .replace(/\br\.([us]int64)\(\)/g, "$$$1(r)")
    .replace(/\$util\.Long \? \$util\.Long\.fromBits\(0, ?0, ?(?:true|false)\) : 0/g, "0");
  if (/\br\.\w*64\(|\$util\.Long/.test(read)) {
    throw new Error(`${name}: a kind of 64-bit field that would be read as an object`);
  }
  const runtime = 'import $protobuf from "protobufjs/minimal.js";\n';
  if (!read.includes(runtime)) throw new Error(`${name}: the generated import has changed`);
  const helpers = 'import { sint64 as $sint64, uint64 as $uint64 } from "./int64.js";\n';
  writeFileSync(`${draft}.js`, read.replace(runtime, runtime + helpers));
  // The emitted declarations fetch `Long` as CommonJS does; numbers are forced, so nothing uses it.
  const declarations = readFileSync(`${draft}.d.ts`, "utf8");
  writeFileSync(`${draft}.d.ts`, declarations.replace(/^import Long = require\("long"\);\n/m, ""));
  renameSync(`${draft}.js`, join(target, `${name}.js`));
  renameSync(`${draft}.d.ts`, join(target, `${name}.d.ts`));
}

/** What server reflection answers: made here, so that no broker parses a schema when it starts. */
function describe(declarations) {
  const protobuf = require("protobufjs");
  const { FileDescriptorProto } = require("protobufjs/ext/descriptor");
  const schema = new protobuf.Root().loadSync(join(here, "ottla/v1/ottla.proto"), {
    keepCase: true,
  });
  const [file] = schema.resolveAll().toDescriptor("proto3").file;
  const base64 = Buffer.from(FileDescriptorProto.encode(file).finish()).toString("base64");
  const comment = "/** The public schema as a FileDescriptorProto in base64. */\n";
  writeFileSync(
    join(target, "ottla.descriptor.js"),
    `${comment}export const FILE_DESCRIPTOR = ${JSON.stringify(base64)};\n`,
  );
  writeFileSync(declarations, `${comment}export declare const FILE_DESCRIPTOR: string;\n`);
}

/** Newer than all that it is made from. */
function isFresh(file, sources) {
  if (!existsSync(file)) return false;
  const { mtimeMs } = statSync(file);
  return sources.every((source) => statSync(source).mtimeMs < mtimeMs);
}
