/** Dashboards, alerts and the runbook against the catalogue of metrics, and against each other. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { DASHBOARDS } from "../../deploy/grafana/source/dashboards.ts";
import { render } from "../../deploy/grafana/source/panels.ts";
import { seriesLabels, TARGET_LABELS } from "../support/metric-catalogue.ts";
import {
  DASHBOARDS_DIRECTORY,
  dashboardExpressions,
  PROMETHEUS_DIRECTORY,
  RUNBOOK_FILE,
  readAlerts,
  readDashboards,
} from "../support/monitoring-files.ts";
import { parsePromql } from "../support/promql.ts";

const PLACEHOLDERS = { cluster: "ottla", interval: "1m" };
/** A sum over topics and over the broker's own sum, which has none, counts twice. */
const HAS_SUMS = /^kafka_server_brokertopicmetrics_(?!replication)/;

/** What the catalogue has against an expression. */
function faultsOf(expr: string): readonly string[] {
  const { groupings, selectors } = parsePromql(expr);
  const known = seriesLabels();
  const allowed = new Set(TARGET_LABELS);
  const faults: string[] = [];
  for (const { labels, metric } of selectors) {
    const own = known.get(metric);
    if (own === undefined) {
      faults.push(`no metric ${metric}`);
      continue;
    }
    for (const label of own) allowed.add(label);
    for (const label of labels) {
      if (!own.includes(label) && !TARGET_LABELS.includes(label)) {
        faults.push(`${metric} has no label ${label}`);
      }
    }
    if (HAS_SUMS.test(metric) && !labels.includes("topic")) faults.push(`${metric} counts twice`);
  }
  for (const label of groupings) if (!allowed.has(label)) faults.push(`nothing has label ${label}`);
  return faults;
}

describe("the check of expressions", () => {
  test.each([
    ["sum(kafka_brokers)", 0],
    ["sum(kafka_broker)", 1],
    ['sum by (listener) (kafka_brokers{cluster="a", topic="b"})', 2],
    ["rate(ottla_log_flush_duration_seconds[1m])", 1],
    ["sum by (le) (rate(ottla_log_flush_duration_seconds_bucket[1m]))", 0],
    ["sum(rate(kafka_server_brokertopicmetrics_bytesin_total[1m]))", 1],
    ['sum(rate(kafka_server_brokertopicmetrics_bytesin_total{topic!=""}[1m]))', 0],
  ])("%s: %i faults", (expr, count) => {
    expect(faultsOf(expr)).toHaveLength(count);
  });

  test("notices what is no expression", () => {
    expect(() => parsePromql("sum(kafka_brokers")).toThrow("no PromQL");
  });
});

describe("dashboards", () => {
  test("are those of their sources (UPDATE_GOLDEN=1 writes them anew)", () => {
    const files = DASHBOARDS.map(({ file }) => file);
    for (const dashboard of DASHBOARDS) {
      const file = join(DASHBOARDS_DIRECTORY, dashboard.file);
      if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(file, render(dashboard));
      expect(readFileSync(file, "utf8")).toBe(render(dashboard));
    }
    expect(new Set(readdirSync(DASHBOARDS_DIRECTORY))).toEqual(new Set(files));
  });

  test("ask for metrics and labels that there are", () => {
    const expressions = dashboardExpressions(PLACEHOLDERS);
    expect(expressions.length).toBeGreaterThan(100);
    const found = expressions.flatMap(({ expr, where }) =>
      faultsOf(expr).map((fault) => `${where}: ${fault}`),
    );
    expect(found).toEqual([]);
    for (const { expr } of expressions) expect(expr).not.toContain("$");
  });

  test("have uids of their own, titles of their own, and panels that do not overlap", () => {
    const dashboards = readDashboards();
    expect(new Set(dashboards.map(({ uid }) => uid)).size).toBe(dashboards.length);
    for (const { panels, title } of dashboards) {
      const titles = panels.map((panel) => panel.title);
      expect([title, new Set(titles).size]).toEqual([title, titles.length]);
      for (const [index, { gridPos: one }] of panels.entries()) {
        expect(one.x + one.w).toBeLessThanOrEqual(24);
        for (const { gridPos: other } of panels.slice(0, index)) {
          const apart =
            one.x >= other.x + other.w ||
            other.x >= one.x + one.w ||
            one.y >= other.y + other.h ||
            other.y >= one.y + one.h;
          expect(apart).toBe(true);
        }
      }
    }
  });
});

describe("alerts", () => {
  const alerts = readAlerts();

  test("ask for metrics and labels that there are", () => {
    expect(alerts.length).toBeGreaterThan(10);
    const found = alerts.flatMap(({ alert, expr }) =>
      faultsOf(expr).map((fault) => `${alert}: ${fault}`),
    );
    expect(found).toEqual([]);
  });

  test("have a severity, words, and a section of the runbook; which has no other sections", () => {
    const runbook = readFileSync(RUNBOOK_FILE, "utf8");
    const sections = [...runbook.matchAll(/^## (.+)$/gm)].map(([, title]) => title as string);
    expect(new Set(sections)).toEqual(new Set(alerts.map(({ alert }) => alert)));
    expect(new Set(sections).size).toBe(sections.length);
    for (const { alert, annotations, labels } of alerts) {
      expect([alert, labels["severity"]]).toEqual([
        alert,
        expect.stringMatching(/^(critical|warning)$/),
      ]);
      expect(annotations["summary"]).toBeTruthy();
      expect(annotations["description"]).toBeTruthy();
      expect(annotations["runbook"]).toBe(`deploy/RUNBOOK.md#${alert.toLowerCase()}`);
    }
  });

  test("each have a test in which they fire, and one in which they do not", () => {
    const text = readFileSync(join(PROMETHEUS_DIRECTORY, "tests", "ottla.yml"), "utf8");
    for (const { alert } of alerts) {
      const cases = text
        .split("- eval_time: ")
        .filter((part) => part.includes(`alertname: ${alert}\n`));
      const quiet = cases.filter((part) => /exp_alerts: \[\]/.test(part));
      expect([alert, cases.length > quiet.length]).toEqual([alert, true]);
      // One that fires for a broker must name it: the other broker of its test is the quiet case.
      const named = cases.some((part) => /instance: /.test(part));
      expect([alert, quiet.length > 0 || named]).toEqual([alert, true]);
    }
  });
});
