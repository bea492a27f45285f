/**
 * One pass over a history: what was sent, acknowledged and read of each key, in columns, so that a
 * million operations fit in memory. Nothing is judged here but the history's own form; what only
 * the order of lines can tell (what was known before an invoke) is noted as it passes.
 */
import type {
  HistoryLine,
  InvokeLine,
  InvokeOf,
  JsonObject,
  JsonValue,
  OkLine,
  OkOf,
  OperationName,
} from "./format.ts";
import { HistoryError } from "./parse.ts";

export const OPEN = 0;
export const OK = 1;
export const FAIL = 2;
export const INFO = 3;
/** A value that was read, but not sent. */
export const NEVER_SENT = 4;
export type Outcome = typeof OPEN | typeof OK | typeof FAIL | typeof INFO;

export const ACKS_ALL = 2;

/** From where a reader's next record is expected. */
export const ANYWHERE = 0;
/** It asked for the log's start, whichever that is. */
export const FROM_START = 1;
/** It named an offset, or was told where the log starts. */
export const FROM_OFFSET = 2;
/** It goes on behind the last record that it was given. */
export const FROM_RECORD = 3;

/** What is sent to a key. One row per value; rows are numbered by `idOf`. */
export class SentValues {
  readonly idOf = new Map<string, number>();
  readonly names: string[] = [];
  readonly outcome: number[] = [];
  readonly invokedAt: number[] = [];
  /** The line of its completion, -1 without one. */
  readonly completedAt: number[] = [];
  /** As acknowledged, -1 where the client was told none. */
  readonly offset: number[] = [];
  readonly acks: number[] = [];
  readonly idempotent: boolean[] = [];
  readonly process: number[] = [];
  /** Key of the record itself; undefined where the history does not say it. */
  readonly recordKey: (string | undefined)[] = [];
  readonly tombstone: boolean[] = [];
  /** The largest offset that anyone knew to be committed as the send was invoked; -1 for none. */
  readonly knownBefore: number[] = [];
  readonly knownBeforeAt: number[] = [];

  get count(): number {
    return this.names.length;
  }

  id(name: string): number {
    let id = this.idOf.get(name);
    if (id === undefined) {
      id = this.names.length;
      this.idOf.set(name, id);
      this.names.push(name);
      this.outcome.push(NEVER_SENT);
      this.invokedAt.push(-1);
      this.completedAt.push(-1);
      this.offset.push(-1);
      this.acks.push(0);
      this.idempotent.push(false);
      this.process.push(-1);
      this.recordKey.push(undefined);
      this.tombstone.push(false);
      this.knownBefore.push(-1);
      this.knownBeforeAt.push(-1);
    }
    return id;
  }
}

/** What one poll gave of one key: records `start` to `end` of the key's `readOffsets`. */
export class Deliveries {
  readonly start: number[] = [];
  readonly end: number[] = [];
  readonly invokedAt: number[] = [];
  readonly completedAt: number[] = [];
  readonly process: number[] = [];
  readonly ahead: boolean[] = [];
  /** The offset that the reader expected first, and why. */
  readonly next: number[] = [];
  readonly from: number[] = [];
  /** The line of the assign that placed the reader where it began; -1 if nobody knows. */
  readonly assignedAt: number[] = [];
  /** The log start that it was sent to before the first record, -1 without. */
  readonly reset: number[] = [];
}

export interface Deletion {
  readonly invokedAt: number;
  readonly before: number;
  completedAt: number;
  outcome: Outcome;
  lowWatermark: number;
}

export interface ListedOffset {
  readonly which: "earliest" | "latest";
  readonly invokedAt: number;
  readonly completedAt: number;
  readonly offset: number;
  /** As for sends. */
  readonly knownBefore: number;
  readonly knownBeforeAt: number;
}

export class KeyTable {
  readonly name: string;
  /** Without partition and without what comes after `@`. */
  readonly topic: string;
  readonly sent = new SentValues();
  readonly readOffsets: number[] = [];
  readonly readValues: number[] = [];
  readonly deliveries = new Deliveries();
  readonly deletions: Deletion[] = [];
  readonly listed: ListedOffset[] = [];
  /** Read before any line sent it: value and line of the poll. */
  readonly unsent: { readonly value: number; readonly at: number }[] = [];
  known = -1;
  knownAt = -1;

