/**
 * Makes `src/gen/kafka` from the tables in `kafka/`: for every request and response of Kafka's
 * protocol the brokers know, its types, a reader and a writer in straight lines, with the branches
 * on the version inside. Interpreting a table at run time costs ten times as much.
 *
 * A table is lines of facts, nested by two spaces:
 *
 *     Fetch key=1 versions=4-18 flexible=12           an API: versions it has, first flexible one
 *       request                                       (KIP-482); without `flexible` it has none
 *         name type [versions] [null[=versions]] [tag=N] [default=V]
 *
 * Types: bool int8 int16 uint16 int32 int64 string uuid bytes records, `[]` before one makes a list;
 * a capital letter begins a structure, whose fields follow one level deeper. Versions: `7+`, `-12`
 * (up to it), `3-5`, `3`; none: all that the structure around it has. `null`: null is allowed, in
 * these versions only if some are named. `tag`: a tagged field. A field with a default or a tag may be
 * left out when a message is written.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const SCALARS = {
  bool: { ts: "boolean", zero: "false", call: "bool" },
  int8: { ts: "number", zero: "0", call: "int8" },
  int16: { ts: "number", zero: "0", call: "int16" },
  uint16: { ts: "number", zero: "0", call: "uint16" },
  int32: { ts: "number", zero: "0", call: "int32" },
  int64: { ts: "number", zero: "0", call: "int64" },
  uuid: { ts: "string", zero: "ZERO_UUID", call: "uuid" },
  string: { ts: "string", zero: '""', call: "string", sized: true },
  bytes: { ts: "Uint8Array", zero: "EMPTY_BYTES", call: "bytes", sized: true },
  records: { ts: "Uint8Array", zero: "EMPTY_BYTES", call: "bytes", sized: true },
};
const ANY = [0, 0x7fff];

export function kafkaTables(folder) {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".txt"))
    .sort()
    .map((name) => join(folder, name));
}

/** Writes one file per API, and `messages.ts` with what they have in common. */
export function generateKafka(folder, target) {
  const apis = kafkaTables(folder)
    .flatMap((file) => parse(readFileSync(file, "utf8"), file))
    .sort((left, right) => left.key - right.key);
  const draft = `${target}.${process.pid}`;
  mkdirSync(draft, { recursive: true });
  for (const api of apis) writeFileSync(join(draft, `${fileOf(api.name)}.ts`), apiFile(api));
  writeFileSync(join(draft, "messages.ts"), messagesFile(apis));
  // Somebody else may be compiling: files are put in their places whole. The one whose age tells
  // that all are there comes last.
  mkdirSync(target, { recursive: true });
  const made = new Set(readdirSync(draft));
  for (const name of readdirSync(target)) if (!made.has(name)) rmSync(join(target, name));
  const last = "messages.ts";
  const inOrder = [...made].filter((name) => name !== last).concat(last);
  for (const name of inOrder) renameSync(join(draft, name), join(target, name));
  rmSync(draft, { recursive: true });
}

function parse(text, file) {
  const apis = [];
  let open = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const wrong = (what) => new Error(`${file}:${index + 1}: ${what}: ${line.trim()}`);
    const depth = /^ */.exec(line)[0].length / 2;
    const [first, ...rest] = line.trim().split(" ");
    if (depth === 0) {
      const facts = Object.fromEntries(rest.map((each) => each.split("=")));
      const [lowest, highest] = facts.versions.split("-").map(Number);
      const flexible = facts.flexible === undefined ? ANY[1] : Number(facts.flexible);
      apis.push({ name: first, key: Number(facts.key), lowest, highest, flexible });
      continue;
    }
    const api = apis.at(-1);
    if (depth === 1) {
      if (first !== "request" && first !== "response") throw wrong("a part that no API has");
      const name = `${api.name}${first === "request" ? "Request" : "Response"}`;
      const root = { struct: name, range: [api.lowest, api.highest], fields: [] };
      api[first] = root;
      open = [undefined, root];
      continue;
    }
    const parent = open[depth - 1];
    if (parent?.fields === undefined) throw wrong("nested under nothing");
    const field = parseField(first, rest, { parent, api, wrong });
    parent.fields.push(field);
    open.length = depth;
    open.push(field);
  }
  return apis;
}

