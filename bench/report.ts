/** Medians with their spread, as a table for people and JSON for programs. */
import Table from "cli-table3";

export interface Figure {
  readonly name: string;
  readonly unit: string;
  /** One value a run. */
  readonly values: readonly number[];
  /** What must be reached; `least` where more is better. */
  readonly bound?: { readonly must: number; readonly aim: number; readonly least: boolean };
  readonly note?: string;
}

export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function summarize(values: readonly number[]): Summary {
  const sorted = [...values].sort((left, right) => left - right);
  return {
    median: quantile(sorted, 0.5),
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
  };
}

/** Of sorted values, by nearest rank. */
export function quantile(sorted: readonly number[], share: number): number {
  const rank = Math.max(0, Math.ceil(share * sorted.length) - 1);
  return sorted[rank] ?? Number.NaN;
}

function text(value: number): string {
  if (Number.isNaN(value)) return "-";
  if (value >= 10_000) return Math.round(value).toLocaleString("en");
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function verdict({ bound }: Figure, median: number): string {
  if (bound === undefined) return "";
  const reached = (limit: number) => (bound.least ? median >= limit : median <= limit);
  if (reached(bound.aim)) return "aim";
  return reached(bound.must) ? "must" : "missed";
}

export function tableOf(figures: readonly Figure[]): string {
  const table = new Table({
    head: ["figure", "median", "min - max", "unit", "must / aim", "reached"],
    style: { head: [], border: [] },
  });
  for (const figure of figures) {
    const { median, min, max } = summarize(figure.values);
    const { bound } = figure;
    table.push([
      figure.note === undefined ? figure.name : `${figure.name}\n  ${figure.note}`,
      text(median),
      `${text(min)} - ${text(max)}`,
      figure.unit,
      bound === undefined ? "" : `${text(bound.must)} / ${text(bound.aim)}`,
      verdict(figure, median),
    ]);
  }
  return table.toString();
}

export function jsonOf(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => ({ ...figure, ...summarize(figure.values) }));
  return JSON.stringify({ node: process.version, figures: rows }, null, 2);
}