  constructor(name: string) {
    this.name = name;
    this.topic = name.slice(0, name.lastIndexOf("-")).replace(/@.*$/, "");
  }

  /** Committed for certain, to the knowledge of whoever wrote line `at`. */
  learn(offset: number, at: number): void {
    if (offset > this.known) {
      this.known = offset;
      this.knownAt = at;
    }
  }
}

export interface AdminOperation {
  readonly call: string;
  readonly args: JsonObject;
  readonly invokedAt: number;
  completedAt: number;
  outcome: Outcome;
  result: JsonValue;
  error: string | undefined;
}

export interface FinalRead {
  readonly invokedAt: number;
  readonly keys: readonly string[];
  /** What was known of each of its keys as it began. */
  readonly knownBefore: ReadonlyMap<string, { readonly offset: number; readonly at: number }>;
  completedAt: number;
  outcome: Outcome;
  ends: ReadonlyMap<string, number>;
}

export interface OutcomeCounts {
  ok: number;
  fail: number;
  info: number;
}

interface Position {
  offset: number;
  from: number;
  /** As `Deliveries.assignedAt`. */
  readonly assignedAt: number;
}

interface Process {
  readonly name: string;
  readonly id: number;
  crashedAt: number;
  /** The line of the open poll or assign, -1. A consumer does one at a time. */
  readingSince: number;
  readonly next: Map<KeyTable, Position>;
}

type OpenOperation = {
  readonly process: Process;
  readonly line: InvokeLine;
  readonly taken: unknown;
};

export class HistoryTables {
  readonly keys = new Map<string, KeyTable>();
  readonly processNames: string[] = [];
  readonly admin: AdminOperation[] = [];
  readonly finals: FinalRead[] = [];
  readonly counts: Record<OperationName, OutcomeCounts> = {
    assign: noOutcomes(),
    poll: noOutcomes(),
    send: noOutcomes(),
    listOffsets: noOutcomes(),
    deleteRecords: noOutcomes(),
    admin: noOutcomes(),
    final: noOutcomes(),
  };
  linesCount = 0;
  readsCount = 0;
  crashesCount = 0;
  faultsCount = 0;
  readonly #processes = new Map<string, Process>();
  readonly #open = new Map<number, OpenOperation>();
  #last = -1;
  #lastNs = 0;

