/**
 * The history of a run, as clients saw it: one JSON object per line, in the order in which things
 * happened. `checkHistory` judges it (`check.ts`), `npm run check-history -- FILE` prints the
 * verdict. After the histories of Jepsen's Kafka workload (jepsen.tests.kafka) and of Knossos.
 *
 * Every line has
 *
 *     i     index in the file, strictly rising. It is the order of real time: what stands before
 *           an invoke happened before it.
 *     t     ns on one clock (virtual, or monotonic of the one driving host), never falling.
 *     p     logical process: one client. After `crash` the client goes on under another name.
 *     type  invoke | ok | fail | info
 *     f     operation, see the table
 *     error optional text, on fail and info: the error's code
 *
 * `invoke` begins an operation; one later line of the same `p` and `f` with `of` = the `i` of the
 * invoke completes it. `ok`: it happened. `fail`: it certainly did not and never will. `info`:
 * nobody knows (timed out, connection lost, REQUEST_TIMED_OUT, NOT_ENOUGH_REPLICAS_AFTER_APPEND,
 * storage error). An operation that is never completed counts as `info`. A process may have
 * several operations open (a producer pipelines).
 *
 *     f              invoke                            ok
 *     assign         keys, seek                        -
 *     poll           ahead?                            recs, resets?
 *     send           key, value, acks, idempotent,     offset?, leaderEpoch?
 *                    recordKey?, tombstone?
 *     listOffsets    key, which                        offset
 *     deleteRecords  key, before                       lowWatermark
 *     admin          call, args                        result?
 *     final          keys                              ends
 *
 * and, of type `info` only, with neither invoke nor completion:
 *
 *     crash          -                                 p is gone
 *     fault          kind, targets, phase              p is "nemesis"
 *     state          brokers                           any object, for people; not judged
 *
 * - A key is one partition's log in its whole life, `topic-partition`. A topic that is deleted and
 *   created again is another topic: its keys need another name, `topic@id-partition`.
 * - A value is sent to a key once in the whole history. `writer/sequence` is the habit, so that a
 *   person sees who sent it. A retry within the client belongs to the same `send`.
 * - The sends of one process to one key are invoked in the order in which the client puts them
 *   into its buffer. `idempotent` says that the broker removes duplicates of retries.
 * - `assign` replaces the keys which the process reads. `seek` says from where: "none" keeps the
 *   positions of keys that it had already, "beginning" and "end" go there, an object gives an
 *   offset for some or all keys (those it does not name: as "none").
 * - `recs` has for each key the records in the order of delivery: `[offset, value]`, and whatever
 *   is known of `leaderEpoch, producerId, producerEpoch, sequence`, in this order.
 * - `resets`: before its records of this poll the client found its position out of range and went
 *   on from the log's start, which is the offset given.
 * - `ahead: true` when records may have been fetched before the poll was invoked; rules that need
 *   to know when a broker served them then take it that it was after the `assign` that placed the
 *   reader (a seek drops what was fetched).
 * - `deleteRecords` with `before: -1` deletes up to the high watermark.
 * - `final` is the final read, at rest and after healing: its `ok` says that processes assigned
 *   after its invoke have read every key of `keys` from its beginning up to the end offset given
 *   in `ends`. A final read that did not get there ends in `fail` or `info`; then another may
 *   follow. The last one counts.
 * - `admin` calls that are judged (they must be linearizable): `createTopic` {topic, partitions?,
 *   configs?}, `deleteTopic` {topic}, `alterConfig` {topic, set: {name: value or null}},
 *   `createPartitions` {topic, partitions: the new total}, `describeTopic` {topic} with the result
 *   {partitions?, configs?} (configs: those set on the topic itself) or null for no such topic,
 *   and `allocateProducerId` {} with the result {producerId}. Others are only counted.
 *   Of these, `fail` with error TOPIC_ALREADY_EXISTS or UNKNOWN_TOPIC_OR_PARTITION is an
 *   observation as well: write it only when no earlier attempt of the same call was left unanswered
 *   (then it is `info`). A `describeTopic` answered from a broker's image may be stale: say so with
 *   `stale: true` in its args, and it is only counted.
 * - Topics whose `createTopic` or `alterConfig` sets retention.ms or retention.bytes to other than
 *   -1 may lose the beginning of their logs, keys with `deleteRecords` what is below its offset,
 *   keys of a topic with `deleteTopic` everything. All else must be kept.
 *
 * - Topics whose `createTopic` or `alterConfig` sets `cleanup.policy` to something with `compact` may
 *   lack a record whose `recordKey` is written again behind it, and a `tombstone` (a record without
 *   value; its name in the history travels in a header). The last value of each record key stays.
 *
 * Lines that are empty or begin with `#` are for people.
 */

