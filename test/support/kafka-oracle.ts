/**
 * A second reading of Kafka's protocol: interprets the tables of proto/kafka value by value, with
 * BigInt for 64 bits and arrays of bytes, slow and plain. It shares no code with the generator or the
 * codec, so that a mistake would have to be made twice to go unseen.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

type Range = readonly [from: number, upTo: number];

export interface OracleField {
  readonly name: string;
  readonly list: boolean;
  readonly type: string;
  readonly versions: Range;
  readonly nullable: Range | undefined;
  readonly tag: number | undefined;
  readonly default: string | undefined;
  readonly fields: OracleField[];
}

export interface OracleApi {
  readonly name: string;
  readonly key: number;
  readonly versions: Range;
  readonly flexible: number;
  readonly request: OracleField[];
  readonly response: OracleField[];
}

export type OracleValue =
  | undefined
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | readonly OracleValue[]
  | { readonly [name: string]: OracleValue };
type Struct = Record<string, OracleValue>;

/** Draws values; `below(n)` is an integer of [0, n). */
export interface Chance {
  below(end: number): number;
}

const NO_ID = "A".repeat(22);
const EVER = 999;

export function oracleApis(): OracleApi[] {
  // npm runs everything in the package's root, whether it is compiled first or not.
  const folder = join(process.cwd(), "proto/kafka");
  const texts = readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"));
  return texts.flatMap((text) => apisOf(text));
}

function apisOf(text: string): OracleApi[] {
  const lines = text.split("\n").filter((line) => /^ *\w/.test(line));
  const starts = lines.flatMap((line, index) => (line.startsWith(" ") ? [] : [index]));
  return starts.map((start, index) => {
    const [head = "", ...body] = lines.slice(start, starts[index + 1]);
    const answer = body.indexOf("  response");
    const fact = (name: string): string | undefined => new RegExp(`${name}=(\\S+)`).exec(head)?.[1];
    return {
      name: head.split(" ")[0] as string,
      key: Number(fact("key")),
      versions: rangeOf(fact("versions") as string),
      flexible: Number(fact("flexible") ?? EVER),
      request: fieldsOf(body.slice(1, answer), 4),
      response: fieldsOf(body.slice(answer + 1), 4),
    };
  });
}

function fieldsOf(lines: readonly string[], indent: number): OracleField[] {
  const out: OracleField[] = [];
  for (let index = 0; index < lines.length; ) {
    let next = index + 1;
    while (next < lines.length && /^ */.exec(lines[next] as string)?.[0].length !== indent) next++;
    const [name = "", type = "", ...facts] = (lines[index] as string).trim().split(" ");
    const valued = (key: string): string | undefined =>
      facts.find((each) => each.split("=")[0] === key)?.replace(/^\w+=?/, "");
    const plain = facts.find((each) => /^[-\d]/.test(each));
    const nullable = valued("null");
    out.push({
      name,
      list: type.startsWith("[]"),
      type: type.replace("[]", ""),
      versions: plain === undefined ? [0, EVER] : rangeOf(plain),
      nullable:
        nullable === undefined ? undefined : nullable === "" ? [0, EVER] : rangeOf(nullable),
      tag: valued("tag") === undefined ? undefined : Number(valued("tag")),
      default: valued("default"),
      fields: fieldsOf(lines.slice(index + 1, next), indent + 2),
    });
    index = next;
  }
  return out;
}

function rangeOf(text: string): Range {
  if (text.startsWith("-")) return [0, Number(text.slice(1))];
  if (text.endsWith("+")) return [Number(text.slice(0, -1)), EVER];
  const [from, upTo] = text.split("-").map(Number);
  return [from as number, upTo ?? (from as number)];
}

function has(range: Range | undefined, version: number): boolean {
  return range !== undefined && version >= range[0] && version <= range[1];
}

/** What a reader yields for a field that was not sent. */
function missing(field: OracleField): OracleValue {
  if (field.default === "null") return null;
  if (field.list) return [];
  if (field.default === "true" || field.default === "false") return field.default === "true";
  if (field.fields.length > 0) return undefined;
  if (field.type === "string") return "";
  if (field.type === "uuid") return NO_ID;
  if (field.type === "bytes" || field.type === "records") return new Uint8Array(0);
  if (field.type === "bool") return false;
  return Number(BigInt(field.default ?? "0"));
}

/** A message as `version` can carry it: what it lacks has its default. */
export function randomMessage(
  fields: readonly OracleField[],
  version: number,
  chance: Chance,
): Struct {
  const out: Struct = {};
  for (const field of fields) {
    const skipped = field.tag !== undefined && chance.below(2) === 0;
    const there = has(field.versions, version) && !skipped;
    out[field.name] = there ? randomField(field, version, chance) : missing(field);
  }
  return out;
}

