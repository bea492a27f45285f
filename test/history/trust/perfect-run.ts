/**
 * A valid history from a seed: clients on a log in memory that never errs. What makes real histories
 * hard to judge is all there: operations overlap, answers are lost while the effect stands or comes
 * later, retries without idempotence double a record, a leader acknowledges with acks=1 and is
 * replaced, clients crash and go on under another name, seek, prefetch, fall out of range as records
 * are deleted. The checker must accuse none of it.
 */
import { Prng } from "../../../src/base/prng.ts";
import { type HistoryLine, HistoryWriter, type PolledRecord, type Seek } from "../format.ts";
import { PerfectTopics } from "./perfect-topics.ts";

export interface PerfectRunOptions {
  readonly seed: number;
  /** Steps before the final read; a client's call takes two to four. Default 30 to 160. */
  readonly stepsCount?: number;
}

interface Log {
  readonly key: string;
  readonly records: string[];
  start: number;
  /** Its topic was deleted. */
  gone: boolean;
  readonly retention: boolean;
}

interface Producer {
  readonly client: string;
  process: string;
  readonly idempotent: boolean;
  sequence: number;
  /** By key, what is under way, in order: the broker takes it in no other. */
  queues: Map<Log, { readonly append: () => void; done: boolean }[]>;
}

interface Consumer {
  readonly client: string;
  process: string;
  readonly prefetches: boolean;
  positions: Map<Log, number>;
  fetched: Fetched | undefined;
  busy: boolean;
}

interface Fetched {
  readonly recs: Record<string, PolledRecord[]>;
  readonly resets: Record<string, number>;
  /** Where the consumer stood before. */
  readonly before: Map<Log, number>;
}

/** A call under way: what is still to happen, in this order. */
export type Call = (() => void)[];

export type Ending = "ok" | "fail" | "info" | "open";

/** Each history draws its own mixture: what is rare in one is common in another. */
const SHARES = {
  send: [20, 40, 60],
  read: [20, 30, 40],
  list: [0, 5, 10],
  delete: [0, 3, 10],
  admin: [0, 10, 60],
  crash: [0, 3, 6],
  fault: [0, 2],
  removal: [0, 3],
} as const;

/** The same seed gives the same history. */
export function perfectHistory(options: PerfectRunOptions): HistoryLine[] {
  return new PerfectRun(options).play();
}

class PerfectRun {
  readonly #prng: Prng;
  readonly #writer: HistoryWriter;
  readonly #stepsCount: number;
  readonly #logs: Log[];
  readonly #producers: Producer[];
  readonly #consumers: Consumer[];
  readonly #topics: PerfectTopics;
  /** What a client may begin, each as often as its share. */
  readonly #kinds: readonly (keyof typeof SHARES)[];
  readonly #calls: Call[] = [];
  #nowMs = 0;
  #lives = 1;

