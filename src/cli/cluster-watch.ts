/** `ottla cluster describe --watch`: the cluster now, and what has just happened to it. */
import type { Admin, ClusterDescription, TopicDescription } from "../client/index.ts";
import { toOttlaError } from "../model/errors.ts";
import { ClusterNews, tally } from "./cluster-news.ts";
import type { OutputFormat } from "./output.ts";
import { writeJson, writeLine } from "./output.ts";
import { printCluster, withLag } from "./print-cluster.ts";

/** A dead broker is asked in vain for no longer than this; then another one is. */
const ANSWER_MS = 1_500;
const NEWS_KEPT = 12;

/** Shows once more at each call of `show`; what fails is shown too, and the next look tries again. */
export class ClusterWatch {
  readonly #admin: Admin;
  readonly #output: OutputFormat;
  readonly #news = new ClusterNews();
  #kept: readonly string[] = [];

  constructor(admin: Admin, output: OutputFormat) {
    this.#admin = admin;
    this.#output = output;
  }

  async show(clear: () => Promise<void>): Promise<void> {
    let cluster: ClusterDescription;
    let topics: readonly TopicDescription[];
    try {
      [cluster, topics] = await Promise.all([
        this.#admin.describeCluster({ timeoutMs: ANSWER_MS }),
        this.#admin.listTopics({ timeoutMs: ANSWER_MS }),
      ]);
    } catch (thrown) {
      const { message } = toOttlaError(thrown);
      await clear();
      if (this.#output === "json") await writeJson({ error: message });
      else await writeLine(`No broker answers: ${message}`);
      return;
    }
    const events = this.#news.update(cluster, topics);
    const counted = tally(topics);
    const { byBroker: _, ...partitions } = counted;
    if (this.#output === "json") {
      await writeJson({ ...withLag(cluster), ...partitions, events });
      return;
    }
    const time = new Date().toISOString().slice(11, 19);
    this.#kept = [...this.#kept, ...events.map((event) => `${time}  ${event}`)].slice(-NEWS_KEPT);
    await clear();
    await printCluster(cluster, counted);
    await writeLine("");
    for (const line of this.#kept) await writeLine(line);
  }
}
