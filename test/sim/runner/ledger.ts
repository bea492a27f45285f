/**
 * Adds what a campaign ran to the table of counts in `LEDGER.md`: one row per kind of run and
 * commit. Only campaigns on a commit count: a changed work tree cannot be named afterwards.
 */
import { readFileSync, writeFileSync } from "node:fs";
import type { Tally } from "./tally.ts";

const HEAD = "| Kind | Commit | Runs | Virtual hours | Core hours | Failed | Unknown |";
const RULE = "| --- | --- | --- | --- | --- | --- | --- |";
const ROW =
  /^\| *([\w-]+) *\| *([\w.-]+) *\| *(\d+) *\| *([\d.]+) *\| *([\d.]+) *\| *(\d+) *\| *(\d+) *\|$/;

interface Row {
  readonly kind: string;
  readonly commit: string;
  readonly runs: number;
  readonly virtualHours: number;
  readonly coreHours: number;
  readonly failed: number;
  readonly unknown: number;
}

export function addToLedger(options: {
  readonly path: string;
  readonly kind: string;
  readonly commit: string;
  readonly tally: Tally;
}): void {
  const { path, kind, commit, tally } = options;
  const added: Row = {
    kind,
    commit,
    runs: tally.runsCount,
    virtualHours: tally.virtualMs / 3_600_000,
    coreHours: tally.coreSeconds / 3_600,
    failed: tally.failed.length,
    unknown: tally.unknown.length,
  };
  writeFileSync(path, withRow(readFileSync(path, "utf8"), added));
}

/** Throws if the text has no table of counts. */
export function withRow(text: string, added: Row): string {
  const lines = text.split("\n");
  const head = lines.findIndex((line) => squeezed(line) === HEAD);
  if (head < 0) throw new Error(`the ledger has no table "${HEAD}"`);
  let end = head + 2;
  const rows: Row[] = [];
  for (; end < lines.length; end++) {
    const row = ROW.exec(lines[end] as string);
    if (row === null) break;
    const [, kind, commit, ...numbers] = row as unknown as [string, string, string, ...string[]];
    const [runs, virtualHours, coreHours, failed, unknown] = numbers.map(Number) as [
      number,
      number,
      number,
      number,
      number,
    ];
    rows.push({ kind, commit, runs, virtualHours, coreHours, failed, unknown });
  }
  const same = rows.findIndex(({ kind, commit }) => kind === added.kind && commit === added.commit);
  if (same < 0) rows.push(added);
  else rows[same] = sum(rows[same] as Row, added);
  return [...lines.slice(0, head), HEAD, RULE, ...rows.map(lineOf), ...lines.slice(end)].join("\n");
}

function sum(left: Row, right: Row): Row {
  return {
    ...left,
    runs: left.runs + right.runs,
    virtualHours: left.virtualHours + right.virtualHours,
    coreHours: left.coreHours + right.coreHours,
    failed: left.failed + right.failed,
    unknown: left.unknown + right.unknown,
  };
}

function lineOf({ kind, commit, runs, virtualHours, coreHours, failed, unknown }: Row): string {
  const cells = [
    kind,
    commit,
    runs,
    virtualHours.toFixed(2),
    coreHours.toFixed(2),
    failed,
    unknown,
  ];
  return `| ${cells.join(" | ")} |`;
}

function squeezed(line: string): string {
  return line.replace(/ +/g, " ").trim();
}
