/**
 * Counts of the hot paths, kept as plain numbers and handed to the meter when it is read: a label
 * look-up for each batch would cost more than the count is worth.
 */
import type { Ports } from "../ports/ports.ts";

export interface TopicTraffic {
  produceRequests: number;
  produceFailures: number;
  messagesIn: number;
  bytesIn: number;
  fetches: number;
  fetchFailures: number;
  bytesOut: number;
}

/** Names that clients ask for and that do not exist share this row: they must not fill the table. */
const UNKNOWN_TOPIC = "";

export class Traffic {
  readonly #topics = new Map<string, TopicTraffic>();
  readonly #ports: Ports;

  constructor(ports: Ports) {
    this.#ports = ports;
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
    return this.of(UNKNOWN_TOPIC);
  }

  failed(request: string, error: string): void {
    this.#ports.meter.count("ottla_request_errors_total", { request, error }, 1);
  }

  #flush(): void {
    const { meter } = this.#ports;
    for (const [topic, traffic] of this.#topics) {
      const labels = { topic };
      const prefix = "kafka_server_brokertopicmetrics_";
      meter.count(`${prefix}totalproducerequests_total`, labels, traffic.produceRequests);
      meter.count(`${prefix}failedproducerequests_total`, labels, traffic.produceFailures);
      meter.count(`${prefix}messagesin_total`, labels, traffic.messagesIn);
      meter.count(`${prefix}bytesin_total`, labels, traffic.bytesIn);
      meter.count(`${prefix}totalfetchrequests_total`, labels, traffic.fetches);
      meter.count(`${prefix}failedfetchrequests_total`, labels, traffic.fetchFailures);
      meter.count(`${prefix}bytesout_total`, labels, traffic.bytesOut);
    }
    this.#topics.clear();
  }
}

function zero(): TopicTraffic {
  return {
    produceRequests: 0,
    produceFailures: 0,
    messagesIn: 0,
    bytesIn: 0,
    fetches: 0,
    fetchFailures: 0,
    bytesOut: 0,
  };
}
