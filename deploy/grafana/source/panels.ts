/** What dashboards are made of. Panels flow from left to right; a row begins a new line. */

export interface Query {
  readonly expr: string;
  /** Grafana's template of a series' name: `{{instance}}`. */
  readonly legend?: string;
}

export interface Panel {
  readonly kind: "row" | "stat" | "lines" | "table";
  readonly title: string;
  readonly description: string;
  readonly unit: string;
  /** Of 24. */
  readonly width: number;
  readonly height: number;
  readonly queries: readonly Query[];
  /** From this value on the panel turns to a colour. */
  readonly thresholds: readonly { readonly from: number | null; readonly color: Color }[];
  readonly stacked: boolean;
}

export interface Variable {
  readonly name: string;
  readonly label: string;
  readonly query: string;
  readonly many: boolean;
}

export interface Dashboard {
  /** Stable: links and bookmarks hold it. */
  readonly uid: string;
  readonly file: string;
  readonly title: string;
  readonly description: string;
  readonly variables: readonly Variable[];
  readonly panels: readonly Panel[];
}

type Color = "green" | "yellow" | "orange" | "red" | "blue";
type Options = Partial<Omit<Panel, "kind" | "title" | "queries">>;

const DEFAULTS = {
  description: "",
  unit: "short",
  thresholds: [],
  stacked: false,
} as const;
// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's own placeholder.
const SOURCE = { type: "prometheus", uid: "${DS_PROMETHEUS}" } as const;
const SCHEMA_VERSION = 39;

export function row(title: string): Panel {
  return { ...DEFAULTS, kind: "row", title, width: 24, height: 1, queries: [] };
}

/** One number. */
export function stat(title: string, expr: string, options: Options = {}): Panel {
  return { ...DEFAULTS, kind: "stat", title, width: 3, height: 4, queries: [{ expr }], ...options };
}

/** Numbers over time. */
export function lines(title: string, queries: readonly Query[], options: Options = {}): Panel {
  return { ...DEFAULTS, kind: "lines", title, width: 8, height: 8, queries, ...options };
}

/** The newest value of each series, its labels as columns. */
export function table(title: string, queries: readonly Query[], options: Options = {}): Panel {
  return { ...DEFAULTS, kind: "table", title, width: 24, height: 9, queries, ...options };
}

/** Anything above 0 is bad. */
export const NONE_IS_GOOD: Options = {
  thresholds: [
    { from: null, color: "green" },
    { from: 1, color: "red" },
  ],
};
/** The same where it is only a warning. */
export const NONE_IS_BETTER: Options = {
  thresholds: [
    { from: null, color: "green" },
    { from: 1, color: "orange" },
  ],
};
/** Exactly 1 is good. */
export const ONE_IS_GOOD: Options = {
  thresholds: [
    { from: null, color: "red" },
    { from: 1, color: "green" },
    { from: 2, color: "red" },
  ],
};

export const CLUSTER: Variable = {
  name: "cluster",
  label: "Cluster",
  query: 'label_values(up{job="ottla"}, cluster)',
  many: false,
};
export const BROKER: Variable = {
  name: "instance",
  label: "Broker",
  query: 'label_values(up{job="ottla", cluster="$cluster"}, instance)',
  many: true,
};
export const TOPIC: Variable = {
  name: "topic",
  label: "Topic",
  query: 'label_values(kafka_topic_partitions{cluster="$cluster"}, topic)',
  many: true,
};
export const GROUP: Variable = {
  name: "consumergroup",
  label: "Consumer group",
  query: 'label_values(kafka_consumergroup_members{cluster="$cluster"}, consumergroup)',
  many: true,
};

/** Grafana's file. */
export function render(dashboard: Dashboard): string {
  const { description, panels, title, uid, variables } = dashboard;
  const model = {
    uid,
    title,
    description,
    tags: ["kafka", "ottla"],
    schemaVersion: SCHEMA_VERSION,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: "10s",
    time: { from: "now-30m", to: "now" },
    timezone: "browser",
    links: [
      {
        type: "dashboards",
        title: "Ottla",
        tags: ["ottla"],
        asDropdown: true,
        includeVars: true,
        keepTime: true,
      },
    ],
    annotations: { list: [leaderChanges()] },
    templating: { list: [sourceVariable(), ...variables.map(variable)] },
    panels: place(panels),
  };
  return `${JSON.stringify(model, undefined, 2)}\n`;
}

