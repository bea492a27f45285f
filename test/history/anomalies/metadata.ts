/**
 * Calls to the controller (invariant R20 of the design: the controller's API is linearizable).
 *
 * - nonlinearizable-metadata: no order of the calls on one topic explains what they answered. Topics
 *   are independent of one another, so each is searched alone (Herlihy and Wing 1990, locality).
 * - duplicate-producer-id: an id was handed out twice.
 */
import type { Findings } from "../findings.ts";
import type { JsonValue } from "../format.ts";
import { type Operation, search } from "../linearizability.ts";
import { type AdminOperation, FAIL, OK } from "../tables.ts";

interface Topic {
  /** Undefined where the call left it to the cluster. */
  readonly partitions: number | undefined;
  /** What is set on the topic itself; null for what is certainly not. */
  readonly configs: Readonly<Record<string, string | null>>;
  /** Nothing else is set. */
  readonly isWhole: boolean;
}
type TopicState = Topic | "absent";

/** A history may begin with topics that somebody made before. */
const INITIAL: readonly TopicState[] = [
  "absent",
  { partitions: undefined, configs: {}, isWhole: false },
];

type Apply = (state: TopicState) => TopicState | undefined;

/** Returns the topics whose search was given up. */
export function checkMetadata(
  admin: readonly AdminOperation[],
  {
    findings,
    configurationsMax,
  }: { readonly findings: Findings; readonly configurationsMax: number },
): readonly string[] {
  checkProducerIds(admin, findings);
  const byTopic = new Map<string, AdminOperation[]>();
  for (const operation of admin) {
    const topic = operation.args["topic"];
    if (typeof topic !== "string") continue;
    const list = byTopic.get(topic);
    if (list === undefined) byTopic.set(topic, [operation]);
    else list.push(operation);
  }
  const givenUp: string[] = [];
  for (const [topic, calls] of byTopic) {
    const names = configNames(calls);
    const judged = calls.flatMap((call) => {
      const apply = applyOf(call, names);
      return apply === undefined ? [] : [{ call, operation: operationOf(call, apply) }];
    });
    const result = search(
      judged.map(({ operation }) => operation),
      { initial: INITIAL, textOf, configurationsMax },
    );
    if (result.type === "unknown") givenUp.push(topic);
    if (result.type !== "impossible") continue;
    const { operation, open } = result;
    const { call } = judged[operation] as (typeof judged)[number];
    findings.add("nonlinearizable-metadata", () => ({
      key: topic,
      text: `no order of the calls before explains that ${call.call} ${answerOf(call)}`,
      lines: [
        ...linesBefore(
          judged.map((each) => each.call),
          call,
        ),
        ...open.map((each) => judged[each]?.call.invokedAt ?? -1),
        call.invokedAt,
        call.completedAt,
      ],
    }));
  }
  return givenUp;
}

function checkProducerIds(admin: readonly AdminOperation[], findings: Findings): void {
  const givenAt = new Map<number, number>();
  for (const { call, outcome, result, completedAt } of admin) {
    if (call !== "allocateProducerId" || outcome !== OK) continue;
    const id = fieldOf(result, "producerId");
    if (typeof id !== "number") continue;
    const before = givenAt.get(id);
    if (before === undefined) givenAt.set(id, completedAt);
    else {
      findings.add("duplicate-producer-id", () => ({
        key: "",
        text: `producer id ${id} was handed out twice`,
        lines: [before, completedAt],
      }));
    }
  }
}

function operationOf(call: AdminOperation, apply: Apply): Operation<TopicState> {
  const { invokedAt, completedAt, outcome } = call;
  const known = outcome === OK || outcome === FAIL;
  return {
    invokedAt,
    completedAt: known ? completedAt : undefined,
    // Of an unknown outcome, a call that would be refused simply changes nothing.
    apply: known ? apply : (state) => apply(state) ?? state,
    effect: `${call.call} ${JSON.stringify(call.args)}`,
  };
}