function randomField(field: OracleField, version: number, chance: Chance): OracleValue {
  if (has(field.nullable, version) && chance.below(4) === 0) return null;
  if (!field.list) return randomOne(field, version, chance);
  // Long lists of plain values only: nested ones would multiply.
  const long = field.fields.length === 0 && chance.below(10) === 0;
  const count = chance.below(long ? 200 : 4);
  return Array.from({ length: count }, () => randomOne(field, version, chance));
}

function randomOne(field: OracleField, version: number, chance: Chance): OracleValue {
  const { type } = field;
  if (field.fields.length > 0) return randomMessage(field.fields, version, chance);
  const bits = /int(\d+)/.exec(type)?.[1];
  if (bits !== undefined) return randomInteger(Number(bits), type.startsWith("u"), chance);
  if (type === "bool") return chance.below(2) === 1;
  if (type === "string") return randomText(chance);
  const raw = Uint8Array.from({ length: type === "uuid" ? 16 : randomSize(chance) }, () =>
    chance.below(256),
  );
  return type === "uuid" ? Buffer.from(raw).toString("base64url") : raw;
}

function randomSize(chance: Chance): number {
  return chance.below([1, 8, 200, 3_000][chance.below(4)] as number);
}

function randomInteger(bits: number, unsigned: boolean, chance: Chance): number {
  const width = Math.min(bits, 53);
  const draw = chance.below(2 ** 26) * 2 ** 27 + chance.below(2 ** 27);
  const magnitude = draw % 2 ** chance.below(unsigned ? width + 1 : width);
  return unsigned || chance.below(2) === 0 ? magnitude : -magnitude - 1;
}

function randomText(chance: Chance): string {
  const letters =
    chance.below(3) === 0 ? ["a", "ä", "日", "😀", "\u0000", "\u007f"] : ["a", "-", "Z"];
  const size = chance.below(20) === 0 ? 110 + chance.below(40) : chance.below(12);
  return Array.from({ length: size }, () => letters[chance.below(letters.length)]).join("");
}

interface At {
  readonly version: number;
  readonly flexible: boolean;
}

/** The message's bytes, without a header. */
export function encodeMessage(fields: readonly OracleField[], at: At, value: Struct): Buffer {
  const out: Uint8Array[] = [];
  const tagged: (readonly [number, Buffer])[] = [];
  for (const field of fields) {
    if (!has(field.versions, at.version)) continue;
    const given = value[field.name];
    if (field.tag === undefined) out.push(encodeField(field, at, given));
    else if (!same(given, missing(field))) tagged.push([field.tag, encodeField(field, at, given)]);
  }
  if (at.flexible) {
    tagged.sort(([left], [right]) => left - right);
    out.push(uvarint(tagged.length));
    for (const [tag, bytes] of tagged) out.push(uvarint(tag), uvarint(bytes.length), bytes);
  }
  return Buffer.concat(out);
}

function same(left: OracleValue, right: OracleValue): boolean {
  return left === right || (left !== undefined && JSON.stringify(left) === JSON.stringify(right));
}

function encodeField(field: OracleField, at: At, value: OracleValue): Buffer {
  if (!field.list) return encodeOne(field, at, value);
  const list = value as readonly OracleValue[] | null;
  const count = list?.length ?? -1;
  const element = { ...field, nullable: undefined };
  return Buffer.concat([
    at.flexible ? uvarint(count + 1) : integer(count, 4),
    ...(list ?? []).map((each) => encodeOne(element, at, each)),
  ]);
}

function encodeOne(field: OracleField, at: At, value: OracleValue): Buffer {
  const { type } = field;
  if (field.fields.length > 0) {
    if (field.nullable !== undefined && value === null) return Buffer.of(255);
    const body = encodeMessage(field.fields, at, value as Struct);
    return field.nullable === undefined ? body : Buffer.concat([Buffer.of(1), body]);
  }
  const bits = /int(\d+)/.exec(type)?.[1];
  if (bits !== undefined) return integer(value as number, Number(bits) / 8);
  if (type === "bool") return Buffer.of(value === true ? 1 : 0);
  if (type === "uuid") return Buffer.from(value as string, "base64url");
  const raw = typeof value === "string" ? Buffer.from(value, "utf8") : (value as Uint8Array | null);
  const size = raw?.length ?? -1;
  const head = at.flexible ? uvarint(size + 1) : integer(size, type === "string" ? 2 : 4);
  return Buffer.concat([head, raw ?? Buffer.alloc(0)]);
}

function integer(value: number, size: number): Buffer {
  const largest = 2n ** BigInt(size * 8 - 1) - 1n;
  const exact = BigInt(value);
  let rest = BigInt.asUintN(size * 8, size === 8 && exact > largest ? largest : exact);
  const out: number[] = [];
  for (let index = 0; index < size; index++) {
    out.unshift(Number(rest & 255n));
    rest >>= 8n;
  }
  return Buffer.from(out);
}

function uvarint(value: number): Buffer {
  const out: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) + 128);
  return Buffer.from([...out, rest]);
}
