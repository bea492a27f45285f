/** What commands print: results on standard output, everything else on standard error. */
import { once } from "node:events";
import { ERRORS, type ErrorCode, OttlaError, toOttlaError } from "../model/errors.ts";
import { EXIT, type ExitCode, exitCodeOf } from "./exit-codes.ts";

export type OutputFormat = "table" | "json";

/** Waits while the reader of standard output is slower than we are. */
export async function write(text: string | Uint8Array): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, "drain");
}

export function writeLine(text: string): Promise<void> {
  return write(`${text}\n`);
}

/** One object a line, so that `jq` and `while read` take it as it comes. */
export function writeJson(value: unknown): Promise<void> {
  return writeLine(JSON.stringify(value));
}

/** A line for people: progress, warnings, what to do next. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

const NO_BORDERS = {
  top: "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  bottom: "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  left: "",
  "left-mid": "",
  mid: "",
  "mid-mid": "",
  right: "",
  "right-mid": "",
  middle: "  ",
};

/** A table without borders, as `kubectl` and Kafka's tools print: easy to read and to cut. */
export async function formatTable(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): Promise<string> {
  const { default: Table } = await import("cli-table3");
  const table = new Table({
    chars: NO_BORDERS,
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [] },
  });
  table.push([...head], ...rows.map((row) => row.map(String)));
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

/** A wrong command line; commander's own errors are treated alike. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What went wrong and what can be done about it, and the exit code that says the same. */
export function formatError(thrown: unknown): { readonly text: string; readonly exit: ExitCode } {
  if (thrown instanceof UsageError) return { text: `error: ${thrown.message}`, exit: EXIT.USAGE };
  const error = toOttlaError(thrown);
  const exit = exitCodeOf(error.code);
  const lines = [`error: ${error.message} (${error.code})`, `  ${error.action}`];
  if (exit === EXIT.BROKEN && thrown instanceof Error && thrown.stack !== undefined) {
    lines.push(thrown.stack);
  }
  return { text: lines.join("\n"), exit };
}

/** The same in one line, as logs of containers take it. */
export function formatInOneLine(thrown: unknown): string {
  const { action, code, message } = toOttlaError(thrown);
  const said = message.replace(/\s*\n\s*/g, " ");
  return `error: ${said} (${code}). ${action}`;
}

/** Of one item in a reply that carries many. */
export interface ItemRefusal {
  readonly code: ErrorCode;
  readonly message: string;
}

export function refusalError(refusal: ItemRefusal): OttlaError {
  return new OttlaError(refusal.code, refusal.message);
}

export function actionOf(code: ErrorCode): string {
  return ERRORS[code].action;
}