  /** Throws `HistoryError` for a line that cannot follow those before. */
  take(line: HistoryLine): void {
    const { i, t, p } = line;
    if (i <= this.#last) wrong(line, "i", i, `more than ${this.#last}, that of the line before`);
    if (t < this.#lastNs) wrong(line, "t", t, `${this.#lastNs}, that of the line before, or more`);
    this.#last = i;
    this.#lastNs = t;
    this.linesCount++;
    if (line.f === "fault") {
      if (line.phase === "begin") this.faultsCount++;
      return;
    }
    if (line.f === "state") return;
    const process = this.#process(p);
    if (process.crashedAt >= 0) {
      wrong(line, "p", p, `another name, as this process crashed with i ${process.crashedAt}`);
    }
    if (line.f === "crash") {
      process.crashedAt = i;
      process.next.clear();
      this.crashesCount++;
    } else if (line.type === "invoke") {
      this.#open.set(i, { process, line, taken: this.#invoke(process, line) });
    } else {
      const open = this.#open.get(line.of);
      if (open === undefined || open.process !== process || open.line.f !== line.f) {
        wrong(line, "of", line.of, `the i of an open invoke of ${line.f} by ${p}`);
      }
      this.#open.delete(line.of);
      this.counts[line.f][line.type]++;
      if (line.type === "ok") this.#ok(open, line);
      else this.#notOk(open, line.type === "fail" ? FAIL : INFO, line.i, line.error);
    }
  }

  /** What was never completed may or may not have happened. */
  finish(): void {
    for (const { line } of this.#open.values()) this.counts[line.f].info++;
  }

  key(name: string): KeyTable {
    let table = this.keys.get(name);
    if (table === undefined) {
      table = new KeyTable(name);
      this.keys.set(name, table);
    }
    return table;
  }

  #process(name: string): Process {
    let process = this.#processes.get(name);
    if (process === undefined) {
      const id = this.processNames.push(name) - 1;
      process = { name, id, crashedAt: -1, readingSince: -1, next: new Map() };
      this.#processes.set(name, process);
    }
    return process;
  }

  #invoke(process: Process, line: InvokeLine): unknown {
    switch (line.f) {
      case "send":
        return this.#send(process, line);
      case "assign":
      case "poll":
        if (process.readingSince >= 0) {
          wrong(
            line,
            "f",
            line.f,
            `nothing that reads, as i ${process.readingSince} of ${line.p} is open`,
          );
        }
        process.readingSince = line.i;
        return undefined;
      case "listOffsets": {
        const { known, knownAt } = this.key(line.key);
        return { known, knownAt };
      }
      case "deleteRecords": {
        const deletion: Deletion = {
          invokedAt: line.i,
          before: line.before,
          completedAt: -1,
          outcome: OPEN,
          lowWatermark: -1,
        };
        this.key(line.key).deletions.push(deletion);
        return deletion;
      }
      case "admin": {
        const operation: AdminOperation = {
          call: line.call,
          args: line.args,
          invokedAt: line.i,
          completedAt: -1,
          outcome: OPEN,
          result: null,
          error: undefined,
        };
        this.admin.push(operation);
        return operation;
      }
      case "final":
        return this.#final(line);
    }
  }

  #send({ id: processId }: Process, line: InvokeOf<"send">): undefined {
    const key = this.key(line.key);
    const { sent } = key;
    const id = sent.id(line.value);
    if (sent.invokedAt[id] !== -1) {
      wrong(
        line,
        "value",
        line.value,
        `one that is new to ${line.key}; i ${sent.invokedAt[id]} sent it`,
      );
    }
    sent.outcome[id] = OPEN;
    sent.invokedAt[id] = line.i;
    sent.acks[id] = line.acks === "all" ? ACKS_ALL : line.acks;
    sent.idempotent[id] = line.idempotent;
    sent.process[id] = processId;
    sent.recordKey[id] = line.recordKey;
    sent.tombstone[id] = line.tombstone === true;
    sent.knownBefore[id] = key.known;
    sent.knownBeforeAt[id] = key.knownAt;
  }

