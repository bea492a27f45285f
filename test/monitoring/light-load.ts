/** Something of everything that brokers count: records, groups, compaction, refusals. */
import { Admin, Consumer, Producer } from "../../src/client/index.ts";

export const TOPICS = ["orders", "states"] as const;
/** Comes and goes, so that the controller has something to commit. */
const PASSING = "passing";
const GROUP = "billing";
const PAUSE_MS = 50;
/** Each so many turns the administrator asks for something, and for something that is refused. */
const ADMIN_TURNS = 20;

export class LightLoad {
  readonly #admin: Admin;
  readonly #producer: Producer;
  readonly #consumer: Consumer;
  #running: Promise<unknown> | undefined;
  #stopped = false;
  #acknowledgedCount = 0;
  #consumedCount = 0;

  private constructor(bootstrapServers: readonly string[]) {
    this.#admin = new Admin({ bootstrapServers });
    this.#producer = new Producer({ bootstrapServers });
    this.#consumer = new Consumer({
      bootstrapServers,
      groupId: GROUP,
      autoOffsetReset: "earliest",
    });
  }

  get acknowledgedCount(): number {
    return this.#acknowledgedCount;
  }

  get consumedCount(): number {
    return this.#consumedCount;
  }

  static async start(bootstrapServers: readonly string[]): Promise<LightLoad> {
    const load = new LightLoad(bootstrapServers);
    await load.#admin.createTopics([
      { name: TOPICS[0], partitions: 6, replicationFactor: 3 },
      {
        name: TOPICS[1],
        partitions: 1,
        replicationFactor: 3,
        configs: { "cleanup.policy": "compact" },
      },
    ]);
    await load.#consumer.subscribe({ topics: [TOPICS[0]] });
    load.#running = Promise.all([load.#produce(), load.#consume()]);
    // Whoever stops it hears of it.
    load.#running.catch(() => undefined);
    return load;
  }

  /** Rejects with what went wrong meanwhile. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    try {
      await this.#consumer.close();
      await this.#running;
    } finally {
      await this.#producer.close();
      await this.#admin.close();
    }
  }

  async #produce(): Promise<void> {
    for (let turn = 0; !this.#stopped; turn++) {
      const sends = Array.from({ length: 12 }, (_, index) =>
        this.#producer.send({
          topic: TOPICS[0],
          key: `order-${turn}-${index}`,
          value: "x".repeat(200),
        }),
      );
      sends.push(
        this.#producer.send({ topic: TOPICS[1], key: `state-${turn % 5}`, value: `${turn}` }),
      );
      this.#acknowledgedCount += (await Promise.all(sends)).length;
      if (turn % ADMIN_TURNS === 0) {
        await this.#admin.describeTopics([TOPICS[0]]);
        await this.#admin.createTopics([{ name: PASSING, partitions: 1, replicationFactor: 2 }]);
        await this.#admin.deleteTopics([PASSING]);
        const refused = this.#admin.createTopics([{ name: TOPICS[0] }]);
        await refused.then(
          () => Promise.reject(new Error(`${TOPICS[0]} was created twice`)),
          () => undefined,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  async #consume(): Promise<void> {
    await this.#consumer.run({
      eachMessage: () => {
        this.#consumedCount++;
      },
      onError: ({ error }) => {
        throw error;
      },
    });
  }
}
