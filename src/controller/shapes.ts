/**
 * Shapes of what comes over the network: each checks a value and gives it back typed, or throws
 * INVALID_REQUEST naming the field, what it is, and what is allowed.
 */
import { OttlaError } from "../model/errors.ts";

export type Shape<Value> = (value: unknown, field: string) => Value;

function refuse(field: string, value: unknown, allowed: string): never {
  const shown = value === undefined ? "missing" : JSON.stringify(value).slice(0, 80);
  throw new OttlaError("INVALID_REQUEST", `${field} is ${shown}; allowed is ${allowed}`, { field });
}

export function integer(lowest: number, highest = Number.MAX_SAFE_INTEGER): Shape<number> {
  return (value, field) =>
    Number.isSafeInteger(value) && (value as number) >= lowest && (value as number) <= highest
      ? (value as number)
      : refuse(field, value, `an integer of ${lowest} to ${highest}`);
}

export function string(charactersMax: number): Shape<string> {
  return (value, field) =>
    typeof value === "string" && value.length <= charactersMax
      ? value
      : refuse(field, value, `a string of at most ${charactersMax} characters`);
}

export const boolean: Shape<boolean> = (value, field) =>
  typeof value === "boolean" ? value : refuse(field, value, "true or false");

export function oneOf<Literal extends string>(...literals: readonly Literal[]): Shape<Literal> {
  return (value, field) =>
    literals.find((literal) => literal === value) ?? refuse(field, value, literals.join(" or "));
}

export function nullable<Value>(shape: Shape<Value>): Shape<Value | null> {
  return (value, field) => (value === null ? null : shape(value, field));
}

/** JSON drops what is undefined. */
export function optional<Value>(shape: Shape<Value>): Shape<Value | undefined> {
  return (value, field) => (value === undefined ? undefined : shape(value, field));
}

export function list<Item>(shape: Shape<Item>, countMax: number): Shape<readonly Item[]> {
  return (value, field) => {
    if (!Array.isArray(value) || value.length > countMax) {
      refuse(field, Array.isArray(value) ? value.length : value, `a list of at most ${countMax}`);
    }
    return value.map((item: unknown, index) => shape(item, `${field}[${index}]`));
  };
}

export function pair<Item>(shape: Shape<Item>): Shape<readonly [Item, Item]> {
  return (value, field) => {
    const items = list(shape, 2)(value, field);
    if (items.length !== 2) refuse(field, value, "a list of two");
    return [items[0] as Item, items[1] as Item];
  };
}

/** String values by string keys. */
export function dictionary(
  countMax: number,
  charactersMax: number,
): Shape<Readonly<Record<string, string>>> {
  return (value, field) => {
    const entries = Object.entries(asObject(value, field));
    if (entries.length > countMax) refuse(field, entries.length, `at most ${countMax} entries`);
    // Without a prototype, a key such as "constructor" is a key like any other.
    const out: Record<string, string> = Object.create(null) as Record<string, string>;
    for (const [key, item] of entries) out[key] = string(charactersMax)(item, `${field}.${key}`);
    return out;
  };
}

export function object<Fields extends Record<string, Shape<unknown>>>(
  fields: Fields,
): Shape<{ readonly [Field in keyof Fields]: ReturnType<Fields[Field]> }> {
  return (value, field) => {
    const from = asObject(value, field);
    const out: Record<string, unknown> = {};
    for (const [name, shape] of Object.entries(fields)) {
      const item = shape(from[name], field === "" ? name : `${field}.${name}`);
      if (item !== undefined) out[name] = item;
    }
    return out as { readonly [Field in keyof Fields]: ReturnType<Fields[Field]> };
  };
}

function asObject(value: unknown, field: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    refuse(field === "" ? "the request" : field, value, "an object");
  }
  return value as Readonly<Record<string, unknown>>;
}
