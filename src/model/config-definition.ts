/**
 * THE configuration keys: every key of Kafka 4.3, those of brokers and those of topics, with Kafka's
 * names, types and ranges, and a few of Ottla's own. Each is known, validated, stored and described,
 * whether Ottla acts on it or not; `effect` says which.
 *
 * The tables are text, one line a key, columns separated by `|`:
 * name, type, default (`~` none), allowed values (`*` any; literals, `low..high`, `low..`, separated
 * by commas; `i:` before them ignores case; `non-empty`), update mode (of a topic key: the broker
 * keys that give its default), effect, documentation.
 */
import { assert } from "../base/assert.ts";
import { BROKER_CONFIGS_GROUPS } from "./broker-configs-groups.ts";
import { BROKER_CONFIGS_LOG } from "./broker-configs-log.ts";
import { BROKER_CONFIGS_OTTLA } from "./broker-configs-ottla.ts";
import { BROKER_CONFIGS_SECURITY } from "./broker-configs-security.ts";
import { BROKER_CONFIGS_SERVER } from "./broker-configs-server.ts";
import { DEFAULT_DIFFERENCES } from "./config-differences.ts";
import { OttlaError } from "./errors.ts";
import { LIMITS } from "./limits.ts";
import { TOPIC_CONFIGS } from "./topic-configs.ts";

export type ConfigScope = "topic" | "broker";
export type ConfigType =
  | "int"
  | "long"
  | "short"
  | "double"
  | "boolean"
  | "string"
  | "list"
  | "class"
  | "password";
/** `cluster-wide` may be set for one broker as well; `read-only` needs a restart. */
export type UpdateMode = "read-only" | "per-broker" | "cluster-wide";

/** A broker key that gives a topic key its default, with the factor of its coarser unit. */
export interface ConfigSynonym {
  readonly key: string;
  readonly factor: number;
}

export interface ConfigDefinition {
  readonly name: string;
  readonly type: ConfigType;
  /** Ottla's; null: none. */
  readonly defaultValue: string | null;
  readonly kafkaDefault: string | null;
  /** As in the table. */
  readonly allowed: string;
  readonly update: UpdateMode;
  /** Only of topic keys; asked in this order. */
  readonly synonyms: readonly ConfigSynonym[];
  /** False: known, validated, stored and described, and nothing reads it yet. */
  readonly effect: boolean;
  readonly documentation: string;
}

/** Keys that begin so belong to a plug-in or to one listener, and are not in the table. */
const OPEN_PREFIXES = ["listener.name.", "config.providers.", "rlmm.config.", "rsm.config."];

const TYPES: ReadonlySet<string> = new Set<ConfigType>([
  "int",
  "long",
  "short",
  "double",
  "boolean",
  "string",
  "list",
  "class",
  "password",
]);
const INTEGER_BOUNDS: Readonly<Record<"short" | "int" | "long", bigint>> = {
  short: 2n ** 15n,
  int: 2n ** 31n,
  long: 2n ** 63n,
};

export const BROKER_CONFIG_KEYS: ReadonlyMap<string, ConfigDefinition> = parseTables("broker", [
  BROKER_CONFIGS_OTTLA,
  BROKER_CONFIGS_SERVER,
  BROKER_CONFIGS_LOG,
  BROKER_CONFIGS_GROUPS,
  BROKER_CONFIGS_SECURITY,
]);
export const TOPIC_CONFIG_KEYS: ReadonlyMap<string, ConfigDefinition> = parseTables("topic", [
  TOPIC_CONFIGS,
]);

export function configKeys(scope: ConfigScope): ReadonlyMap<string, ConfigDefinition> {
  return scope === "topic" ? TOPIC_CONFIG_KEYS : BROKER_CONFIG_KEYS;
}

/** Of a key that the program itself names: a missing one is a defect. */
export function knownConfig(scope: ConfigScope, key: string): ConfigDefinition {
  const definition = configKeys(scope).get(key);
  assert(definition !== undefined, `${scope} key ${key} is not in the table`);
  return definition;
}

/** Whether the key needs no definition: it is one listener's, or a plug-in's. */
export function isOpenKey(scope: ConfigScope, key: string): boolean {
  return scope === "broker" && OPEN_PREFIXES.some((prefix) => key.startsWith(prefix));
}

/** Throws INVALID_CONFIG with the nearest known key. */
export function findConfig(scope: ConfigScope, key: string): ConfigDefinition {
  const definition = configKeys(scope).get(key);
  if (definition !== undefined) return definition;
  const nearest = nearestOf(key, configKeys(scope).keys());
  const hint = nearest === undefined ? "" : `; did you mean ${nearest}?`;
  const other = configKeys(scope === "topic" ? "broker" : "topic").has(key)
    ? `; it is a key of ${scope === "topic" ? "brokers" : "topics"}`
    : hint;
  throw new OttlaError(
    "INVALID_CONFIG",
    `unknown ${scope} configuration key ${quote(key)}${other}`,
    { field: key },
  );
}

/** Throws INVALID_CONFIG naming key, value and what is allowed. */
export function validateConfigValue(scope: ConfigScope, key: string, value: string): void {
  if (value.length > LIMITS.configValueCharacters) {
    throw new OttlaError(
      "INVALID_CONFIG",
      `${key} has ${value.length} characters; allowed are ${LIMITS.configValueCharacters}`,
      { field: key },
    );
  }
  if (isOpenKey(scope, key)) return;
  const definition = findConfig(scope, key);
  if (!accepts(definition, value)) {
    throw new OttlaError(
      "INVALID_CONFIG",
      `${key} is ${quote(value)}; allowed is ${describeAllowed(definition)}`,
      { field: key },
    );
  }
}

