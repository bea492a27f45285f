/**
 * Properties of a broker from a file in Java's `.properties` format, and from `--set`. Stricter than Java where Java is silent: a line without a separator and a key given
 * twice are refused, because both are slips that would otherwise be found in production.
 */
import { OttlaError } from "../model/errors.ts";

const ESCAPES: Readonly<Record<string, string>> = { t: "\t", n: "\n", r: "\r", f: "\f" };

/** A line that continues after a trailing backslash is one logical line, named by its first. */
interface LogicalLine {
  readonly number: number;
  readonly text: string;
}

/** Throws CONFIG_UNREADABLE naming `source` and the line. */
export function parseProperties(text: string, source: string): ReadonlyMap<string, string> {
  const properties = new Map<string, string>();
  const lineOf = new Map<string, number>();
  for (const line of logicalLines(text)) {
    const fail = (what: string): never => {
      throw new OttlaError("CONFIG_UNREADABLE", `${source}, line ${line.number}: ${what}`, {
        field: `line ${line.number}`,
      });
    };
    const end = endOfKey(line.text);
    const key = unescaped(line.text.slice(0, end), fail);
    const separator = /^[ \t\f]*(?:[=:]|(?=\S))[ \t\f]*/.exec(line.text.slice(end));
    if (separator === null) {
      fail(`"${key}" has no value; write "${key}=value" ("${key}=" for an empty one)`);
    }
    if (key === "") fail(`there is no key before "${line.text.slice(end, end + 1)}"`);
    const earlier = lineOf.get(key);
    if (earlier !== undefined) fail(`"${key}" was set before, on line ${earlier}; give it once`);
    lineOf.set(key, line.number);
    const value = line.text.slice(end + (separator as RegExpExecArray)[0].length);
    properties.set(key, unescaped(value, fail));
  }
  return properties;
}

function* logicalLines(text: string): Generator<LogicalLine> {
  const lines = text.split(/\r\n|\n|\r/);
  for (let index = 0; index < lines.length; index++) {
    const number = index + 1;
    let line = (lines[index] as string).replace(/^[ \t\f]+/, "");
    if (line === "" || line.startsWith("#") || line.startsWith("!")) continue;
    while (/(?:^|[^\\])(?:\\\\)*\\$/.test(line) && index + 1 < lines.length) {
      index++;
      line = line.slice(0, -1) + (lines[index] as string).replace(/^[ \t\f]+/, "");
    }
    yield { number, text: line };
  }
}

/** The key ends at the first separator that no backslash escapes. */
function endOfKey(line: string): number {
  for (let index = 0; index < line.length; index++) {
    const character = line[index] as string;
    if (character === "\\") index++;
    else if ("=: \t\f".includes(character)) return index;
  }
  return line.length;
}

function unescaped(text: string, fail: (what: string) => never): string {
  if (!text.includes("\\")) return text;
  return text.replace(/\\(u([0-9a-fA-F]{4})|u|(.)|$)/gs, (written, _all, hex, character) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    if (written === "\\u") return fail('"\\u" wants four hexadecimal digits after it');
    return character === undefined ? "" : (ESCAPES[character] ?? character);
  });
}

/** `key=value` as after `--set`; throws INVALID_ARGUMENT. */
export function parseAssignment(text: string, option: string): readonly [string, string] {
  const at = text.indexOf("=");
  if (at < 1) {
    throw new OttlaError("INVALID_ARGUMENT", `${option} ${JSON.stringify(text)} is no key=value`, {
      field: option,
    });
  }
  return [text.slice(0, at).trim(), text.slice(at + 1).trim()];
}
