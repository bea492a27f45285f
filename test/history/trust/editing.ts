/** Reading a valid history to find a place to break it, and breaking it; for the mutators. */
import type { Prng } from "../../../src/base/prng.ts";
import type { AnomalyName } from "../findings.ts";
import type { HistoryLine, OkOf, PolledRecord, UnwrittenLine } from "../format.ts";
import { isCommitted } from "../key-order.ts";
import { FAIL, FROM_RECORD, HistoryTables, type KeyTable, OK } from "../tables.ts";

export type PollLine = OkOf<"poll">;

/** A value and what the history says of it. */
export interface Sent {
  readonly key: KeyTable;
  readonly id: number;
  readonly value: string;
  readonly offset: number;
  readonly invokedAt: number;
  readonly completedAt: number;
}

export class Site {
  readonly lines: readonly HistoryLine[];
  readonly prng: Prng;
  readonly tables = new HistoryTables();

  constructor(lines: readonly HistoryLine[], prng: Prng) {
    this.lines = lines;
    this.prng = prng;
    for (const line of lines) this.tables.take(line);
    this.tables.finish();
  }

  /** Of `items` one, drawn; undefined when there is none. */
  pick<Item>(items: readonly Item[]): Item | undefined {
    return items.length === 0 ? undefined : this.prng.pick(items);
  }

  get keys(): readonly KeyTable[] {
    return [...this.tables.keys.values()];
  }

  /** Keys of which nothing may be removed, and that the final read covers. */
  get keptKeys(): readonly KeyTable[] {
    const ends = this.final.ends;
    const rules = this.tables.admin.some(({ args }) => JSON.stringify(args).includes("retention"));
    if (rules) return [];
    return this.keys.filter(
      ({ name, deletions }) => name in ends && deletions.every(({ outcome }) => outcome === FAIL),
    );
  }

  /** Keys that the final read covers. */
  get finalKeys(): readonly KeyTable[] {
    return this.keys.filter(({ name }) => name in this.final.ends);
  }

  /** Generated histories end with it. */
  get final(): OkOf<"final"> {
    return this.lines.findLast((line) => line.f === "final" && line.type === "ok") as OkOf<"final">;
  }

  get polls(): readonly PollLine[] {
    return this.lines.filter((line): line is PollLine => line.f === "poll" && line.type === "ok");
  }

  /** During the final read. */
  get finalPolls(): readonly PollLine[] {
    const { i, of } = this.final;
    return this.polls.filter((poll) => poll.i > of && poll.i < i);
  }

  /** Acknowledged with acks=all and an offset. */
  committed(key: KeyTable): readonly Sent[] {
    return this.sent(key).filter(({ id }) => isCommitted(key, id));
  }

  sent(key: KeyTable): readonly Sent[] {
    const { sent } = key;
    return sent.names.map((value, id) => ({
      key,
      id,
      value,
      offset: sent.offset[id] as number,
      invokedAt: sent.invokedAt[id] as number,
      completedAt: sent.completedAt[id] as number,
    }));
  }

  isOk({ key, id }: Sent): boolean {
    return key.sent.outcome[id] === OK;
  }

  isIdempotent({ key, id }: Sent): boolean {
    return key.sent.idempotent[id] === true;
  }

  isRead({ key, id }: Pick<Sent, "key" | "id">): boolean {
    return key.readValues.includes(id);
  }

  /** Read, and at one offset only, that of its acknowledgement if there is one. */
  isReadOnce({ key, id, offset }: Sent): boolean {
    const offsets = new Set(key.readOffsets.filter((_, read) => key.readValues[read] === id));
    if (offset !== -1) offsets.add(offset);
    return offsets.size === 1 && this.isRead({ key, id });
  }

  /** The largest offset that anybody read, -1 for none. */
  lastRead({ readOffsets }: KeyTable): number {
    return Math.max(-1, ...readOffsets);
  }

  /** How many polls gave an offset. */
  readersOf({ readOffsets }: KeyTable, offset: number): number {
    return readOffsets.filter((each) => each === offset).length;
  }

