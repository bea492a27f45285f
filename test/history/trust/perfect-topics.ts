/** Calls to a controller that never errs, on a few topics; for `perfect-run.ts`. */
import type { Prng } from "../../../src/base/prng.ts";
import type { HistoryWriter, JsonObject, JsonValue } from "../format.ts";
import type { Call, Ending } from "./perfect-run.ts";

interface Topic {
  partitions: number;
  readonly configs: Record<string, string>;
}

interface Answer {
  readonly error?: string;
  readonly result?: JsonValue;
}

const CALLS = [
  "createTopic",
  "createTopic",
  "deleteTopic",
  "alterConfig",
  "createPartitions",
  "describeTopic",
  "describeTopic",
  "allocateProducerId",
  "electLeaders",
] as const;

export class PerfectTopics {
  readonly #prng: Prng;
  readonly #writer: HistoryWriter;
  readonly #topics = new Map<string, Topic>();
  #producerId = 0;
  #clients = 0;

  constructor(options: { readonly prng: Prng; readonly writer: HistoryWriter }) {
    this.#prng = options.prng;
    this.#writer = options.writer;
  }

  /** Begins a call by a client of its own. */
  call(ending: Ending): Call {
    const prng = this.#prng;
    const p = `admin-${++this.#clients}`;
    const call = prng.pick(CALLS);
    const args = this.#argsOf(call);
    const of = this.#writer.write({ p, type: "invoke", f: "admin", call, args });
    let answer: Answer = {};
    const effect = (): void => {
      answer = this.#happen(call, args);
    };
    const happens = ending === "ok" || (ending !== "fail" && prng.chance(1, 2));
    const write = (): void => {
      if (ending === "ok" && answer.error === undefined) {
        const result = answer.result === undefined ? {} : { result: answer.result };
        this.#writer.write({ p, type: "ok", f: "admin", of, ...result });
      } else if (ending === "ok" && answer.error !== undefined) {
        this.#writer.write({ p, type: "fail", f: "admin", of, error: answer.error });
      } else {
        const type = ending === "fail" ? "fail" : "info";
        this.#writer.write({ p, type, f: "admin", of, error: "REQUEST_TIMED_OUT" });
      }
    };
    const steps: Call = [];
    if (ending === "info" && prng.chance(1, 2)) steps.push(write);
    if (happens) steps.push(effect);
    if (ending !== "open" && !steps.includes(write)) steps.push(write);
    return steps;
  }

  #argsOf(call: string): JsonObject {
    const prng = this.#prng;
    if (call === "allocateProducerId") return {};
    const topic = `t${prng.between(1, 2)}`;
    const bytes = String(prng.between(1, 3));
    if (call === "createTopic") {
      return { topic, partitions: prng.between(1, 2), configs: prng.chance(1, 2) ? { bytes } : {} };
    }
    if (call === "alterConfig") return { topic, set: { bytes: prng.chance(1, 4) ? null : bytes } };
    if (call === "createPartitions") return { topic, partitions: prng.between(2, 4) };
    return { topic };
  }

  #happen(call: string, args: JsonObject): Answer {
    if (call === "allocateProducerId") return { result: { producerId: this.#producerId++ } };
    const name = args["topic"] as string;
    const topic = this.#topics.get(name);
    if (call === "createTopic") {
      if (topic !== undefined) return { error: "TOPIC_ALREADY_EXISTS" };
      const configs = { ...(args["configs"] as Record<string, string>) };
      this.#topics.set(name, { partitions: args["partitions"] as number, configs });
      return {};
    }
    if (topic === undefined) {
      return call === "describeTopic" ? { result: null } : { error: "UNKNOWN_TOPIC_OR_PARTITION" };
    }
    if (call === "deleteTopic") this.#topics.delete(name);
    else if (call === "alterConfig") {
      const { bytes } = args["set"] as { bytes: string | null };
      if (bytes === null) delete topic.configs["bytes"];
      else topic.configs["bytes"] = bytes;
    } else if (call === "createPartitions") {
      const partitions = args["partitions"] as number;
      if (partitions <= topic.partitions) return { error: "INVALID_PARTITIONS" };
      topic.partitions = partitions;
    } else if (call === "describeTopic") {
      return { result: { partitions: topic.partitions, configs: { ...topic.configs } } };
    }
    return {};
  }
}
