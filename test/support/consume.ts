/** What tests of group consumers share: records that say where they are from, and who has seen what. */

import { systemClock } from "../../src/adapters/system-clock.ts";
import { GrpcTransport } from "../../src/client/grpc-transport.ts";
import {
  type Admin,
  Consumer,
  type ConsumerOptions,
  deserializers,
  type Message,
  type Producer,
} from "../../src/client/index.ts";
import type { Connection, StreamEvents, Transport } from "../../src/client/transport.ts";

export type TextMessage = Message<string | null, string | null>;
export type TextConsumer = Consumer<string | null, string | null>;

export function textConsumer(
  options: Omit<ConsumerOptions, "keyDeserializer" | "valueDeserializer">,
): TextConsumer {
  const text = deserializers.string;
  return new Consumer({
    autoOffsetReset: "earliest",
    ...options,
    keyDeserializer: text,
    valueDeserializer: text,
  });
}

export async function makeTopic(admin: Admin, name: string, partitions: number): Promise<void> {
  await admin.createTopics([{ name, partitions, replicationFactor: 3 }]);
}

/** `count` records to each partition: their values are their numbers. */
export async function fill(
  producer: Producer,
  topic: string,
  partitions: number,
  count: number,
  from = 0,
): Promise<void> {
  const sends: Promise<unknown>[] = [];
  for (let partition = 0; partition < partitions; partition++) {
    for (let index = from; index < from + count; index++) {
      sends.push(producer.send({ topic, partition, value: String(index) }));
    }
  }
  await Promise.all(sends);
}

/** Everything that somebody has processed. */
export class Seen {
  readonly messages: (TextMessage & { readonly by: string })[] = [];

  add(by: string, message: TextMessage): void {
    this.messages.push({ ...message, by });
  }

  by(name: string): readonly (TextMessage & { readonly by: string })[] {
    return this.messages.filter((each) => each.by === name);
  }

  /** Whether each of `count` numbers of each partition was seen. */
  isComplete(topic: string, partitions: number, count: number): boolean {
    const places = new Set(
      this.messages
        .filter((each) => each.topic === topic)
        .map(({ partition, value }) => `${partition}/${value}`),
    );
    return places.size === partitions * count;
  }

  /** How often something was seen again. */
  get duplicatesCount(): number {
    return (
      this.messages.length -
      new Set(this.messages.map((each) => `${each.topic}/${each.partition}/${each.offset}`)).size
    );
  }
}

/** Consumes until it is closed. What it throws is kept. */
export class Worker {
  readonly consumer: TextConsumer;
  readonly name: string;
  error: unknown;
  readonly #done: Promise<void>;

  constructor(name: string, consumer: TextConsumer, seen: Seen) {
    this.name = name;
    this.consumer = consumer;
    this.#done = this.#work(seen).catch((thrown: unknown) => {
      this.error = thrown;
    });
  }

  get partitions(): readonly string[] {
    return this.consumer.assignment().map(({ partition, topic }) => `${topic}-${partition}`);
  }

  /** Throws what consuming threw. */
  async stop(): Promise<void> {
    await this.consumer.close();
    await this.#done;
    if (this.error !== undefined) throw this.error;
  }

  async #work(seen: Seen): Promise<void> {
    for await (const message of this.consumer) seen.add(this.name, message);
  }
}

/** A network that can be held: what is sent and what comes waits, as for a process that stands still. */
export class HeldTransport implements Transport {
  readonly #inner = new GrpcTransport(systemClock);
  #held = false;
  #waiting: (() => void)[] = [];

  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    for (const run of this.#waiting.splice(0)) run();
  }

  connect(address: Parameters<Transport["connect"]>[0]): Connection {
    const inner = this.#inner.connect(address);
    const through = <Response>(events: StreamEvents<Response>): StreamEvents<Response> => ({
      onMessage: (response) => this.#pass(() => events.onMessage(response)),
      onEnd: (error) => this.#pass(() => events.onEnd(error)),
    });
    const held = <Request>(stream: { send(request: Request): void; close(): void }) => ({
      send: (request: Request) => this.#pass(() => stream.send(request)),
      close: () => stream.close(),
    });
    return {
      call: async (name, request, options) => {
        await this.#turn();
        const answer = await inner.call(name, request, options);
        await this.#turn();
        return answer;
      },
      openProduce: (events) => held(inner.openProduce(through(events))),
      openFetch: (events) => held(inner.openFetch(through(events))),
      openSession: (events) => held(inner.openSession(through(events))),
      ready: async (timeoutMs) => {
        await this.#turn();
        await inner.ready(timeoutMs);
      },
      close: () => inner.close(),
    };
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#pass(resolve));
  }

  #pass(run: () => void): void {
    if (this.#held || this.#waiting.length > 0) this.#waiting.push(run);
    else run();
  }
}
