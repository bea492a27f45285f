/**
 * Several clients' histories as one: each wrote its own file, on one clock. Lines are merged by
 * time, and numbered anew. Of two lines of the same time in different files nobody knows which was
 * first; an invoke then comes before what is not one, so that no operation seems to begin after
 * another one ended when it may have begun before, and the end of the final read after everything,
 * so that it has what was read for it.
 */
import type { HistoryLine } from "./format.ts";

export interface MergedLine {
  readonly line: HistoryLine;
  /** Which of the histories it comes from, and its index there. */
  readonly source: number;
  readonly index: number;
}

interface Source {
  readonly number: number;
  readonly rest: Iterator<HistoryLine>;
  /** New indexes of invokes that are open. */
  readonly indexes: Map<number, number>;
  head: HistoryLine | undefined;
}

export function* mergeHistories(
  histories: readonly Iterable<HistoryLine>[],
): Generator<MergedLine, void, undefined> {
  const sources = histories.map((history, number) => {
    const source: Source = {
      number,
      rest: history[Symbol.iterator](),
      indexes: new Map(),
      head: undefined,
    };
    advance(source);
    return source;
  });
  let i = 0;
  for (let source = first(sources); source !== undefined; source = first(sources)) {
    const line = source.head as HistoryLine;
    yield { line: renumbered(line, i, source), source: source.number, index: line.i };
    i++;
    advance(source);
  }
}

function advance(source: Source): void {
  const { done, value } = source.rest.next();
  source.head = done === true ? undefined : value;
}

/** A few files: looking at each head is as fast as a heap. */
function first(sources: readonly Source[]): Source | undefined {
  let best: Source | undefined;
  for (const source of sources) {
    if (source.head === undefined) continue;
    if (best?.head === undefined || isBefore(source.head, best.head)) best = source;
  }
  return best;
}

function isBefore(left: HistoryLine, right: HistoryLine): boolean {
  return left.t === right.t ? rankOf(left) < rankOf(right) : left.t < right.t;
}

function rankOf({ type, f }: HistoryLine): number {
  if (type === "invoke") return f === "final" ? 0 : 1;
  return f === "final" ? 3 : 2;
}

function renumbered(line: HistoryLine, i: number, { indexes }: Source): HistoryLine {
  if (line.type === "invoke") {
    indexes.set(line.i, i);
    return { ...line, i };
  }
  if (!("of" in line)) return { ...line, i };
  // A completion without an invoke keeps an index that no invoke has: the checker names it.
  const of = indexes.get(line.of) ?? i;
  indexes.delete(line.of);
  return { ...line, i, of };
}