function leaderChanges(): object {
  return {
    name: "Leaders elected",
    datasource: SOURCE,
    enable: true,
    iconColor: "orange",
    expr: 'sum(increase(ottla_controller_leader_elections_total{cluster="$cluster"}[$__interval])) > 0',
    titleFormat: "leaders elected",
    step: "10s",
  };
}

function sourceVariable(): object {
  return {
    name: "DS_PROMETHEUS",
    label: "Data source",
    type: "datasource",
    query: "prometheus",
    current: {},
    hide: 0,
    includeAll: false,
    multi: false,
  };
}

function variable({ label, many, name, query }: Variable): object {
  return {
    name,
    label,
    type: "query",
    datasource: SOURCE,
    definition: query,
    query: { query, refId: name },
    refresh: 2,
    sort: 1,
    includeAll: many,
    multi: many,
    ...(many
      ? { allValue: ".*", current: { selected: true, text: ["All"], value: ["$__all"] } }
      : { current: {} }),
  };
}

function place(panels: readonly Panel[]): readonly object[] {
  const placed: object[] = [];
  let x = 0;
  let y = 0;
  let lineHeight = 0;
  for (const panel of panels) {
    if (x + panel.width > 24) {
      y += lineHeight;
      x = 0;
      lineHeight = 0;
    }
    const gridPos = { h: panel.height, w: panel.width, x, y };
    placed.push({ id: placed.length + 1, gridPos, ...bodyOf(panel) });
    x += panel.width;
    lineHeight = Math.max(lineHeight, panel.height);
  }
  return placed;
}

function bodyOf(panel: Panel): object {
  const { description, kind, queries, stacked, thresholds, title, unit } = panel;
  if (kind === "row") return { type: "row", title, collapsed: false, panels: [] };
  const steps = thresholds.map(({ color, from }) => ({ color, value: from }));
  const defaults = {
    unit,
    ...(steps.length > 0 ? { thresholds: { mode: "absolute", steps } } : {}),
    ...(kind === "stat" ? { color: { mode: "thresholds" }, noValue: "-" } : {}),
    ...(kind === "lines" ? { min: 0, custom: curve(stacked) } : {}),
  };
  return {
    type: kind === "lines" ? "timeseries" : kind,
    title,
    description,
    datasource: SOURCE,
    fieldConfig: { defaults, overrides: [] },
    options: optionsOf(kind),
    ...(kind === "table" ? { transformations: TABLE_TRANSFORMATIONS } : {}),
    targets: queries.map(({ expr, legend }, index) => ({
      refId: String.fromCharCode("A".charCodeAt(0) + index),
      datasource: SOURCE,
      editorMode: "code",
      expr,
      legendFormat: legend ?? "__auto",
      instant: kind !== "lines",
      range: kind === "lines",
      ...(kind === "table" ? { format: "table" } : {}),
    })),
  };
}

function curve(stacked: boolean): object {
  return {
    lineWidth: 1,
    fillOpacity: stacked ? 30 : 5,
    showPoints: "never",
    spanNulls: false,
    stacking: { mode: stacked ? "normal" : "none", group: "A" },
  };
}

const TABLE_TRANSFORMATIONS = [
  { id: "merge", options: {} },
  {
    id: "organize",
    options: { excludeByName: { Time: true, __name__: true, job: true, cluster: true } },
  },
] as const;

function optionsOf(kind: Panel["kind"]): object {
  switch (kind) {
    case "stat":
      return {
        reduceOptions: { calcs: ["lastNotNull"], fields: "", values: false },
        colorMode: "background",
        graphMode: "none",
        textMode: "auto",
        justifyMode: "center",
      };
    case "lines":
      return {
        legend: { displayMode: "table", placement: "bottom", calcs: ["lastNotNull", "max"] },
        tooltip: { mode: "multi", sort: "desc" },
      };
    default:
      return { showHeader: true };
  }
}