function parseField(name, [type, ...facts], { parent, api, wrong }) {
  const list = type.startsWith("[]");
  const element = list ? type.slice(2) : type;
  const field = { name, list, type: element, range: parent.range, nullable: undefined };
  for (const fact of facts) {
    const [key, value] = fact.split("=");
    if (/^[\d-]/.test(key)) field.range = within(versions(key, wrong), parent.range);
    else if (key === "null") field.nullable = versions(value ?? "0+", wrong);
    else if (key === "tag") field.tag = Number(value);
    else if (key === "default") field.default = value;
    else throw wrong("an unknown fact");
  }
  if (field.nullable !== undefined) field.nullable = within(field.nullable, field.range);
  if (field.tag !== undefined && field.range[0] < api.flexible) throw wrong("a tag too early");
  if (/^[A-Z]/.test(element)) {
    const message = parent.message ?? parent.struct;
    Object.assign(field, { struct: `${message}${element}`, message, fields: [] });
  } else if (SCALARS[element] === undefined) throw wrong("an unknown type");
  return field;
}

function versions(text, wrong) {
  const match = /^(?:(\d+)(\+)?|(\d+)-(\d+)|-(\d+))$/.exec(text);
  if (match === null) throw wrong("no range of versions");
  const [, low, open, from, to, upTo] = match;
  if (upTo !== undefined) return [0, Number(upTo)];
  if (from !== undefined) return [Number(from), Number(to)];
  return [Number(low), open === undefined ? Number(low) : ANY[1]];
}

function within(inner, outer) {
  return [Math.max(inner[0], outer[0]), Math.min(inner[1], outer[1])];
}

/** The condition on the version under which `inner` holds, given `outer`; "" if always. */
function when(inner, outer) {
  if (inner[0] > inner[1]) return "false";
  const parts = [];
  if (inner[0] > outer[0]) parts.push(`v >= ${inner[0]}`);
  if (inner[1] < outer[1]) parts.push(`v <= ${inner[1]}`);
  return parts.join(" && ");
}

/** One of two expressions by a condition that may be always or never true. */
function choose(condition, yes, no) {
  if (condition === "" || yes === no) return yes;
  if (condition === "false") return no;
  return `(${condition} ? ${yes} : ${no})`;
}

/** `write` under a condition, in as few lines as it takes. */
function guarded(condition, lines) {
  if (condition === "false") return [];
  if (condition === "") return lines;
  return [`if (${condition}) {`, ...lines.map((line) => `  ${line}`), "}"];
}

function flexibleIn(api, range) {
  return when([api.flexible, ANY[1]], range);
}

function defaultOf(field) {
  const { default: value } = field;
  if (value === "null") return "null";
  if (value !== undefined) {
    // The largest int64 has no number of its own; its neighbour above is written as it (writer.ts).
    return field.type === "int64" ? String(Number(value)) : value;
  }
  if (field.list) return "[]";
  if (field.struct !== undefined) return "undefined";
  return SCALARS[field.type].zero;
}

/** A field that may be missing: the reader yields undefined for it. */
function isOptionalStruct(field) {
  return field.struct !== undefined && !field.list && field.nullable === undefined;
}

function apiFile(api) {
  const body = [];
  const structs = { request: [], response: [] };
  for (const part of ["request", "response"]) {
    const visit = (struct) => {
      for (const field of struct.fields) if (field.struct !== undefined) visit(field);
      structs[part].push(struct);
    };
    visit(api[part]);
    const names = structs[part].map((each) => each.struct);
    if (new Set(names).size !== names.length) throw new Error(`${api.name}: a name used twice`);
    for (const struct of structs[part]) {
      body.push(...types(struct), "", ...reader(api, struct), "", ...writer(api, struct), "");
    }
  }
  const text = body.join("\n");
  const imports = [];
  if (text.includes("EMPTY_BYTES")) {
    imports.push('import { EMPTY_BYTES } from "../../base/bytes.ts";');
  }
  const values = ["ZERO_UUID", "WireReader"].filter((name) => text.includes(name));
  const named = values.map((name) => (name === "WireReader" ? `type ${name}` : name)).join(", ");
  imports.push(`import { ${named} } from "../../kafka-wire/reader.ts";`);
  const writers = ["WireRecords", "WireWriter"].filter((name) => text.includes(name)).join(", ");
  imports.push(`import type { ${writers} } from "../../kafka-wire/writer.ts";`);
  return `/** Generated from proto/kafka by proto/generate-kafka.mjs. */\n${imports.join("\n")}\n\n${text}`;
}

