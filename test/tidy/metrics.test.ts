/** METRICS.md, dashboards and alerts against the catalogue of metrics. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { CATALOGUE, NODE_METRICS } from "../support/metric-catalogue.ts";
import { renderMetricsDocument } from "../support/metrics-document.ts";

const ROOT = join(import.meta.dirname, "..", "..");

test("METRICS.md is what the catalogue says (UPDATE_GOLDEN=1 writes it anew)", () => {
  const file = join(ROOT, "METRICS.md");
  const text = renderMetricsDocument();
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(file, text);
  expect(existsSync(file) ? readFileSync(file, "utf8") : "").toBe(text);
  for (const { name } of [...CATALOGUE, ...NODE_METRICS]) expect(text).toContain(`\`${name}\``);
});

test("every metric has a help, a name of its kind, and labels that may be written", () => {
  for (const { help, labels, name, type } of CATALOGUE) {
    expect([name, /^(kafka|ottla)_[a-z0-9_]+$/.test(name)]).toEqual([name, true]);
    expect([name, help.endsWith(".")]).toEqual([name, true]);
    for (const label of labels) expect(label).toMatch(/^[a-zA-Z_][a-zA-Z0-9_]*$/);
    if (type === "histogram") expect(name).toMatch(/_seconds$/);
    // Kafka's own counters of a coordinator end otherwise.
    const kafkas = name.startsWith("kafka_server_group_coordinator_metrics_");
    if (type === "counter" && !kafkas) expect(name).toMatch(/_total$/);
  }
  expect(new Set(CATALOGUE.map(({ name }) => name)).size).toBe(CATALOGUE.length);
});
