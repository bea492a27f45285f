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
      const counted = [
        ["kafka_server_brokertopicmetrics_totalproducerequests_total", traffic.produceRequests],
        ["kafka_server_brokertopicmetrics_failedproducerequests_total", traffic.produceFailures],
        ["kafka_server_brokertopicmetrics_messagesin_total", traffic.messagesIn],
        ["kafka_server_brokertopicmetrics_bytesin_total", traffic.bytesIn],
        ["kafka_server_brokertopicmetrics_totalfetchrequests_total", traffic.fetches],
        ["kafka_server_brokertopicmetrics_failedfetchrequests_total", traffic.fetchFailures],
        ["kafka_server_brokertopicmetrics_bytesout_total", traffic.bytesOut],
      ] as const;
      for (const [name, amount] of counted) meter.count(name, labels, amount);
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
