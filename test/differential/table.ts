/** From what two clusters answered to the table of what differs, and why it may. */
import type { ApiName } from "../../src/kafka-wire/api-keys.ts";
import { compare } from "./compare.ts";
import type { Observation } from "./target.ts";

export interface Row {
  readonly api: ApiName;
  readonly label: string;
  readonly path: string;
  readonly ottla: string;
  readonly kafka: string;
  readonly versions: readonly number[];
}

export interface Reason {
  readonly api: ApiName | readonly ApiName[] | "any";
  /** What was asked; without it, whatever was. */
  readonly label?: RegExp;
  readonly path: RegExp;
  /** Whether the values are the ones that are explained; without it, whatever they are. */
  readonly ottla?: RegExp;
  readonly kafka?: RegExp;
  readonly because: string;
}

export interface Judged {
  /** Rows by their reason, in the order of the reasons. */
  readonly explained: ReadonlyMap<Reason, readonly Row[]>;
  readonly unexplained: readonly Row[];
  readonly idle: readonly Reason[];
}

/** Throws if the two runs did not ask the same. */
export function rowsOf(ottla: readonly Observation[], kafka: readonly Observation[]): Row[] {
  const keyOf = ({ api, version, label }: Observation): string => `${api} ${version} ${label}`;
  const others = new Map(kafka.map((one) => [keyOf(one), one]));
  if (others.size !== kafka.length || kafka.length !== ottla.length) {
    throw new Error(
      `${ottla.length} and ${kafka.length} answers, ${others.size} of them different`,
    );
  }
  const rows = new Map<string, Row>();
  for (const one of ottla) {
    const other = others.get(keyOf(one));
    if (other === undefined) throw new Error(`Kafka was not asked ${keyOf(one)}`);
    const { api, label, version } = one;
    for (const difference of compare(one.outcome, other.outcome)) {
      const key = JSON.stringify([api, label, difference]);
      const versions = [...(rows.get(key)?.versions ?? []), version];
      rows.set(key, { api, label, versions, ...difference });
    }
  }
  return [...rows.values()];
}

export function judge(rows: readonly Row[], reasons: readonly Reason[]): Judged {
  const explained = new Map<Reason, Row[]>();
  const unexplained: Row[] = [];
  for (const row of rows) {
    const reason = reasons.find((one) => explains(one, row));
    if (reason === undefined) unexplained.push(row);
    else explained.set(reason, [...(explained.get(reason) ?? []), row]);
  }
  return { explained, unexplained, idle: reasons.filter((one) => !explained.has(one)) };
}

function explains({ api, label, path, ottla, kafka }: Reason, row: Row): boolean {
  const apis = typeof api === "string" ? [api] : api;
  return (
    (api === "any" || apis.includes(row.api)) &&
    (label?.test(row.label) ?? true) &&
    path.test(row.path) &&
    (ottla?.test(row.ottla) ?? true) &&
    (kafka?.test(row.kafka) ?? true)
  );
}

const ROWS_SHOWN = 12;

export function documentOf({ explained }: Judged, reasons: readonly Reason[]): string {
  const parts = [
    "# Where Ottla answers otherwise than Kafka 4.3.1",
    "",
    "Written by `npm run differential -- --update` from the reasons in `reasons.ts`: not to be edited by",
    "hand. The same requests go to both, the answers are compared field by field after ids, addresses,",
    "times and texts are taken out; a difference without a reason fails the run.",
  ];
  for (const reason of reasons) {
    const rows = explained.get(reason);
    if (rows === undefined) continue;
    parts.push("", `## ${reason.because}`, "", ...tableOf(rows.slice(0, ROWS_SHOWN)));
    if (rows.length > ROWS_SHOWN)
      parts.push("", `And ${rows.length - ROWS_SHOWN} more like these.`);
  }
  return `${parts.join("\n")}\n`;
}

function tableOf(rows: readonly Row[]): string[] {
  return [
    "| Request | Versions | Asked | Field | Ottla | Kafka |",
    "|---|---|---|---|---|---|",
    ...rows.map(({ api, versions, label, path, ottla, kafka }) => {
      const cells = [api, versions.join(", "), label, path || "the answer", ottla, kafka];
      return `| ${cells.map(escaped).join(" | ")} |`;
    }),
  ];
}

function escaped(cell: string): string {
  return cell.replace(/[|<>\\]/g, "\\$&");
}

export function told({ api, versions, label, path, ottla, kafka }: Row): string {
  return `${api} v${versions.join(",")} | ${label} | ${path || "the answer"} | Ottla ${ottla} | Kafka ${kafka}`;
}