  constructor({ seed, stepsCount }: PerfectRunOptions) {
    const prng = new Prng(seed);
    this.#prng = prng;
    this.#stepsCount = stepsCount ?? prng.between(30, 160);
    this.#writer = new HistoryWriter({
      nowMs: () => {
        this.#nowMs += prng.below(4) / 4;
        return this.#nowMs;
      },
    });
    const retention = prng.chance(1, 8);
    this.#logs = Array.from({ length: prng.between(1, 3) }, (_, partition) => ({
      key: `orders-${partition}`,
      records: [],
      start: 0,
      gone: false,
      retention,
    }));
    if (prng.chance(1, 10)) {
      this.#logs.push({ key: "doomed-0", records: [], start: 0, gone: false, retention: false });
    }
    this.#producers = Array.from({ length: prng.between(1, 3) }, (_, index) => ({
      client: `producer-${index + 1}`,
      process: `producer-${index + 1}`,
      idempotent: prng.chance(3, 4),
      sequence: 0,
      queues: new Map(),
    }));
    this.#consumers = Array.from({ length: prng.between(1, 3) }, (_, index) => ({
      client: `consumer-${index + 1}`,
      process: `consumer-${index + 1}`,
      prefetches: prng.chance(1, 4),
      positions: new Map(),
      fetched: undefined,
      busy: false,
    }));
    this.#kinds = Object.entries(SHARES).flatMap(([kind, shares]) =>
      Array.from({ length: prng.pick(shares) }, () => kind as keyof typeof SHARES),
    );
    this.#topics = new PerfectTopics({ prng: prng.fork("topics"), writer: this.#writer });
  }

  play(): HistoryLine[] {
    this.#createTopics();
    // One that works, so that the history proves something.
    const [producer] = this.#producers;
    const [log] = this.#logs;
    if (producer !== undefined && log !== undefined) this.#send(producer, log, "all", "ok");
    while (this.#calls.length > 0) this.#advance();
    for (let step = 0; step < this.#stepsCount; step++) {
      if (this.#prng.chance(2, 3) && this.#calls.length > 0) this.#advance();
      else this.#begin();
    }
    while (this.#calls.length > 0 && this.#prng.chance(39, 40)) this.#advance();
    if (this.#prng.chance(1, 6)) this.#finalRead(true);
    this.#finalRead(false);
    return this.#writer.lines;
  }

  #createTopics(): void {
    const [log] = this.#logs;
    const configs: Record<string, string> =
      log?.retention === true ? { "retention.ms": "5000" } : {};
    for (const topic of new Set(this.#logs.map(({ key }) => key.replace(/-\d+$/, "")))) {
      const of = this.#writer.write({
        p: "admin",
        type: "invoke",
        f: "admin",
        call: "createTopic",
        args: { topic, configs },
      });
      this.#writer.write({ p: "admin", type: "ok", f: "admin", of });
    }
  }

  #advance(): void {
    const call = this.#prng.pick(this.#calls);
    call.shift()?.();
    if (call.length === 0) this.#calls.splice(this.#calls.indexOf(call), 1);
  }

  #begin(): void {
    const prng = this.#prng;
    const log = prng.pick(this.#logs);
    switch (prng.pick(this.#kinds)) {
      case "send": {
        const producer = prng.pick(this.#producers);
        const weak = !producer.idempotent && prng.chance(1, 2);
        const acks = weak ? prng.pick([0, 1] as const) : "all";
        this.#send(producer, log, acks, this.#ending());
        break;
      }
      case "read":
        this.#read(prng.pick(this.#consumers));
        break;
      case "list":
        this.#listOffsets(log);
        break;
      case "delete":
        this.#deleteRecords(log);
        break;
      case "admin":
        this.#calls.push(this.#topics.call(this.#ending()));
        break;
      case "crash":
        this.#crash();
        break;
      case "fault":
        this.#fault();
        break;
      case "removal":
        if (log.retention) log.start = prng.between(log.start, log.records.length);
        else if (log.key === "doomed-0" && !log.gone) this.#deleteTopic(log);
    }
  }

  #ending(): Ending {
    const drawn = this.#prng.below(100);
    if (drawn < 84) return "ok";
    if (drawn < 90) return "fail";
    return drawn < 97 ? "info" : "open";
  }

  /** The client's answer is written unless it crashed in the meantime. */
  #call(
    client: { readonly process: string },
    call: {
      readonly ending: Ending;
      /** What happens at the broker; without it nothing does. */
      readonly effect?: (() => void) | undefined;
      /** An effect of unknown outcome may come after the client gave up. */
      readonly late: boolean;
      readonly answer: () => void;
    },
  ): void {
    const { ending, effect, late, answer } = call;
    const { process } = client;
    const answered = (): void => {
      if (client.process === process) answer();
    };
    const steps: Call = effect === undefined ? [] : [effect];
    if (ending === "info" && late && this.#prng.chance(1, 3)) steps.unshift(answered);
    else if (ending !== "open") steps.push(answered);
    if (steps.length > 0) this.#calls.push(steps);
  }

  #send(producer: Producer, log: Log, acks: 0 | 1 | "all", drawn: Ending): void {
    const prng = this.#prng;
    const { process, idempotent } = producer;
    const ending = log.gone ? "fail" : drawn;
    const value = `${process}/${++producer.sequence}`;
    const { key } = log;
    const of = this.#writer.write({
      p: process,
      type: "invoke",
      f: "send",
      key,
      value,
      acks,
      idempotent,
    });
    let offset = -1;
    const answer = (): void => {
      if (ending === "fail") this.#writer.write({ p: process, type: "fail", f: "send", of });
      else if (ending !== "ok" || offset < 0) {
        this.#writer.write({ p: process, type: "info", f: "send", of, error: "REQUEST_TIMED_OUT" });
      } else {
        // Of a duplicate the broker may no longer know where the first one stands.
        const told = acks !== 0 && !(idempotent && prng.chance(1, 20));
        this.#writer.write({ p: process, type: "ok", f: "send", of, ...(told ? { offset } : {}) });
      }
    };
    const lost = acks !== "all" && prng.chance(1, 4);
    const append = (): void => {
      if (log.gone) return;
      offset = log.records.length;
      if (!lost) log.records.push(value);
    };
    if (ending === "fail" || (ending !== "ok" && prng.chance(1, 2))) {
      this.#call(producer, { ending, late: true, answer });
    } else if (idempotent) {
      const queue = producer.queues.get(log) ?? [];
      producer.queues.set(log, queue);
      const mine = { append, done: false };
      queue.push(mine);
      const effect = (): void => {
        for (const each of queue.splice(0, queue.indexOf(mine) + 1)) {
          if (!each.done) each.append();
          each.done = true;
        }
      };
      this.#call(producer, { ending, effect, late: true, answer });
    } else {
      const twice = prng.chance(1, 6);
      this.#call(producer, { ending, effect: append, late: true, answer });
      if (twice && !lost) this.#retried(log, value);
    }
  }

  /** The first attempt was slow, and lands by itself. */
  #retried(log: Log, value: string): void {
    const land = (): void => {
      if (!log.gone) log.records.push(value);
    };
    this.#calls.push([land]);
  }

  #read(consumer: Consumer): void {
    if (consumer.busy) return;
    if (consumer.positions.size === 0 || this.#prng.chance(1, 6)) this.#assign(consumer);
    else this.#poll(consumer, this.#ending());
  }

  #assign(consumer: Consumer): void {
    const prng = this.#prng;
    const { process } = consumer;
    const logs = prng.shuffle(this.#logs).slice(0, prng.between(1, this.#logs.length));
    const seek: Seek = this.#drawSeek(logs, consumer);
    const keys = logs.map(({ key }) => key);
    const of = this.#writer.write({ p: process, type: "invoke", f: "assign", keys, seek });
    consumer.busy = true;
    const before = consumer.fetched?.before ?? consumer.positions;
    this.#call(consumer, {
      ending: "ok",
      late: false,
      answer: () => {
        consumer.fetched = undefined;
        consumer.busy = false;
        consumer.positions = new Map(
          logs.map((log) => [log, this.#positionOf(log, seek, before.get(log))]),
        );
        this.#writer.write({ p: process, type: "ok", f: "assign", of });
      },
    });
  }

  #drawSeek(logs: readonly Log[], { positions }: Consumer): Seek {
    const kind = this.#prng.below(4);
    if (kind === 0 && logs.some((log) => positions.has(log))) return "none";
    if (kind === 1) return "end";
    if (kind !== 2) return "beginning";
    const some = logs.filter((log) => log === logs[0] || this.#prng.chance(1, 2));
    return Object.fromEntries(
      some.map(({ key, records }) => [key, this.#prng.between(0, records.length)]),
    );
  }

  #positionOf(log: Log, seek: Seek, before: number | undefined): number {
    if (typeof seek === "object" && seek[log.key] !== undefined) return seek[log.key] as number;
    if (seek === "beginning") return log.start;
    if (seek === "end") return log.records.length;
    return before ?? log.records.length;
  }

  #poll(consumer: Consumer, drawn: Ending): void {
    const prng = this.#prng;
    const { process, prefetches } = consumer;
    const ending = drawn === "open" ? "info" : drawn;
    if (prefetches && consumer.fetched === undefined) {
      // The broker answers long before anybody polls.
      consumer.fetched = this.#fetch(consumer);
      return;
    }
    const of = this.#writer.write({
      p: process,
      type: "invoke",
      f: "poll",
      ...(prefetches ? { ahead: true } : {}),
    });
    consumer.busy = true;
    let fetched: Fetched = { recs: {}, resets: {}, before: new Map() };
    const effect = (): void => {
      if (consumer.process !== process) return;
      fetched = consumer.fetched ?? this.#fetch(consumer);
      consumer.fetched = undefined;
    };
    // Of a poll that nobody knows of, the records are dropped, or come with the next one.
    const happens = ending === "ok" || (ending === "info" && prng.chance(1, 2));
    this.#call(consumer, {
      ending,
      effect: happens ? effect : undefined,
      late: false,
      answer: () => {
        consumer.busy = false;
        if (ending === "ok") {
          const { recs, resets } = fetched;
          const told = Object.keys(resets).length === 0 ? {} : { resets };
          this.#writer.write({ p: process, type: "ok", f: "poll", of, recs, ...told });
        } else this.#writer.write({ p: process, type: ending, f: "poll", of });
      },
    });
  }

  #fetch(consumer: Consumer): Fetched {
    const prng = this.#prng;
    const fetched: Fetched = { recs: {}, resets: {}, before: consumer.positions };
    const positions = new Map(consumer.positions);
    for (const [log, at] of consumer.positions) {
      if (log.gone || prng.chance(1, 4)) continue;
      let position = at;
      if (position < log.start) {
        position = log.start;
        fetched.resets[log.key] = position;
      }
      const values = log.records.slice(position, position + prng.between(0, 6));
      if (values.length > 0 || fetched.resets[log.key] !== undefined) {
        fetched.recs[log.key] = values.map((value, index) => [position + index, value]);
      }
      positions.set(log, position + values.length);
    }
    consumer.positions = positions;
    return fetched;
  }

  #listOffsets(log: Log): void {
    if (log.gone) return;
    const which = this.#prng.chance(1, 2) ? "latest" : "earliest";
    const p = `lister-${this.#prng.between(1, 2)}`;
    const of = this.#writer.write({ p, type: "invoke", f: "listOffsets", key: log.key, which });
    const ending = this.#ending();
    let offset = 0;
    const effect = (): void => {
      offset = which === "latest" ? log.records.length : log.start;
    };
    this.#call(
      { process: p },
      {
        ending,
        effect,
        late: false,
        answer: () => {
          if (ending === "ok") this.#writer.write({ p, type: "ok", f: "listOffsets", of, offset });
          else this.#writer.write({ p, type: "info", f: "listOffsets", of });
        },
      },
    );
  }

  #deleteRecords(log: Log): void {
    if (log.gone || log.records.length === 0) return;
    const prng = this.#prng;
    const p = "deleter";
    const before = prng.chance(1, 6) ? -1 : prng.between(0, log.records.length);
    const of = this.#writer.write({ p, type: "invoke", f: "deleteRecords", key: log.key, before });
    const ending = this.#ending();
    const happens = ending === "ok" || (ending !== "fail" && prng.chance(1, 2));
    let lowWatermark = 0;
    const effect = (): void => {
      log.start = Math.max(log.start, before === -1 ? log.records.length : before);
      lowWatermark = log.start;
    };
    this.#call(
      { process: p },
      {
        ending,
        effect: happens ? effect : undefined,
        late: true,
        answer: () => {
          if (ending === "ok") {
            this.#writer.write({ p, type: "ok", f: "deleteRecords", of, lowWatermark });
          } else if (ending !== "open") {
            this.#writer.write({ p, type: ending, f: "deleteRecords", of });
          }
        },
      },
    );
  }

  #deleteTopic(log: Log): void {
    const args = { topic: "doomed" };
    const of = this.#writer.write({
      p: "admin",
      type: "invoke",
      f: "admin",
      call: "deleteTopic",
      args,
    });
    log.gone = true;
    this.#writer.write({ p: "admin", type: "ok", f: "admin", of });
  }

  #crash(): void {
    const prng = this.#prng;
    if (prng.chance(1, 2)) {
      const producer = prng.pick(this.#producers);
      this.#writer.write({ p: producer.process, type: "info", f: "crash" });
      producer.process = `${producer.client}.${++this.#lives}`;
      producer.sequence = 0;
      producer.queues = new Map();
      return;
    }
    const consumer = prng.pick(this.#consumers);
    this.#writer.write({ p: consumer.process, type: "info", f: "crash" });
    consumer.process = `${consumer.client}.${++this.#lives}`;
    consumer.positions = new Map();
    consumer.fetched = undefined;
    consumer.busy = false;
  }

  #fault(): void {
    const phase = this.#prng.pick(["begin", "end"] as const);
    const kind = "new-leader";
    this.#writer.write({ p: "nemesis", type: "info", f: "fault", kind, targets: ["b1"], phase });
    this.#writer.write({ p: "nemesis", type: "info", f: "state", brokers: { b1: { epoch: 1 } } });
  }

  /** Some sends still land while it goes on, as after a late answer. */
  #finalRead(givesUp: boolean): void {
    const prng = this.#prng;
    const logs = this.#logs.filter(({ gone }) => !gone);
    const keys = logs.map(({ key }) => key);
    const final = this.#writer.write({ p: "final", type: "invoke", f: "final", keys });
    const process = `reader-${++this.#lives}`;
    const assign = this.#writer.write({
      p: process,
      type: "invoke",
      f: "assign",
      keys,
      seek: "beginning",
    });
    const positions = new Map(logs.map((log) => [log, log.start]));
    this.#writer.write({ p: process, type: "ok", f: "assign", of: assign });
    const reader: Consumer = {
      client: process,
      process,
      prefetches: false,
      positions,
      fetched: undefined,
      busy: false,
    };
    const isDone = (): boolean =>
      logs.every((log) => (reader.positions.get(log) as number) >= log.records.length);
    for (let round = 0; !isDone() || (round === 0 && !givesUp); round++) {
      if (givesUp && round > 1) break;
      const of = this.#writer.write({ p: process, type: "invoke", f: "poll" });
      if (this.#calls.length > 0 && prng.chance(1, 3)) this.#advance();
      const { recs, resets } = this.#fetch(reader);
      const told = Object.keys(resets).length === 0 ? {} : { resets };
      this.#writer.write({ p: process, type: "ok", f: "poll", of, recs, ...told });
    }
    if (givesUp) {
      this.#writer.write({ p: "final", type: "fail", f: "final", of: final });
      return;
    }
    const ends = Object.fromEntries(
      logs.map((log) => [log.key, reader.positions.get(log) as number]),
    );
    this.#writer.write({ p: "final", type: "ok", f: "final", of: final, ends });
  }
}
