/** The Fetch stream: positions and credit come up, batches go down as fast as the client reads. */
import type {
  BrokerApi,
  FetchedOne,
  FetchSession,
  FetchStartOne,
} from "../../broker/broker-api.ts";
import type { ottla } from "../../gen/ottla.js";
import { toOttlaError } from "../../model/errors.ts";
import { NONE } from "../../model/ids.ts";
import type { BidiStream } from "./bidi-stream.ts";
import { checkName, checkNumber } from "./checks.ts";
import { encodeFetched } from "./fetch-messages.ts";
import { invalid } from "./status.ts";

type Request = ottla.v1.FetchRequest.$Properties;
type Start = ottla.v1.FetchStart.$Properties;

export interface FetchStreamOptions {
  readonly broker: BrokerApi;
  readonly listenerName: string;
  readonly stream: BidiStream<Request>;
  /** `fetch.max.bytes` of the broker: what a start without its own `max_bytes` gets. */
  readonly maxBytes: number;
}

export function serveFetch(options: FetchStreamOptions): void {
  options.stream.handle(() => new FetchStream(options));
}

class FetchStream {
  readonly #broker: BrokerApi;
  readonly #listenerName: string;
  readonly #stream: BidiStream<Request>;
  readonly #maxBytes: number;
  readonly #session: FetchSession;

  constructor({ broker, listenerName, stream, maxBytes }: FetchStreamOptions) {
    this.#broker = broker;
    this.#listenerName = listenerName;
    this.#stream = stream;
    this.#maxBytes = maxBytes;
    this.#session = broker.openFetch((fetched) => this.#send(fetched));
  }

  /** What is stopped comes first: a start may be the same partition at another place. */
  onMessage(request: Request): void {
    for (const handle of request.stop ?? []) this.#session.stop(handle);
    for (const start of request.start ?? []) this.#start(start);
    if (request.creditBytes) this.#session.credit(request.creditBytes);
  }

  onEnd(): void {
    this.#session.close();
  }

  #start(start: Start): void {
    let one: FetchStartOne;
    try {
      one = {
        handle: start.handle ?? 0,
        topic: checkName("start.topic", start.topic),
        partition: start.partition ?? 0,
        offset: checkNumber("start.offset", start.offset, 0),
        currentLeaderEpoch: epoch("start.current_leader_epoch", start.currentLeaderEpoch ?? 0),
        lastFetchedEpoch: epoch("start.last_fetched_epoch", start.lastFetchedEpoch ?? NONE),
        maxBytes: start.maxBytes || this.#maxBytes,
      };
    } catch (thrown) {
      this.#refuse(start.handle ?? 0, thrown);
      return;
    }
    this.#session.start(one);
  }

  #refuse(handle: number, thrown: unknown): void {
    this.#session.stop(handle);
    const { code, message, field } = toOttlaError(thrown);
    const refusal: FetchedOne = {
      handle,
      error: { code, message, ...(field === undefined ? {} : { field }) },
      highWatermark: NONE,
      lastStableOffset: NONE,
      logStartOffset: NONE,
      batches: [],
      leader: undefined,
    };
    this.#write([refusal]);
  }

  #send(fetched: readonly FetchedOne[]): Promise<void> | undefined {
    this.#write(fetched);
    return this.#stream.room();
  }

  #write(fetched: readonly FetchedOne[]): void {
    for (const message of encodeFetched(fetched, this.#broker.image(), this.#listenerName)) {
      this.#stream.write(message);
    }
  }
}

function epoch(field: string, value: number): number {
  if (value >= NONE) return value;
  throw invalid(field, value, "it must be -1 (not known) or more");
}