/** What a call does to its topic and in which state it can have answered so; undefined: it tells nothing. */
function applyOf(operation: AdminOperation, names: ReadonlySet<string>): Apply | undefined {
  const { call, args, outcome, error, result } = operation;
  if (outcome === FAIL) {
    if (!(call in EFFECTS) && call !== "describeTopic") return undefined;
    if (error === "TOPIC_ALREADY_EXISTS")
      return (state) => (state === "absent" ? undefined : state);
    if (error === "UNKNOWN_TOPIC_OR_PARTITION") {
      return (state) => (state === "absent" ? state : undefined);
    }
    return undefined;
  }
  if (call === "describeTopic") {
    if (outcome !== OK || args["stale"] === true) return undefined;
    return (state) => (isDescribedBy(state, result, names) ? state : undefined);
  }
  return EFFECTS[call as keyof typeof EFFECTS]?.(args);
}

const EFFECTS: Readonly<Record<string, (args: AdminOperation["args"]) => Apply>> = {
  createTopic: ({ partitions, configs }) => {
    const created = {
      partitions: typeof partitions === "number" ? partitions : undefined,
      configs: textsOf(configs),
      isWhole: true,
    };
    return (state) => (state === "absent" ? created : undefined);
  },
  deleteTopic: () => (state) => (state === "absent" ? undefined : "absent"),
  alterConfig: ({ set }) => {
    const changes = Object.entries(isObject(set) ? set : {});
    return (state) => {
      if (state === "absent") return undefined;
      const configs = { ...state.configs };
      for (const [name, value] of changes) configs[name] = value === null ? null : String(value);
      return { ...state, configs };
    };
  },
  createPartitions:
    ({ partitions }) =>
    (state) => {
      if (state === "absent" || typeof partitions !== "number") return undefined;
      if (state.partitions !== undefined && partitions <= state.partitions) return undefined;
      return { ...state, partitions };
    },
};

function isDescribedBy(state: TopicState, result: JsonValue, names: ReadonlySet<string>): boolean {
  if (result === null) return state === "absent";
  if (state === "absent") return false;
  const partitions = fieldOf(result, "partitions");
  if (
    partitions !== undefined &&
    state.partitions !== undefined &&
    partitions !== state.partitions
  ) {
    return false;
  }
  const configs = fieldOf(result, "configs");
  if (configs === undefined) return true;
  const told = textsOf(configs);
  for (const name of names) {
    const set = state.configs[name];
    if (set === undefined && !state.isWhole) continue;
    if ((told[name] ?? null) !== (set ?? null)) return false;
  }
  return true;
}

/** Only what some call sets is compared: a description may list more, such as defaults. */
function configNames(calls: readonly AdminOperation[]): ReadonlySet<string> {
  return new Set(
    calls.flatMap(({ args }) =>
      [args["configs"], args["set"]].flatMap((each) => (isObject(each) ? Object.keys(each) : [])),
    ),
  );
}

function textOf(state: TopicState): string {
  if (state === "absent") return state;
  const configs = Object.entries(state.configs)
    .filter(([, value]) => value !== null || !state.isWhole)
    .sort(([left], [right]) => (left < right ? -1 : 1));
  return JSON.stringify([state.partitions ?? null, state.isWhole, configs]);
}

function answerOf({ outcome, error, result }: AdminOperation): string {
  if (outcome === FAIL) return `failed with ${error}`;
  return result === null ? "was ok" : `answered ${JSON.stringify(result)}`;
}

/** The last calls that were over before; they made the state that does not fit. */
function linesBefore(calls: readonly AdminOperation[], call: AdminOperation): readonly number[] {
  return calls
    .filter(({ completedAt }) => completedAt >= 0 && completedAt < call.invokedAt)
    .slice(-4)
    .flatMap(({ invokedAt, completedAt }) => [invokedAt, completedAt]);
}

function textsOf(value: JsonValue | undefined): Readonly<Record<string, string>> {
  if (!isObject(value)) return {};
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, String(each)]));
}

function fieldOf(value: JsonValue, name: string): JsonValue | undefined {
  return isObject(value) ? value[name] : undefined;
}

function isObject(value: JsonValue | undefined): value is { readonly [name: string]: JsonValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
