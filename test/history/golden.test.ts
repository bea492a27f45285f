/**
 * Small histories written by hand, several for each anomaly: those that have it, and those that only
 * look like it. The second line of each says what must be found, no more and no less.
 */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { checkHistory } from "./check.ts";
import { ANOMALIES } from "./findings.ts";
import type { HistoryLine } from "./format.ts";
import { parseLine } from "./parse.ts";

const directory = fileURLToPath(new URL("golden/", import.meta.url));
const names = readdirSync(directory).map((name) => name.replace(/\.jsonl$/, ""));

function read(name: string): { readonly lines: HistoryLine[]; readonly expects: string[] } {
  const text = readFileSync(`${directory}${name}.jsonl`, "utf8").split("\n");
  const expects = /^# expects: (.*)$/m.exec(text.join("\n"))?.[1]?.split(", ") ?? [];
  const lines = text.flatMap((line, index) => parseLine(line, index + 1) ?? []);
  return { lines, expects };
}

describe("golden histories", () => {
  it.each(names)("%s", (name) => {
    const { lines, expects } = read(name);
    const { verdict, anomalies, counts } = checkHistory(lines, { minOkPercent: 0 });
    const found = verdict === "invalid" ? Object.keys(counts.anomalies) : [verdict];
    expect(new Set(found)).toEqual(new Set(expects));
    for (const { lines: shown, text } of anomalies) {
      expect(text).not.toMatch(/undefined|NaN| -1/);
      expect(shown.length).toBeGreaterThan(0);
    }
  });

  it.each(["read", "earliest", "ahead"])(
    "below a log start, where leaders may be cut off: %s",
    (name) => {
      const { lines } = read(`below-log-start-${name}`);
      const { verdict, counts } = checkHistory(lines, { minOkPercent: 0, staleLeaders: true });
      expect(verdict).toBe("valid");
      expect(counts.staleReads).toBeGreaterThan(0);
    },
  );

  it.each(ANOMALIES)("there are five or more about %s", (anomaly) => {
    const about = names.filter((name) => name.startsWith(`${anomaly}-`));
    const found = about.filter((name) => read(name).expects.includes(anomaly));
    expect(about.length).toBeGreaterThanOrEqual(5);
    expect(found.length).toBeGreaterThanOrEqual(2);
    expect(about.length - found.length).toBeGreaterThanOrEqual(1);
  });
});
