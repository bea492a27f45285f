/** What an expression of PromQL speaks of, by Prometheus's own grammar. */
import { parser } from "@prometheus-io/lezer-promql";

export interface Selector {
  readonly metric: string;
  readonly labels: readonly string[];
}

export interface Expression {
  readonly selectors: readonly Selector[];
  /** Labels of `by`, `without`, `on`, `ignoring`, `group_left` and `group_right`. */
  readonly groupings: readonly string[];
}

/** Throws where the expression is none. */
export function parsePromql(text: string): Expression {
  const selectors: { metric: string; labels: string[] }[] = [];
  const groupings: string[] = [];
  let inGroupingUntil = -1;
  parser.parse(text).iterate({
    enter: ({ from, name, to, type }) => {
      const own = text.slice(from, to);
      if (type.isError) throw new Error(`no PromQL at ${from}: ${text}`);
      if (name === "VectorSelector") selectors.push({ metric: "", labels: [] });
      const selector = selectors.at(-1);
      if (name === "Identifier" && selector !== undefined) selector.metric = own;
      if (name === "GroupingLabels") inGroupingUntil = to;
      if (name !== "LabelName") return;
      if (from < inGroupingUntil) groupings.push(own);
      else selector?.labels.push(own);
    },
  });
  return { selectors, groupings };
}
