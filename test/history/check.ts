/**
 * Judges a history: `checkHistory(lines)` is pure and synchronous, reads the lines once and keeps
 * only columns of them. What each anomaly means stands at the head of the file that finds it, in
 * `anomalies/`; what a history may say, in `format.ts`.
 *
 * `valid`: nothing is wrong, and the history could have shown it. `unknown`: nothing is wrong, but
 * the history proves little (nothing succeeded, no complete final read, a search given up). Who runs
 * it in a pipeline takes unknown for red: a harness that does nothing finds nothing.
 */
import { checkBounds } from "./anomalies/bounds.ts";
import type { AllowedCounts, KeyCheck } from "./anomalies/key-check.ts";
import { checkLosses } from "./anomalies/losses.ts";
import { checkMetadata } from "./anomalies/metadata.ts";
import { checkPolls } from "./anomalies/polls.ts";
import { checkSends } from "./anomalies/sends.ts";
import { checkValues } from "./anomalies/values.ts";
import { ALL_STAYS, compactedAway } from "./compaction.ts";
import { type Anomaly, type AnomalyName, Findings } from "./findings.ts";
import type { HistoryLine, JsonObject, JsonValue, OperationName } from "./format.ts";
import { isCommitted, KeyOrder } from "./key-order.ts";
import { type RemovalRules, Removals } from "./removals.ts";
import { FAIL, type FinalRead, HistoryTables, OK, type OutcomeCounts } from "./tables.ts";

export interface CheckOptions {
  /** "prefix": retention may remove the beginning of any log. Default: what the history says. */
  readonly mayLose?: "prefix";
  /**
   * Readers may reach a leader that is cut off and has not learnt of its fall: what it serves is
   * committed, but it knows of no later deletion (Kafka's model, too). Reads below a promised log
   * start are then counted, not anomalies. Default false.
   */
  readonly staleLeaders?: boolean;
  /** Unknown if fewer of a hundred operations are ok. Default 50. */
  readonly minOkPercent?: number;
  /** Bound of the search for an order of metadata calls, per topic. Default 20,000. */
  readonly configurationsMax?: number;
}

export interface Counts extends AllowedCounts {
  readonly lines: number;
  readonly processes: number;
  readonly keys: number;
  /** Records in all polls together. */
  readonly reads: number;
  readonly crashes: number;
  readonly faults: number;
  readonly operations: Readonly<Record<OperationName, OutcomeCounts>>;
  readonly anomalies: Readonly<Partial<Record<AnomalyName, number>>>;
}

export interface Verdict {
  readonly verdict: "valid" | "invalid" | "unknown";
  /** At most 20 of each name; `counts.anomalies` has all. */
  readonly anomalies: readonly Anomaly[];
  readonly counts: Counts;
  /** Why it is not valid. */
  readonly why: readonly string[];
}

const MIN_OK_PERCENT = 50;
const CONFIGURATIONS_MAX = 20_000;

/** Throws `HistoryError` when the lines are no history. */
export function checkHistory(lines: Iterable<HistoryLine>, options: CheckOptions = {}): Verdict {
  const tables = new HistoryTables();
  for (const line of lines) tables.take(line);
  tables.finish();
  const findings = new Findings();
  const allowed: AllowedCounts = {
    duplicates: 0,
    reorderedSends: 0,
    lostWithWeakAcks: 0,
    staleReads: 0,
  };
  const doubts: string[] = [];
  const rules = removalRules(tables, options);
  const final = tables.finals.at(-1);
  for (const key of tables.keys.values()) {
    const order = new KeyOrder(key);
    const isCompacted = rules.compacted.has(key.topic);
    const check: KeyCheck = {
      key,
      order,
      removals: new Removals(key, rules),
      final: final?.outcome === OK && final.ends.has(key.name) ? final : undefined,
      findings,
      processNames: tables.processNames,
      allowed,
      staleLeaders: options.staleLeaders === true,
      mayBeGone: isCompacted ? compactedAway(key, order) : ALL_STAYS,
      isCompacted,
      passed: new Uint8Array(order.count),
    };
    checkValues(check);
    checkPolls(check);
    checkSends(check);
    checkBounds(check);
    const doubt = checkLosses(check);
    if (doubt !== undefined) doubts.push(doubt);
  }
  const { configurationsMax = CONFIGURATIONS_MAX } = options;
  for (const topic of checkMetadata(tables.admin, { findings, configurationsMax })) {
    doubts.push(`the calls on topic ${topic} have too many possible orders (${configurationsMax})`);
  }
  doubts.push(...doubtsOf(tables, { final, rules, minOkPercent: options.minOkPercent }));
  return verdictOf(tables, { findings, allowed, doubts });
}

