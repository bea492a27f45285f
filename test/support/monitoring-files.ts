/** What lies in `deploy`: expressions of dashboards and rules, each with where it stands. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { PACKAGE_ROOT } from "../../src/main/package-root.ts";

const DEPLOY = join(PACKAGE_ROOT, "deploy");
export const PROMETHEUS_DIRECTORY = join(DEPLOY, "prometheus");
export const DASHBOARDS_DIRECTORY = join(DEPLOY, "grafana", "dashboards");
export const RUNBOOK_FILE = join(DEPLOY, "RUNBOOK.md");

export interface PlacedExpression {
  readonly where: string;
  readonly expr: string;
}

export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

interface DashboardFile {
  readonly uid: string;
  readonly title: string;
  readonly templating: {
    readonly list: readonly {
      readonly name: string;
      readonly type: string;
      readonly definition?: string;
    }[];
  };
  readonly annotations: {
    readonly list: readonly { readonly name: string; readonly expr: string }[];
  };
  readonly panels: readonly {
    readonly title: string;
    readonly type: string;
    readonly gridPos: {
      readonly x: number;
      readonly y: number;
      readonly w: number;
      readonly h: number;
    };
    readonly targets?: readonly { readonly expr: string }[];
  }[];
}

export function readDashboards(): readonly DashboardFile[] {
  return readdirSync(DASHBOARDS_DIRECTORY)
    .filter((name) => name.endsWith(".json"))
    .map(
      (name) => JSON.parse(readFileSync(join(DASHBOARDS_DIRECTORY, name), "utf8")) as DashboardFile,
    );
}

export function readAlerts(): readonly AlertRule[] {
  const directory = join(PROMETHEUS_DIRECTORY, "rules");
  return readdirSync(directory).flatMap((name) => {
    const file = parse(readFileSync(join(directory, name), "utf8")) as {
      readonly groups: readonly { readonly rules: readonly AlertRule[] }[];
    };
    return file.groups.flatMap(({ rules }) => rules);
  });
}

/** Grafana's placeholders, as values; everything is chosen. */
export interface Placeholders {
  readonly cluster: string;
  /** Prometheus's spelling of a duration. */
  readonly interval: string;
}

export function fillPlaceholders(expr: string, { cluster, interval }: Placeholders): string {
  return expr
    .replaceAll(/\$__(rate_interval|interval|range)\b/g, interval)
    .replaceAll("$cluster", cluster)
    .replaceAll(/\$(instance|topic|consumergroup)\b/g, ".*");
}

/** Of panels, of variables and of annotations. */
export function dashboardExpressions(placeholders: Placeholders): readonly PlacedExpression[] {
  return readDashboards().flatMap(({ annotations, panels, templating, title }) => {
    const found: PlacedExpression[] = [];
    const add = (where: string, expr: string): void => {
      found.push({ where: `${title}: ${where}`, expr: fillPlaceholders(expr, placeholders) });
    };
    for (const panel of panels) {
      for (const { expr } of panel.targets ?? []) add(panel.title, expr);
    }
    for (const { definition, name } of templating.list) {
      const selector = /^label_values\((.*), \w+\)$/.exec(definition ?? "")?.[1];
      if (selector !== undefined) add(`variable ${name}`, selector);
    }
    for (const { expr, name } of annotations.list) add(`annotation ${name}`, expr);
    return found;
  });
}
