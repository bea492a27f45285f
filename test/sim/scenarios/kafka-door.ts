/** What Kafka's clients are promised of retries, through their own door: each record once, in order. */
import { utf8 } from "../../../src/base/bytes.ts";
import type { Responses } from "../../../src/kafka-wire/messages.ts";
import { ZERO_UUID } from "../../../src/kafka-wire/reader.ts";
import type { Ports } from "../../../src/ports/ports.ts";
import { splitBatches } from "../../../src/record/batch.ts";
import { BatchBuilder, decodeRecords } from "../../../src/record/records.ts";
import { SimByteStreams } from "../clients/sim-byte-streams.ts";
import { SimKafkaClient } from "../clients/sim-kafka-client.ts";
import { brokerName, KAFKA_PORT } from "../cluster/cluster-config.ts";
import { SimNode } from "../world/sim-node.ts";
import { createIncarnation } from "../world/sim-ports.ts";
import { CONTROLLER_ASIDE, scenario, TOPIC } from "./story.ts";

const [A, B, C] = [2, 3, 4];
const CLIENT = "client";
const IN_FLIGHT = 5;
const RETRY_MS = 100;

export const kafkaDoor = scenario(
  "kafka-door",
  "an idempotent producer of Kafka's protocol goes on as leaders die and answers are lost",
  { ...CONTROLLER_ASIDE, kafkaDoor: true },
  async (story) => {
    const node = new SimNode({
      world: story.world,
      name: CLIENT,
      prng: story.world.prng.fork(CLIENT),
    });
    story.cluster.network.attach(node);
    const client = new KafkaClient(createIncarnation(node, story.cluster.network).ports);
    const sent = Array.from({ length: 60 }, (_, index) => `kafka ${index}`);
    let produced = false;
    const producing = client
      .produce(sent, (value) => story.clients.acknowledged.push(value))
      .then(() => {
        produced = true;
      });
    const acknowledged = (count: number): Promise<void> =>
      story.until(`${count} are acknowledged`, () => client.acknowledgedCount >= count, 60_000);
    await acknowledged(15);
    story.kill(A);
    await story.untilLeader(B);
    await acknowledged(30);
    // What B answers now never arrives.
    story.cluster.network.setLink(story.cluster.nodeOf(B), CLIENT, "hold");
    await story.wait(50);
    story.losePower(B);
    story.start(A);
    await story.untilLeader(C);
    await story.until("the producer is done", () => produced, 60_000);
    await producing;
    story.start(B);
    await story.untilAtRest();
    story.expectEqual("each once, in order", await story.everything(), sent);
    let read: readonly string[] = [];
    const reading = client.read(sent.length).then((values) => {
      read = values;
    });
    await story.until("a consumer has everything", () => read.length === sent.length, 60_000);
    await reading;
    story.expectEqual("so does a consumer of this door", read, sent);
  },
);

/** The least that a client of Kafka must do: find the leader, send again, keep the sequence. */
class KafkaClient {
  acknowledgedCount = 0;
  readonly #ports: Ports;
  readonly #streams: SimByteStreams;

  constructor(ports: Ports) {
    this.#ports = ports;
    this.#streams = new SimByteStreams(ports.network);
  }

  /** Sends the values in order, one in a batch; settles when all are acknowledged. */
  async produce(values: readonly string[], onAcknowledged: (value: string) => void): Promise<void> {
    const producerId = await this.#again(async () => {
      const request = { transactionalId: null, transactionTimeoutMs: 0 };
      const answer = await this.#anybody().ask("InitProducerId", 1, request);
      return answer.errorCode === 0 ? answer.producerId : undefined;
    });
    const batches = values.map((value, index) => this.#batch(value, producerId, index));
    while (this.acknowledgedCount < values.length) {
      const leader = await this.#leader();
      for (let good = true; good && this.acknowledgedCount < values.length; ) {
        const from = this.acknowledgedCount;
        const asked = batches.slice(from, from + IN_FLIGHT).map((records) =>
          leader.ask("Produce", 9, {
            acks: -1,
            timeoutMs: 2_000,
            topicData: [
              {
                name: TOPIC,
                topicId: ZERO_UUID,
                // The broker writes into what it is given.
                partitionData: [{ index: 0, records: records.slice() }],
              },
            ],
          }),
        );
        // In order: what comes after a refusal waits for the next round, whatever became of it.
        for (const [index, outcome] of (await Promise.allSettled(asked)).entries()) {
          good &&= outcome.status === "fulfilled" && isAccepted(outcome.value);
          if (!good) break;
          this.acknowledgedCount++;
          onAcknowledged(values[from + index] as string);
        }
      }
      leader.close();
      await this.#ports.timers.sleep(RETRY_MS);
    }
  }

  /** The first `count` records. */
  async read(count: number): Promise<readonly string[]> {
    const leader = await this.#leader();
    const values: string[] = [];
    while (values.length < count) {
      const partitions = [{ partition: 0, fetchOffset: values.length, partitionMaxBytes: 500 }];
      const { responses } = await leader.ask("Fetch", 11, {
        maxWaitMs: 500,
        minBytes: 1,
        topics: [{ topic: TOPIC, topicId: ZERO_UUID, partitions }],
        forgottenTopicsData: [],
      });
      const records = responses[0]?.partitions[0]?.records ?? new Uint8Array(0);
      for (const { header, bytes } of splitBatches(records)) {
        for (const record of decodeRecords(header, bytes.subarray(61))) {
          if (record.offset !== values.length) continue;
          values.push(new TextDecoder().decode(record.value ?? new Uint8Array(0)));
        }
      }
    }
    leader.close();
    return values;
  }

  #batch(value: string, producerId: number, baseSequence: number): Uint8Array {
    const builder = new BatchBuilder(200);
    const timestamp = this.#ports.clock.wallMs();
    builder.append({ timestamp, key: null, value: utf8(value), headers: [] });
    const { crc32c } = this.#ports.codecs;
    return builder.seal({ codec: "none", producerId, producerEpoch: 0, baseSequence, crc32c });
  }

  #connect(host: string): SimKafkaClient {
    const stream = this.#streams.connect({ host, port: KAFKA_PORT });
    return new SimKafkaClient(stream, this.#ports.timers);
  }

  #anybody(): SimKafkaClient {
    return this.#connect(brokerName(1 + this.#ports.random.below(4)));
  }

  #leader(): Promise<SimKafkaClient> {
    return this.#again(async () => {
      const asked = this.#anybody();
      const { brokers, topics } = await asked.ask("Metadata", 8, {
        topics: [{ topicId: ZERO_UUID, name: TOPIC }],
        allowAutoTopicCreation: false,
        includeClusterAuthorizedOperations: false,
        includeTopicAuthorizedOperations: false,
      });
      asked.close();
      const id = topics[0]?.partitions[0]?.leaderId;
      const leader = brokers.find(({ nodeId }) => nodeId === id);
      return leader === undefined ? undefined : this.#connect(leader.host);
    });
  }

  /** Until it comes to something. */
  async #again<Value>(attempt: () => Promise<Value | undefined>): Promise<Value> {
    for (;;) {
      const value = await attempt().catch(() => undefined);
      if (value !== undefined) return value;
      await this.#ports.timers.sleep(RETRY_MS);
    }
  }
}

function isAccepted({ responses }: Responses["Produce"]): boolean {
  return responses[0]?.partitionResponses[0]?.errorCode === 0;
}
