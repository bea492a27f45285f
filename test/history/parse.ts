/**
 * Text to history lines, strictly: an unknown field, a missing one or a value out of range is an
 * error that names line, field, value and what is allowed. A history that is read leniently is
 * judged wrongly.
 */
import type { HistoryLine } from "./format.ts";

/** A poll of many records is one line; what is longer is no history, but a slip. */
export const LINE_LENGTH_MAX = 16 * 1024 * 1024;
export const VALUE_LENGTH_MAX = 256;
export const PROCESS_LENGTH_MAX = 128;

/** The text is no history. `lineNumber` counts from 1; undefined where only the index `i` is known. */
export class HistoryError extends Error {
  readonly lineNumber: number | undefined;

  constructor(message: string, lineNumber?: number) {
    super(lineNumber === undefined ? message : `line ${lineNumber}: ${message}`);
    this.name = "HistoryError";
    this.lineNumber = lineNumber;
  }
}

interface Field {
  readonly allowed: string;
  readonly required: boolean;
  readonly check: (value: unknown) => boolean;
}
type Fields = ReadonlyMap<string, Field>;

const KEY = /^[A-Za-z0-9._-]{1,249}(@[A-Za-z0-9._-]{1,64})?-\d{1,9}$/;

function isIndex(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isKey(value: unknown): value is string {
  return typeof value === "string" && KEY.test(value);
}

function isText(value: unknown, lengthMax: number): value is string {
  return typeof value === "string" && value.length >= 1 && value.length <= lengthMax;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isKeyList(value: unknown): boolean {
  return Array.isArray(value) && value.every(isKey) && new Set(value).size === value.length;
}

function isOffsetByKey(value: unknown): boolean {
  return isObject(value) && Object.entries(value).every(([key, at]) => isKey(key) && isIndex(at));
}

function isRecord(value: unknown): boolean {
  if (!Array.isArray(value) || value.length < 2 || value.length > 6) return false;
  if (!isIndex(value[0]) || !isText(value[1], VALUE_LENGTH_MAX)) return false;
  for (let at = 2; at < value.length; at++) if (!Number.isSafeInteger(value[at])) return false;
  return true;
}

function isRecords(value: unknown): boolean {
  if (!isObject(value)) return false;
  for (const key of Object.keys(value)) {
    const records = value[key];
    if (!isKey(key) || !Array.isArray(records) || !records.every(isRecord)) return false;
  }
  return true;
}

function field(allowed: string, check: (value: unknown) => boolean): Field {
  return { allowed, required: true, check };
}

function optional({ allowed, check }: Field): Field {
  return { allowed, required: false, check };
}

const index = field("an integer of 0 to 2^53 - 1", isIndex);
const key = field('a key "topic-partition" or "topic@id-partition"', isKey);
const keys = field("a list of different keys", isKeyList);
const flag = field("true or false", (value) => typeof value === "boolean");
const object = field("an object", isObject);
const anything = field("any JSON value", () => true);
const value = field(`text of 1 to ${VALUE_LENGTH_MAX} characters`, (each) =>
  isText(each, VALUE_LENGTH_MAX),
);
const offsetByKey = field('an object of offsets by key, {"orders-0": 12}', isOffsetByKey);

function oneOf(...values: readonly (string | number)[]): Field {
  const set = new Set<unknown>(values);
  return field(values.map((each) => JSON.stringify(each)).join(", "), (each) => set.has(each));
}

const COMMON = {
  i: index,
  t: index,
  p: field(`text of 1 to ${PROCESS_LENGTH_MAX} characters`, (each) =>
    isText(each, PROCESS_LENGTH_MAX),
  ),
  type: oneOf("invoke", "ok", "fail", "info"),
  f: anything,
};

const OPERATIONS: Readonly<Record<string, readonly [invoke: object, ok: object]>> = {
  assign: [
    {
      keys,
      seek: field(
        '"none", "beginning", "end" or an object of offsets by key',
        (each) => each === "none" || each === "beginning" || each === "end" || isOffsetByKey(each),
      ),
    },
    {},
  ],
  poll: [
    { ahead: optional(flag) },
    {
      recs: field(
        `an object of records by key, {"orders-0": [[offset, value, ...known]]}; offset as an integer of 0 or more, value as text of 1 to ${VALUE_LENGTH_MAX} characters, at most 4 integers more`,
        isRecords,
      ),
      resets: optional(offsetByKey),
    },
  ],
  send: [
    {
      key,
      value,
      acks: oneOf(0, 1, "all"),
      idempotent: flag,
      recordKey: optional(value),
      tombstone: optional(flag),
    },
    {
      offset: optional(index),
      leaderEpoch: optional(field("an integer", (each) => Number.isSafeInteger(each))),
    },
  ],
  listOffsets: [{ key, which: oneOf("earliest", "latest") }, { offset: index }],
  deleteRecords: [
    {
      key,
      before: field(
        "an offset, or -1 for the high watermark",
        (each) => each === -1 || isIndex(each),
      ),
    },
    { lowWatermark: index },
  ],
  admin: [{ call: value, args: object }, { result: optional(anything) }],
  final: [{ keys }, { ends: offsetByKey }],
};

const EVENTS: Readonly<Record<string, object>> = {
  crash: {},
  fault: {
    kind: value,
    targets: field(
      "a list of text",
      (each) => Array.isArray(each) && each.every((one) => typeof one === "string"),
    ),
    phase: oneOf("begin", "end"),
  },
  state: { brokers: object },
};

/** By `type f`. */
const SHAPES: ReadonlyMap<string, Fields> = new Map(
  [
    ...Object.entries(OPERATIONS).flatMap(([name, [invoke, ok]]) => [
      [`invoke ${name}`, invoke] as const,
      [`ok ${name}`, { of: index, ...ok }] as const,
      ...(["fail", "info"] as const).map(
        (type) => [`${type} ${name}`, { of: index, error: optional(value) }] as const,
      ),
    ]),
    ...Object.entries(EVENTS).map(([name, fields]) => [`info ${name}`, fields] as const),
  ].map(([name, fields]) => [name, new Map(Object.entries({ ...COMMON, ...fields }))]),
);

/** Undefined for a line that is empty or a comment. Throws `HistoryError`. */
export function parseLine(text: string, lineNumber: number): HistoryLine | undefined {
  if (text.length > LINE_LENGTH_MAX) {
    throw new HistoryError(
      `has ${text.length} characters, at most ${LINE_LENGTH_MAX} are allowed`,
      lineNumber,
    );
  }
  if (text === "" || text.startsWith("#") || text.trim() === "") return undefined;
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch (thrown) {
    throw new HistoryError(`is no JSON: ${(thrown as Error).message}`, lineNumber);
  }
  if (!isObject(line))
    throw new HistoryError(`is ${shown(line)}, a JSON object is allowed`, lineNumber);
  return checked(line, lineNumber);
}

function checked(line: Readonly<Record<string, unknown>>, lineNumber: number): HistoryLine {
  const shape = SHAPES.get(`${String(line["type"])} ${String(line["f"])}`);
  if (shape === undefined) throw new HistoryError(noSuchShape(line), lineNumber);
  for (const [name, each] of shape) {
    const given = line[name];
    if (given === undefined) {
      if (!each.required) continue;
      throw new HistoryError(`field "${name}" is missing, allowed: ${each.allowed}`, lineNumber);
    }
    if (!each.check(given)) {
      throw new HistoryError(
        `field "${name}" is ${shown(given)}, allowed: ${each.allowed}`,
        lineNumber,
      );
    }
  }
  for (const name in line) {
    if (!shape.has(name)) {
      const allowed = [...shape.keys()].join(", ");
      throw new HistoryError(
        `field "${name}" is unknown for ${String(line["type"])} of ${String(line["f"])}, allowed: ${allowed}`,
        lineNumber,
      );
    }
  }
  return line as unknown as HistoryLine;
}

function noSuchShape(line: Readonly<Record<string, unknown>>): string {
  const { type, f } = line;
  const names = [...Object.keys(OPERATIONS), ...Object.keys(EVENTS)];
  if (f === undefined) return `field "f" is missing, allowed: ${names.join(", ")}`;
  if (typeof f !== "string" || !names.includes(f)) {
    return `field "f" is ${shown(f)}, allowed: ${names.join(", ")}`;
  }
  const allowed = f in EVENTS ? `"info" for ${f}` : COMMON.type.allowed;
  if (type === undefined) return `field "type" is missing, allowed: ${allowed}`;
  return `field "type" is ${shown(type)}, allowed: ${allowed}`;
}

function shown(given: unknown): string {
  const text = JSON.stringify(given);
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`;
}