  /** Polls that went on behind a record which the same process got before. */
  continuing(): readonly {
    readonly poll: PollLine;
    readonly key: KeyTable;
    readonly next: number;
  }[] {
    return this.keys.flatMap((key) => {
      const { from, next, completedAt, start, end, reset } = key.deliveries;
      return from.flatMap((each, delivery) => {
        if (each !== FROM_RECORD || end[delivery] === start[delivery] || reset[delivery] !== -1) {
          return [];
        }
        const poll = this.polls.find(({ i }) => i === completedAt[delivery]) as PollLine;
        return [{ poll, key, next: next[delivery] as number }];
      });
    });
  }
}

export interface Mutant {
  readonly lines: readonly HistoryLine[];
  /** One of these must be found. */
  readonly expected: readonly AnomalyName[];
}

/** Breaks a history in one way; undefined where that way does not exist in it. */
export type Mutator = (site: Site) => Mutant | undefined;

/** The lines with records of polls changed. */
export function withRecords(
  lines: readonly HistoryLine[],
  change: (
    records: readonly PolledRecord[],
    context: { readonly poll: PollLine; readonly key: string },
  ) => readonly PolledRecord[],
): readonly HistoryLine[] {
  return lines.map((line) => {
    if (line.f !== "poll" || line.type !== "ok") return line;
    const entries = Object.entries(line.recs);
    return {
      ...line,
      recs: Object.fromEntries(
        entries.map(([key, records]) => [key, change(records, { poll: line, key })]),
      ),
    };
  });
}

/** The lines with the records of one poll and key changed. */
export function withRecordsOf(
  lines: readonly HistoryLine[],
  at: { readonly poll: PollLine; readonly key: string },
  change: (records: readonly PolledRecord[]) => readonly PolledRecord[],
): readonly HistoryLine[] {
  return withRecords(lines, (records, { poll, key }) =>
    poll.i === at.poll.i && key === at.key ? change(records) : records,
  );
}

export function withLine(
  lines: readonly HistoryLine[],
  i: number,
  change: (line: HistoryLine) => HistoryLine,
): readonly HistoryLine[] {
  return lines.map((line) => (line.i === i ? change(line) : line));
}

/** The acknowledgement of a value with another offset. */
export function withAck(
  lines: readonly HistoryLine[],
  { completedAt }: Sent,
  offset: number,
): readonly HistoryLine[] {
  return withLine(lines, completedAt, (line) => ({ ...line, offset }) as HistoryLine);
}

/** The final read goes one record further; undefined when it read nothing of the key. */
export function withLastRecord(
  site: Site,
  key: string,
  value: string,
): readonly HistoryLine[] | undefined {
  const { lines, final } = site;
  const end = final.ends[key] as number;
  const poll = site.finalPolls.findLast(({ recs }) => recs[key]?.at(-1)?.[0] === end - 1);
  const longer = withLine(
    lines,
    final.i,
    (line) => ({ ...line, ends: { ...final.ends, [key]: end + 1 } }) as HistoryLine,
  );
  if (poll === undefined) return undefined;
  return withRecordsOf(longer, { poll, key }, (records) => [...records, [end, value]]);
}

/**
 * New lines directly behind line `at`; a completion among them names the position of its invoke in
 * `added` as `of`. Everything is numbered anew.
 */
export function withAdded(
  lines: readonly HistoryLine[],
  at: number,
  added: readonly UnwrittenLine[],
): readonly HistoryLine[] {
  const split = lines.findIndex(({ i }) => i === at) + 1;
  const { t } = lines[split - 1] as HistoryLine;
  const first = lines.slice(0, split);
  const moved = new Map(
    lines.map(({ i }, index) => [i, index < split ? index : index + added.length]),
  );
  const renumbered = (line: HistoryLine): HistoryLine => {
    const i = moved.get(line.i) as number;
    return "of" in line ? { ...line, i, of: moved.get(line.of) as number } : { ...line, i };
  };
  const inserted = added.map((line, index) => {
    const i = split + index;
    return (
      "of" in line ? { ...line, i, t, of: split + line.of } : { ...line, i, t }
    ) as HistoryLine;
  });
  return [...first.map(renumbered), ...inserted, ...lines.slice(split).map(renumbered)];
}
