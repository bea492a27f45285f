/**
 * Is there an order of the operations, each at one instant between its invoke and its completion,
 * in which a reference model gives every answer that was given? After Wing and Gong 1993, with the
 * order of events of Lowe 2017: it walks along the history and keeps every configuration (state of
 * the model, and which of the open operations have taken effect already) that explains it so far.
 *
 * An operation of unknown outcome takes effect at some instant after its invoke, or never. Two of
 * them that do the same are interchangeable, so only how many have is kept; one that changes nothing
 * need not happen; and of two configurations in the same state, the one which has used up more of
 * them explains nothing that the other does not. Without these three rules a few hundred timeouts
 * would make the configurations explode.
 */

export interface Operation<State> {
  readonly invokedAt: number;
  /** Undefined: the outcome is unknown, and `apply` must accept every state. */
  readonly completedAt: number | undefined;
  /** The state after it, or undefined when it cannot have given its answer in this state. */
  readonly apply: (state: State) => State | undefined;
  /** Operations of unknown outcome with the same text do the same. */
  readonly effect: string;
}

export interface SearchOptions<State> {
  /** The states in which it may have begun. */
  readonly initial: readonly State[];
  /** Equal states have the same text. */
  readonly textOf: (state: State) => string;
  /** Above so many configurations at once the answer is "unknown". */
  readonly configurationsMax: number;
}

export type SearchResult =
  | { readonly type: "linearizable" }
  | { readonly type: "unknown" }
  /** At the completion of `operation` nothing explains the history any more. */
  | { readonly type: "impossible"; readonly operation: number; readonly open: readonly number[] };

interface Configuration<State> {
  readonly state: State;
  /** Open operations of known outcome that have taken effect, ascending. */
  readonly done: readonly number[];
  /** How many of each kind of unknown outcome have. */
  readonly spent: readonly number[];
}

/** Operations of unknown outcome that do the same, and how many of them have been invoked. */
interface UnknownKind<State> {
  readonly apply: (state: State) => State | undefined;
  count: number;
}

export function search<State>(
  operations: readonly Operation<State>[],
  options: SearchOptions<State>,
): SearchResult {
  const events = operations.flatMap(({ invokedAt, completedAt }, operation) => [
    { at: invokedAt, operation, completes: false },
    ...(completedAt === undefined ? [] : [{ at: completedAt, operation, completes: true }]),
  ]);
  events.sort((left, right) => left.at - right.at);
  const open = new Set<number>();
  const unknown = new Map<string, UnknownKind<State>>();
  const context = { operations, open, unknown, options };
  let configurations = new Frontier(options);
  for (const state of options.initial) configurations.add({ state, done: [], spent: [] });
  for (const { operation, completes } of events) {
    const { apply, completedAt, effect } = operations[operation] as Operation<State>;
    if (!completes) {
      if (completedAt !== undefined) open.add(operation);
      else {
        const kind = unknown.get(effect) ?? { apply, count: 0 };
        kind.count++;
        unknown.set(effect, kind);
      }
      continue;
    }
    if (!close(configurations, context)) return { type: "unknown" };
    open.delete(operation);
    const explaining = new Frontier(options);
    for (const { state, done, spent } of configurations.all()) {
      if (!done.includes(operation)) continue;
      explaining.add({ state, done: done.filter((each) => each !== operation), spent });
    }
    if (explaining.size === 0) return { type: "impossible", operation, open: [...open] };
    configurations = explaining;
  }
  return { type: "linearizable" };
}

/** Adds every configuration that open operations lead to; false when there are too many. */
function close<State>(
  configurations: Frontier<State>,
  context: {
    readonly operations: readonly Operation<State>[];
    readonly open: ReadonlySet<number>;
    readonly unknown: ReadonlyMap<string, UnknownKind<State>>;
    readonly options: SearchOptions<State>;
  },
): boolean {
  const { operations, open, unknown, options } = context;
  const pending = [...configurations.all()];
  const reach = (next: Configuration<State>): void => {
    if (configurations.add(next)) pending.push(next);
  };
  for (
    let configuration = pending.pop();
    configuration !== undefined;
    configuration = pending.pop()
  ) {
    if (!configurations.has(configuration)) continue;
    const { state, done, spent } = configuration;
    for (const operation of open) {
      if (done.includes(operation)) continue;
      const after = (operations[operation] as Operation<State>).apply(state);
      if (after === undefined) continue;
      const next = [...done, operation].sort((left, right) => left - right);
      reach({ state: after, done: next, spent });
    }
    const before = options.textOf(state);
    let kind = 0;
    for (const { apply, count } of unknown.values()) {
      const used = spent[kind] ?? 0;
      const after = used < count ? apply(state) : undefined;
      if (after !== undefined && options.textOf(after) !== before) {
        const next = Array.from({ length: Math.max(spent.length, kind + 1) }, (_, each) =>
          each === kind ? used + 1 : (spent[each] ?? 0),
        );
        reach({ state: after, done, spent: next });
      }
      kind++;
    }
    if (configurations.size > options.configurationsMax) return false;
  }
  return true;
}

/** Configurations of which none explains only what another does too. */
class Frontier<State> {
  readonly #textOf: (state: State) => string;
  readonly #bySituation = new Map<string, Configuration<State>[]>();
  #size = 0;

  constructor({ textOf }: SearchOptions<State>) {
    this.#textOf = textOf;
  }

  get size(): number {
    return this.#size;
  }

  *all(): IterableIterator<Configuration<State>> {
    for (const configurations of this.#bySituation.values()) yield* configurations;
  }

  has(configuration: Configuration<State>): boolean {
    return (
      this.#bySituation.get(this.#situationOf(configuration))?.includes(configuration) === true
    );
  }

  /** False if one that is here explains as much. */
  add(configuration: Configuration<State>): boolean {
    const situation = this.#situationOf(configuration);
    const known = this.#bySituation.get(situation) ?? [];
    if (known.some(({ spent }) => isWithin(spent, configuration.spent))) return false;
    const left = known.filter(({ spent }) => !isWithin(configuration.spent, spent));
    this.#bySituation.set(situation, [...left, configuration]);
    this.#size += left.length + 1 - known.length;
    return true;
  }

  #situationOf({ state, done }: Configuration<State>): string {
    return `${done.join(",")} ${this.#textOf(state)}`;
  }
}

function isWithin(left: readonly number[], right: readonly number[]): boolean {
  return left.every((count, kind) => count <= (right[kind] ?? 0));
}
