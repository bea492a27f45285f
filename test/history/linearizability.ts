/**
 * Is there an order of the operations, each at one instant between its invoke and its completion,
 * in which a reference model gives every answer that was given? After Wing and Gong 1993, with the
 * order of events of Lowe 2017: it walks along the history and keeps every configuration (state of
 * the model, and which of the open operations have taken effect already) that explains it so far.
 *
 * An operation of unknown outcome takes effect at some instant after its invoke, or never. Two of
 * them that do the same are interchangeable, and one that changes nothing need not happen: without
 * these two rules a few hundred timeouts would make the configurations explode.
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
  /** Open operations that have taken effect, ascending. */
  readonly done: readonly number[];
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
  let configurations: readonly Configuration<State>[] = options.initial.map((state) => ({
    state,
    done: [],
  }));
  for (const { operation, completes } of events) {
    if (!completes) {
      open.add(operation);
      continue;
    }
    const reached = closure(configurations, { operations, open, options });
    if (reached === undefined) return { type: "unknown" };
    open.delete(operation);
    configurations = unique(
      reached
        .filter(({ done }) => done.includes(operation))
        .map(({ state, done }) => ({ state, done: done.filter((each) => each !== operation) })),
      options,
    );
    if (configurations.length === 0) return { type: "impossible", operation, open: [...open] };
  }
  return { type: "linearizable" };
}

/** Every configuration that open operations lead to; undefined when there are too many. */
function closure<State>(
  configurations: readonly Configuration<State>[],
  context: {
    readonly operations: readonly Operation<State>[];
    readonly open: ReadonlySet<number>;
    readonly options: SearchOptions<State>;
  },
): readonly Configuration<State>[] | undefined {
  const { operations, open, options } = context;
  const found = new Map(configurations.map((each) => [textOf(each, options), each]));
  const pending = [...found.values()];
  for (
    let configuration = pending.pop();
    configuration !== undefined;
    configuration = pending.pop()
  ) {
    const { state, done } = configuration;
    const before = options.textOf(state);
    const tried = new Set<string>();
    for (const operation of open) {
      const { apply, completedAt, effect } = operations[operation] as Operation<State>;
      if (done.includes(operation)) continue;
      if (completedAt === undefined) {
        if (tried.has(effect)) continue;
        tried.add(effect);
      }
      const after = apply(state);
      if (after === undefined) continue;
      if (completedAt === undefined && options.textOf(after) === before) continue;
      const next = {
        state: after,
        done: [...done, operation].sort((left, right) => left - right),
      };
      const text = textOf(next, options);
      if (found.has(text)) continue;
      if (found.size >= options.configurationsMax) return undefined;
      found.set(text, next);
      pending.push(next);
    }
  }
  return [...found.values()];
}

function unique<State>(
  configurations: readonly Configuration<State>[],
  options: SearchOptions<State>,
): readonly Configuration<State>[] {
  return [...new Map(configurations.map((each) => [textOf(each, options), each])).values()];
}

function textOf<State>(
  { state, done }: Configuration<State>,
  { textOf }: SearchOptions<State>,
): string {
  return `${done.join(",")} ${textOf(state)}`;
}