/** A list value's elements; empty ones are left out. */
export function splitList(value: string): readonly string[] {
  return value
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

/** What is allowed, for people. */
export function describeAllowed(definition: ConfigDefinition): string {
  const { type, allowed } = definition;
  const kind = { list: "a list, separated by commas,", boolean: "true or false" }[type as string];
  const name = kind ?? (type === "int" ? "an int" : `a ${type}`);
  if (allowed === "*") return name.replace(/,$/, "");
  if (allowed === "non-empty") return `${name} that is not empty`;
  const alternatives = allowed.replace(/^i:/, "").split(",").map(describeAlternative);
  return `${name} of ${alternatives.join(" or ")}`;
}

function describeAlternative(alternative: string): string {
  const range = /^(.+?)\.\.(.*)$/.exec(alternative);
  if (range === null) return alternative;
  return range[2] === "" ? `at least ${range[1]}` : `${range[1]} to ${range[2]}`;
}

function accepts(definition: ConfigDefinition, value: string): boolean {
  const { type, allowed } = definition;
  switch (type) {
    case "boolean":
      return /^(true|false)$/i.test(value.trim());
    case "short":
    case "int":
    case "long": {
      const trimmed = value.trim();
      if (!/^[+-]?\d{1,20}$/.test(trimmed)) return false;
      const integer = BigInt(trimmed.replace("+", ""));
      const bound = INTEGER_BOUNDS[type];
      return integer >= -bound && integer < bound && inRanges(allowed, Number(integer));
    }
    case "double":
      return (
        /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value.trim()) &&
        inRanges(allowed, Number(value))
      );
    case "list":
      return splitList(value).every((part) => inLiterals(allowed, part));
    case "string":
    case "class":
    case "password":
      return inLiterals(allowed, value);
  }
}

function inRanges(allowed: string, value: number): boolean {
  if (allowed === "*") return true;
  return allowed.split(",").some((alternative) => {
    const [low, high] = alternative.split("..") as [string, string | undefined];
    if (high === undefined) return value === Number(low);
    return value >= Number(low) && (high === "" || value <= Number(high));
  });
}

function inLiterals(allowed: string, value: string): boolean {
  if (allowed === "*") return true;
  if (allowed === "non-empty") return value !== "";
  if (allowed.startsWith("i:")) {
    return allowed.slice(2).toLowerCase().split(",").includes(value.toLowerCase());
  }
  return allowed.split(",").includes(value);
}

function quote(value: string): string {
  return JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}...` : value);
}

/** The candidate with the smallest edit distance, if it is near enough to be meant. */
export function nearestOf(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(Math.min(word.length, 60) / 3)) + 1;
  if (word.length > 100) return undefined;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue;
    const distance = editDistance(word, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Levenshtein's, one row at a time. */
function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i++) {
    const next = [i];
    for (let j = 1; j <= right.length; j++) {
      const substitution = (row[j - 1] as number) + (left[i - 1] === right[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[right.length] as number;
}

function parseTables(
  scope: ConfigScope,
  tables: readonly string[],
): ReadonlyMap<string, ConfigDefinition> {
  const keys = new Map<string, ConfigDefinition>();
  for (const table of tables) {
    for (const line of table.trim().split("\n")) {
      const definition = parseLine(scope, line);
      assert(!keys.has(definition.name), `${scope} key ${definition.name} stands twice`);
      keys.set(definition.name, definition);
    }
  }
  return keys;
}

function parseLine(scope: ConfigScope, line: string): ConfigDefinition {
  const columns = line.split("|").map((column) => column.trim());
  assert(columns.length === 7, `a line of the ${scope} table has 7 columns: ${line}`);
  const [name, type, written, allowed, fifth, effect, documentation] = columns as [
    string,
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  assert(TYPES.has(type), `${name}: unknown type ${type}`);
  assert(effect === "yes" || effect === "no", `${name}: effect is yes or no`);
  const kafkaDefault = written === "~" ? null : written;
  const synonyms = scope === "topic" ? parseSynonyms(fifth) : [];
  const difference = DEFAULT_DIFFERENCES[scope === "broker" ? name : (synonyms[0]?.key ?? "")];
  const definition: ConfigDefinition = {
    name,
    type: type as ConfigType,
    defaultValue: difference === undefined ? kafkaDefault : difference.value,
    kafkaDefault,
    allowed,
    update: scope === "topic" ? "cluster-wide" : (fifth as UpdateMode),
    synonyms,
    effect: effect === "yes",
    documentation:
      difference === undefined
        ? documentation
        : `${documentation} Kafka's default is ${kafkaDefault ?? "none"}: ${difference.reason}`,
  };
  assert(
    definition.defaultValue === null || accepts(definition, definition.defaultValue),
    `${name}: its default is not allowed`,
  );
  return definition;
}

function parseSynonyms(column: string): readonly ConfigSynonym[] {
  if (column === "") return [];
  return column.split(" ").map((word) => {
    const [key, factor] = word.split("*") as [string, string | undefined];
    return { key, factor: factor === undefined ? 1 : Number(factor) };
  });
}