function types(struct) {
  const read = [];
  const written = [];
  for (const field of struct.fields) {
    let ts = field.struct ?? SCALARS[field.type].ts;
    let input = field.struct === undefined ? ts : `${field.struct}Input`;
    if (field.type === "records") input = "WireRecords";
    if (field.list) {
      ts = `readonly ${ts}[]`;
      input = `readonly ${input}[]`;
    }
    const nullable = field.nullable === undefined ? "" : " | null";
    const absent = isOptionalStruct(field) ? " | undefined" : "";
    const optional = field.default !== undefined || field.tag !== undefined ? "?" : "";
    read.push(`  readonly ${field.name}: ${ts}${nullable}${absent};`);
    const undef = optional === "" ? absent : " | undefined";
    written.push(`  readonly ${field.name}${optional}: ${input}${nullable}${undef};`);
  }
  return [
    `export interface ${struct.struct} {`,
    ...read,
    "}",
    "",
    `export interface ${struct.struct}Input {`,
    ...written,
    "}",
  ];
}

function reader(api, struct) {
  const { range } = struct;
  const lines = [];
  for (const field of struct.fields) {
    if (field.tag !== undefined) {
      lines.push(`let ${field.name}: ${readType(field)} = ${defaultOf(field)};`);
      continue;
    }
    const present = when(field.range, range);
    if (field.list) lines.push(...readList(api, field, present));
    else {
      const value = readOne(api, field);
      lines.push(`const ${field.name} = ${choose(present, value, defaultOf(field))};`);
    }
  }
  const tagged = struct.fields.filter((field) => field.tag !== undefined);
  lines.push(...guarded(flexibleIn(api, range), readTags(api, tagged)));
  lines.push(`return { ${struct.fields.map((field) => field.name).join(", ")} };`);
  const used = lines.some((line) => /\bv\b/.test(line)) ? "v" : "_v";
  return [
    `${exported(struct)}function read${struct.struct}(r: WireReader, ${used}: number): ${struct.struct} {`,
    ...lines.map((line) => `  ${line}`),
    "}",
  ];
}

/** Only the outermost structures are asked for from outside. */
function exported(struct) {
  return struct.message === undefined ? "export " : "";
}

function readType(field) {
  const element = field.struct ?? SCALARS[field.type].ts;
  const type = field.list ? `${element}[]` : element;
  return `${type}${field.nullable === undefined ? "" : " | null"}${isOptionalStruct(field) ? " | undefined" : ""}`;
}

function readOne(api, field) {
  const flexible = flexibleIn(api, field.range);
  const nullable = field.nullable === undefined ? "false" : when(field.nullable, field.range);
  if (field.struct !== undefined) {
    const read = `read${field.struct}(r, v)`;
    return choose(nullable, `(r.isPresent() ? ${read} : null)`, read);
  }
  const { call, sized } = SCALARS[field.type];
  if (sized !== true) return `r.${call}()`;
  const named = (prefix) => `r.${prefix === "" ? call : `${prefix}${capital(call)}`}()`;
  return choose(
    nullable,
    choose(flexible, named("compactNullable"), named("nullable")),
    choose(flexible, named("compact"), named("")),
  );
}

function readList(api, field, present) {
  const { name } = field;
  const flexible = flexibleIn(api, field.range);
  const element = field.struct ?? SCALARS[field.type].ts;
  const read =
    field.struct === undefined
      ? readOne(api, { ...field, nullable: undefined })
      : `read${field.struct}(r, v)`;
  const push = `for (; ${name}Count > 0; ${name}Count--) ${name}.push(${read});`;
  const counted = (kind) =>
    choose(
      flexible,
      kind === "" ? "r.compactCount()" : "r.compactNullableCount()",
      kind === "" ? "r.count()" : "r.nullableCount()",
    );
  if (field.nullable === undefined) {
    return [
      `const ${name}: ${element}[] = [];`,
      `let ${name}Count = ${choose(present, counted(""), "0")};`,
      push,
    ];
  }
  const nullable = when(field.nullable, field.range);
  const missing = field.default === "null" ? "-1" : "0";
  const count = choose(present, choose(nullable, counted("null"), counted("")), missing);
  return [
    `let ${name}Count = ${count};`,
    `const ${name}: ${element}[] | null = ${name}Count < 0 ? null : [];`,
    `if (${name} !== null) ${push}`,
  ];
}

