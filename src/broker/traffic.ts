/**
 * Counts of the hot paths, kept as plain numbers and handed to the meter when it is read: a label
 * look-up for each batch would cost more than the count is worth.
 */
import type { CounterName } from "../model/metrics.ts";
import type { Ports } from "../ports/ports.ts";
import { TimeSlices } from "./time-slices.ts";

export interface TopicTraffic {
  produceRequests: number;
  produceFailures: number;
  messagesIn: number;
  bytesIn: number;
  bytesRejected: number;
  fetches: number;
  fetchFailures: number;
  bytesOut: number;
}

export interface TrafficOptions {
  /** Series of topics that are gone go too, or the table of topics that once were would only grow. */
  readonly isTopic: (name: string) => boolean;
}

/**
 * The broker's sum, as in Kafka, where it has no label `topic`: to Prometheus that is the same. Names
 * that clients ask for and that do not exist count here alone: they must not fill the table.
 */
const ALL_TOPICS = "";

const COUNTED = {
  produceRequests: "kafka_server_brokertopicmetrics_totalproducerequests_total",
  produceFailures: "kafka_server_brokertopicmetrics_failedproducerequests_total",
  messagesIn: "kafka_server_brokertopicmetrics_messagesin_total",
  bytesIn: "kafka_server_brokertopicmetrics_bytesin_total",
  bytesRejected: "kafka_server_brokertopicmetrics_bytesrejected_total",
  fetches: "kafka_server_brokertopicmetrics_totalfetchrequests_total",
  fetchFailures: "kafka_server_brokertopicmetrics_failedfetchrequests_total",
  bytesOut: "kafka_server_brokertopicmetrics_bytesout_total",
} as const satisfies Record<keyof TopicTraffic, CounterName>;

const FIELDS = Object.keys(COUNTED) as readonly (keyof TopicTraffic)[];

export class Traffic {
  readonly #ports: Ports;
  readonly #options: TrafficOptions;
  /** Since they were last handed over. */
  #topics = new Map<string, TopicTraffic>([[ALL_TOPICS, zero()]]);
  /** Topics that the meter has series of. */
  readonly #shown = new Set<string>();

  constructor(ports: Ports, options: TrafficOptions) {
    this.#ports = ports;
    this.#options = options;
    ports.meter.onCollect(() => this.#flush());
  }

  of(topic: string): TopicTraffic {
    const known = this.#topics.get(topic);
    if (known !== undefined) return known;
    const fresh = zero();
    this.#topics.set(topic, fresh);
    return fresh;
  }

  get unknown(): TopicTraffic {
    return this.of(ALL_TOPICS);
  }

  failed(request: string, error: string): void {
    const labels = { request, error };
    this.#ports.meter.count("kafka_network_requestmetrics_errors_total", labels, 1);
  }

  async #flush(): Promise<void> {
    const slices = new TimeSlices(this.#ports);
    // What is counted while this gives way waits for the next scrape.
    const topics = this.#topics;
    this.#topics = new Map([[ALL_TOPICS, zero()]]);
    const sum = topics.get(ALL_TOPICS) ?? zero();
    for (const [topic, traffic] of topics) {
      if (topic === ALL_TOPICS) continue;
      for (const field of FIELDS) sum[field] += traffic[field];
      if (!this.#options.isTopic(topic)) continue;
      this.#shown.add(topic);
      this.#count(topic, traffic);
      if (slices.due) await slices.pause();
    }
    this.#count(ALL_TOPICS, sum);
    for (const topic of this.#shown) {
      if (this.#options.isTopic(topic)) continue;
      this.#shown.delete(topic);
      for (const field of FIELDS) this.#ports.meter.forget(COUNTED[field], { topic });
    }
  }

  #count(topic: string, traffic: TopicTraffic): void {
    const labels = { topic };
    for (const field of FIELDS) this.#ports.meter.count(COUNTED[field], labels, traffic[field]);
  }
}

function zero(): TopicTraffic {
  return {
    produceRequests: 0,
    produceFailures: 0,
    messagesIn: 0,
    bytesIn: 0,
    bytesRejected: 0,
    fetches: 0,
    fetchFailures: 0,
    bytesOut: 0,
  };
}