  #final({ i, keys }: InvokeOf<"final">): FinalRead {
    const knownBefore = new Map(
      keys.map((name) => {
        const { known, knownAt } = this.key(name);
        return [name, { offset: known, at: knownAt }];
      }),
    );
    const final: FinalRead = {
      invokedAt: i,
      keys,
      knownBefore,
      completedAt: -1,
      outcome: OPEN,
      ends: new Map(),
    };
    this.finals.push(final);
    return final;
  }

  #ok({ process, line: invoke, taken }: OpenOperation, line: OkLine): void {
    switch (line.f) {
      case "send":
        this.#acknowledged(invoke as InvokeOf<"send">, line);
        break;
      case "assign":
        process.readingSince = -1;
        this.#assigned(process, invoke as InvokeOf<"assign">);
        break;
      case "poll":
        process.readingSince = -1;
        this.#polled(process, invoke as InvokeOf<"poll">, line);
        break;
      case "listOffsets": {
        const { key, which, i } = invoke as InvokeOf<"listOffsets">;
        const { known, knownAt } = taken as { readonly known: number; readonly knownAt: number };
        this.key(key).listed.push({
          which,
          invokedAt: i,
          completedAt: line.i,
          offset: line.offset,
          knownBefore: known,
          knownBeforeAt: knownAt,
        });
        break;
      }
      case "deleteRecords": {
        const deletion = taken as Deletion;
        deletion.outcome = OK;
        deletion.completedAt = line.i;
        deletion.lowWatermark = line.lowWatermark;
        break;
      }
      case "admin": {
        const operation = taken as AdminOperation;
        operation.outcome = OK;
        operation.completedAt = line.i;
        operation.result = line.result ?? null;
        break;
      }
      case "final": {
        const final = taken as FinalRead;
        for (const name of final.keys) {
          if (line.ends[name] === undefined) {
            wrong(line, "ends", line.ends, `an end for each key of i ${line.of}, ${name} too`);
          }
        }
        final.outcome = OK;
        final.completedAt = line.i;
        final.ends = new Map(Object.entries(line.ends));
      }
    }
  }

  #notOk(
    { process, line, taken }: OpenOperation,
    outcome: Outcome,
    at: number,
    error?: string,
  ): void {
    switch (line.f) {
      case "send": {
        const { sent } = this.key(line.key);
        const id = sent.id(line.value);
        sent.outcome[id] = outcome;
        sent.completedAt[id] = at;
        break;
      }
      case "assign":
      case "poll":
        process.readingSince = -1;
        // It may have moved on behind records that it then dropped.
        if (outcome !== FAIL) process.next.clear();
        break;
      case "admin":
        (taken as AdminOperation).error = error;
        endWithout(taken as AdminOperation, outcome, at);
        break;
      case "deleteRecords":
      case "final":
        endWithout(taken as Deletion | FinalRead, outcome, at);
        break;
      case "listOffsets":
    }
  }

  #acknowledged(invoke: InvokeOf<"send">, { i, offset }: OkOf<"send">): void {
    const key = this.key(invoke.key);
    const { sent } = key;
    const id = sent.id(invoke.value);
    sent.outcome[id] = OK;
    sent.completedAt[id] = i;
    if (offset === undefined) return;
    sent.offset[id] = offset;
    if (invoke.acks === "all") key.learn(offset, i);
  }

  #assigned({ next }: Process, { i: assignedAt, keys, seek }: InvokeOf<"assign">): void {
    const before = new Map(next);
    next.clear();
    for (const name of keys) {
      const key = this.key(name);
      const offset = typeof seek === "object" ? seek[name] : undefined;
      if (offset !== undefined) next.set(key, { offset, from: FROM_OFFSET, assignedAt });
      else if (seek === "beginning") next.set(key, { offset: 0, from: FROM_START, assignedAt });
      else if (seek !== "end") {
        const kept = before.get(key);
        if (kept !== undefined) next.set(key, kept);
      }
    }
  }

  #polled(process: Process, invoke: InvokeOf<"poll">, line: OkOf<"poll">): void {
    const { recs, resets = {} } = line;
    for (const name in resets)
      if (recs[name] === undefined) this.#deliver(process, invoke, line, name);
    for (const name in recs) this.#deliver(process, invoke, line, name);
  }

  #deliver(process: Process, invoke: InvokeOf<"poll">, line: OkOf<"poll">, name: string): void {
    const key = this.key(name);
    const records = line.recs[name] ?? [];
    const reset = line.resets?.[name] ?? -1;
    if (records.length === 0 && reset < 0) return;
    let next = process.next.get(key);
    const { deliveries, readOffsets, readValues, sent } = key;
    deliveries.invokedAt.push(invoke.i);
    deliveries.completedAt.push(line.i);
    deliveries.process.push(process.id);
    deliveries.ahead.push(invoke.ahead === true);
    deliveries.next.push(next?.offset ?? -1);
    deliveries.from.push(next?.from ?? ANYWHERE);
    deliveries.assignedAt.push(next?.assignedAt ?? -1);
    deliveries.reset.push(reset);
    deliveries.start.push(readOffsets.length);
    for (const [offset, value] of records) {
      const id = sent.id(value);
      if (sent.outcome[id] === NEVER_SENT) key.unsent.push({ value: id, at: line.i });
      readOffsets.push(offset);
      readValues.push(id);
      key.learn(offset, line.i);
    }
    deliveries.end.push(readOffsets.length);
    this.readsCount += records.length;
    if (next === undefined) {
      next = { offset: 0, from: ANYWHERE, assignedAt: -1 };
      process.next.set(key, next);
    }
    const last = records.at(-1);
    if (last === undefined) {
      next.offset = reset;
      next.from = FROM_OFFSET;
    } else {
      next.offset = last[0] + 1;
      next.from = FROM_RECORD;
    }
  }
}

function endWithout(
  operation: { outcome: Outcome; completedAt: number },
  outcome: Outcome,
  at: number,
): void {
  operation.outcome = outcome;
  operation.completedAt = at;
}

function noOutcomes(): OutcomeCounts {
  return { ok: 0, fail: 0, info: 0 };
}

function wrong(line: HistoryLine, field: string, value: unknown, allowed: string): never {
  throw new HistoryError(
    `field "${field}" of the line with i ${line.i} is ${JSON.stringify(value)}, allowed: ${allowed}`,
  );
}