function readTags(api, tagged) {
  if (tagged.length === 0) return ["r.skipTags();"];
  const lines = ["let tag = -1;", "for (let n = r.uvarint(); n > 0; n--) {"];
  lines.push("  tag = r.tag(tag);", "  const end = r.tagEnd();", "  switch (tag) {");
  for (const field of tagged) {
    const later = when(field.range, [api.flexible, ANY[1]]);
    // A tag that a version does not have yet is an unknown one.
    const known =
      field.range[1] === api.highest ? later.replace(/ && v <= \d+| ?v <= \d+/, "") : later;
    lines.push(`    case ${field.tag}:`);
    const read = readTagged(api, field);
    if (known === "") lines.push(...read.map((line) => `      ${line}`));
    else {
      lines.push(`      if (${known}) {`, ...read.map((line) => `        ${line}`));
      lines.push("      } else r.skipTo(end);");
    }
    lines.push("      break;");
  }
  lines.push("    default:", "      r.skipTo(end);", "  }", "  r.expectAt(end);", "}");
  return lines;
}

function readTagged(api, field) {
  if (!field.list) return [`${field.name} = ${readOne(api, field)};`];
  const read = field.struct === undefined ? readOne(api, field) : `read${field.struct}(r, v)`;
  return [
    `${field.name} = [];`,
    `for (let count = r.compactCount(); count > 0; count--) ${field.name}.push(${read});`,
  ];
}

function writer(api, struct) {
  const { range } = struct;
  const lines = [];
  for (const field of struct.fields) {
    if (field.tag !== undefined) continue;
    const present = when(field.range, range);
    lines.push(...guarded(present, writeField(api, field)));
  }
  const tagged = struct.fields.filter((field) => field.tag !== undefined);
  lines.push(...guarded(flexibleIn(api, range), writeTags(api, tagged)));
  const used = lines.some((line) => /\bv\b/.test(line)) ? "v" : "_v";
  return [
    `${exported(struct)}function write${struct.struct}(w: WireWriter, ${used}: number, m: ${struct.struct}Input): void {`,
    ...lines.map((line) => `  ${line}`),
    "}",
  ];
}

function writeField(api, field) {
  const flexible = flexibleIn(api, field.range);
  const given =
    field.default === undefined ? `m.${field.name}` : `(m.${field.name} ?? ${defaultOf(field)})`;
  const value = isOptionalStruct(field) ? given : given;
  const nullable = field.nullable !== undefined;
  // `??` would turn a null that was meant into the default.
  const source =
    nullable && field.default !== undefined && field.default !== "null"
      ? `(m.${field.name} === undefined ? ${defaultOf(field)} : m.${field.name})`
      : value;
  if (field.list) return writeList(api, field, { flexible, source });
  if (field.struct !== undefined) {
    if (!nullable) throw new Error(`${field.struct}: a plain structure is not in the tables`);
    return [
      `w.present(${source});`,
      `if (m.${field.name} != null) write${field.struct}(w, v, m.${field.name});`,
    ];
  }
  return writeScalar(api, field, source);
}

function writeScalar(api, field, source) {
  const flexible = flexibleIn(api, field.range);
  const { call, sized } = SCALARS[field.type];
  if (sized !== true) return [`w.${call}(${source});`];
  const name = field.type === "records" ? "records" : call;
  const kinds = (nullable) => {
    const prefix = nullable ? "ullable" : "";
    const plain = nullable ? `n${prefix}${capital(name)}` : name;
    const compact = nullable ? `compactN${prefix}${capital(name)}` : `compact${capital(name)}`;
    return [`w.${compact}(${source});`, `w.${plain}(${source});`];
  };
  const [compact, plain] = kinds(field.nullable !== undefined);
  if (flexible === "") return [compact];
  if (flexible === "false") return [plain];
  return [`if (${flexible}) ${compact}`, `else ${plain}`];
}