export type Acks = 0 | 1 | "all";
export type Seek = "none" | "beginning" | "end" | Readonly<Record<string, number>>;

/** Offset, value, then leaderEpoch, producerId, producerEpoch, sequence as far as known. */
export type PolledRecord = readonly [offset: number, value: string, ...known: number[]];

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };
export type JsonObject = Readonly<Record<string, JsonValue>>;

interface Common {
  readonly i: number;
  readonly t: number;
  readonly p: string;
}

/** What an operation asks, and what it answers when it is ok. */
interface Operations {
  assign: { invoke: { keys: readonly string[]; seek: Seek }; ok: object };
  poll: {
    invoke: { ahead?: boolean };
    ok: {
      recs: Readonly<Record<string, readonly PolledRecord[]>>;
      resets?: Readonly<Record<string, number>>;
    };
  };
  send: {
    invoke: {
      key: string;
      value: string;
      acks: Acks;
      idempotent: boolean;
      /** Key of the record itself, where that matters. */
      recordKey?: string;
      tombstone?: boolean;
    };
    /** Without an offset when the client was not told one: acks=0, or known to be a duplicate. */
    ok: { offset?: number; leaderEpoch?: number };
  };
  listOffsets: {
    invoke: { key: string; which: "earliest" | "latest" };
    ok: { offset: number };
  };
  deleteRecords: { invoke: { key: string; before: number }; ok: { lowWatermark: number } };
  admin: { invoke: { call: string; args: JsonObject }; ok: { result?: JsonValue } };
  final: {
    invoke: { keys: readonly string[] };
    ok: { ends: Readonly<Record<string, number>> };
  };
}

export type OperationName = keyof Operations;

export type InvokeOf<Name extends OperationName> = Common & { readonly type: "invoke" } & {
  readonly f: Name;
} & Readonly<Operations[Name]["invoke"]>;

export type OkOf<Name extends OperationName> = Common & {
  readonly type: "ok";
  readonly f: Name;
  readonly of: number;
} & Readonly<Operations[Name]["ok"]>;

export interface FailureLine extends Common {
  readonly type: "fail" | "info";
  readonly f: OperationName;
  readonly of: number;
  readonly error?: string;
}

export type InvokeLine = { [Name in OperationName]: InvokeOf<Name> }[OperationName];
export type OkLine = { [Name in OperationName]: OkOf<Name> }[OperationName];

export type EventLine = Common & { readonly type: "info" } & (
    | { readonly f: "crash" }
    | {
        readonly f: "fault";
        readonly kind: string;
        readonly targets: readonly string[];
        readonly phase: "begin" | "end";
      }
    | { readonly f: "state"; readonly brokers: JsonObject }
  );

export type HistoryLine = InvokeLine | OkLine | FailureLine | EventLine;

type WithoutIndex<Line> = Line extends HistoryLine ? Omit<Line, "i" | "t"> : never;

/** A line as a client writes it; index and time are the writer's. */
export type UnwrittenLine = WithoutIndex<HistoryLine>;

export interface HistoryWriterOptions {
  /** Milliseconds, fractions allowed, never falling. */
  readonly nowMs: () => number;
  /** Takes each line at once; without it the writer collects them in `lines`. */
  readonly sink?: (line: HistoryLine) => void;
}

/** Numbers the lines of one run. A client writes its invoke, keeps the index, and completes it. */
export class HistoryWriter {
  readonly lines: HistoryLine[] = [];
  readonly #nowMs: () => number;
  readonly #sink: (line: HistoryLine) => void;
  #next = 0;

  constructor(options: HistoryWriterOptions) {
    this.#nowMs = options.nowMs;
    this.#sink = options.sink ?? ((line) => this.lines.push(line));
  }

  /** How many lines were written. */
  get count(): number {
    return this.#next;
  }

  /** Returns the line's index, which the completion of an invoke gives as `of`. */
  write(line: UnwrittenLine): number {
    const i = this.#next++;
    const t = Math.round(this.#nowMs() * 1_000_000);
    this.#sink({ i, t, ...line } as HistoryLine);
    return i;
  }
}