function verdictOf(
  tables: HistoryTables,
  found: {
    readonly findings: Findings;
    readonly allowed: AllowedCounts;
    readonly doubts: readonly string[];
  },
): Verdict {
  const { findings, allowed, doubts } = found;
  const counts: Counts = {
    lines: tables.linesCount,
    processes: tables.processNames.length,
    keys: tables.keys.size,
    reads: tables.readsCount,
    crashes: tables.crashesCount,
    faults: tables.faultsCount,
    operations: tables.counts,
    ...allowed,
    anomalies: findings.counts,
  };
  const { anomalies } = findings;
  if (!findings.isEmpty) {
    const why = Object.entries(findings.counts).map(([name, count]) => `${count} of ${name}`);
    return { verdict: "invalid", anomalies, counts, why };
  }
  return { verdict: doubts.length === 0 ? "valid" : "unknown", anomalies, counts, why: doubts };
}

/** Why a history without an anomaly proves too little. */
function doubtsOf(
  tables: HistoryTables,
  context: {
    readonly final: FinalRead | undefined;
    readonly rules: RemovalRules;
    readonly minOkPercent: number | undefined;
  },
): readonly string[] {
  const { final, rules, minOkPercent = MIN_OK_PERCENT } = context;
  const doubts: string[] = [];
  const { send, poll } = tables.counts;
  const all = Object.values(tables.counts);
  const okCount = sum(all.map(({ ok }) => ok));
  const count = sum(all.map(({ ok, fail, info }) => ok + fail + info));
  if (okCount === 0) doubts.push("no operation was ok");
  else if (okCount * 100 < count * minOkPercent) {
    doubts.push(
      `only ${okCount} of ${count} operations were ok, fewer than ${minOkPercent} of 100`,
    );
  }
  if (send.ok + send.fail + send.info > 0) {
    if (send.ok === 0) doubts.push("no send was ok");
    if (poll.ok === 0) doubts.push("no poll was ok");
    doubts.push(...finalDoubts(tables, final, rules));
  }
  return doubts;
}

function finalDoubts(
  tables: HistoryTables,
  final: FinalRead | undefined,
  rules: RemovalRules,
): readonly string[] {
  if (final === undefined) return ["there is no final read"];
  if (final.outcome !== OK) return ["the final read is not complete"];
  return [...tables.keys.values()]
    .filter((key) => !final.ends.has(key.name) && !rules.deleted.has(key.topic))
    .filter((key) => key.sent.names.some((_, value) => isCommitted(key, value)))
    .map(({ name }) => `the final read leaves out ${name}`);
}

function removalRules({ admin }: HistoryTables, { mayLose }: CheckOptions): RemovalRules {
  const retained = new Set<string>();
  const deleted = new Set<string>();
  const compacted = new Set<string>();
  for (const { call, args, outcome } of admin) {
    const { topic } = args;
    if (outcome === FAIL || typeof topic !== "string") continue;
    if (call === "deleteTopic") deleted.add(topic);
    const set = call === "createTopic" ? args["configs"] : args["set"];
    if (call !== "createTopic" && call !== "alterConfig") continue;
    if (setsRetention(set)) retained.add(topic);
    if (setsCompaction(set)) compacted.add(topic);
  }
  return { prefix: mayLose === "prefix", retained, deleted, compacted };
}

function setsRetention(configs: JsonValue | undefined): boolean {
  if (typeof configs !== "object" || configs === null) return false;
  return Object.entries(configs).some(
    ([name, value]) =>
      (name === "retention.ms" || name === "retention.bytes") &&
      value !== null &&
      String(value) !== "-1",
  );
}

function setsCompaction(configs: JsonValue | undefined): boolean {
  if (typeof configs !== "object" || configs === null) return false;
  const policy = (configs as JsonObject)["cleanup.policy"];
  return typeof policy === "string" && policy.includes("compact");
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((left, right) => left + right, 0);
}