function writeList(api, field, { flexible, source }) {
  const name = `${field.name}List`;
  const count =
    field.nullable === undefined ? `${name}.length` : `${name} === null ? -1 : ${name}.length`;
  const lines = [`const ${name} = ${source};`];
  if (flexible === "") lines.push(`w.compactCount(${count});`);
  else if (flexible === "false") lines.push(`w.count(${count});`);
  else lines.push(`if (${flexible}) w.compactCount(${count});`, `else w.count(${count});`);
  const each =
    field.struct === undefined
      ? writeScalar(api, { ...field, nullable: undefined }, "each")
      : [`write${field.struct}(w, v, each);`];
  const loop =
    each.length === 1
      ? [`for (const each of ${name}) ${each[0]}`]
      : [`for (const each of ${name}) {`, ...each.map((line) => `  ${line}`), "}"];
  if (field.nullable === undefined) lines.push(...loop);
  else lines.push(`if (${name} !== null) {`, ...loop.map((line) => `  ${line}`), "}");
  return ["{", ...lines.map((line) => `  ${line}`), "}"];
}

function writeTags(api, tagged) {
  if (tagged.length === 0) return ["w.uvarint(0);"];
  const parts = [...tagged]
    .sort((left, right) => left.tag - right.tag)
    .map((field) => {
      const present = when(field.range, [api.flexible, api.highest]);
      const here = `m.${field.name}`;
      let told = `${here} !== undefined`;
      if (field.list) told += ` && ${here}.length > 0`;
      else if (field.struct === undefined) told += ` && ${here} !== ${defaultOf(field)}`;
      const condition = present === "" ? told : `${present} && ${told}`;
      const body = field.list
        ? writeList(api, field, { flexible: "", source: `m.${field.name} ?? []` })
        : field.struct === undefined
          ? writeScalar(api, { ...field, range: [api.flexible, api.highest] }, here)
          : [`write${field.struct}(w, v, ${here});`];
      return { field, condition, body };
    });
  const lines = ["let tags = 0;"];
  for (const { condition } of parts) lines.push(`if (${condition}) tags++;`);
  lines.push("w.uvarint(tags);");
  for (const { field, condition, body } of parts) {
    lines.push(`if (${condition}) {`, `  const at = w.beginTag(${field.tag});`);
    lines.push(...body.map((line) => `  ${line}`), "  w.endTag(at);", "}");
  }
  return lines;
}

function messagesFile(apis) {
  const lines = ["/** Generated from proto/kafka by proto/generate-kafka.mjs. */"];
  for (const { name } of apis) {
    for (const part of ["Request", "Response"]) {
      lines.push(
        `import { read${name}${part}, write${name}${part}, type ${name}${part}, type ${name}${part}Input } from "./${fileOf(name)}.ts";`,
      );
    }
  }
  lines.push('import type { WireReader } from "../../kafka-wire/reader.ts";');
  lines.push('import type { WireWriter } from "../../kafka-wire/writer.ts";', "");
  lines.push("/** Every API: its key, the versions that have a codec, the first flexible one. */");
  lines.push("export const APIS = {");
  for (const { name, key, lowest, highest, flexible } of apis) {
    lines.push(
      `  ${name}: { key: ${key}, lowest: ${lowest}, highest: ${highest}, flexible: ${flexible} },`,
    );
  }
  lines.push("} as const;", "", "export type ApiName = keyof typeof APIS;", "");
  for (const part of ["Request", "Response"]) {
    for (const suffix of ["", "Input"]) {
      lines.push(`export interface ${part}${suffix}s {`);
      for (const { name } of apis) lines.push(`  readonly ${name}: ${name}${part}${suffix};`);
      lines.push("}", "");
    }
    const upper = part.toUpperCase();
    lines.push(
      `export const ${upper}_READERS: { readonly [Name in ApiName]: (r: WireReader, v: number) => ${part}s[Name] } = {`,
    );
    for (const { name } of apis) lines.push(`  ${name}: read${name}${part},`);
    lines.push("};", "");
    lines.push(
      `export const ${upper}_WRITERS: { readonly [Name in ApiName]: (w: WireWriter, v: number, m: ${part}Inputs[Name]) => void } = {`,
    );
    for (const { name } of apis) lines.push(`  ${name}: write${name}${part},`);
    lines.push("};", "");
  }
  return lines.join("\n");
}

function fileOf(name) {
  return name.replace(/(?<=.)[A-Z]/g, (letter) => `-${letter}`).toLowerCase();
}

function capital(word) {
  return word[0].toUpperCase() + word.slice(1);
}
