/** A cluster that is asked: Ottla or Kafka, over bare connections. Writes down what was answered. */
import { concatBytes } from "../../src/base/bytes.ts";
import { APIS, type ApiName } from "../../src/kafka-wire/api-keys.ts";
import type { RequestInputs, Responses } from "../../src/kafka-wire/messages.ts";
import { ZERO_UUID } from "../../src/kafka-wire/reader.ts";
import { eventually } from "../support/eventually.ts";
import { RawKafkaClient } from "../support/raw-kafka-client.ts";
import { type Names, normalise, type Shape } from "./normalise.ts";

export interface Observation {
  readonly api: ApiName;
  readonly version: number;
  /** What was asked, in words; with API and version, unique. */
  readonly label: string;
  readonly outcome: Shape;
}

export const CLOSED = "the connection is closed";
export const SILENT = "no answer";
/** Both clusters have brokers of these ids; partition `p` of a topic made here has its own order. */
export const BROKER_IDS = [1, 2, 3] as const;
const WITHIN_MS = 60_000;
const CORRELATION_ID_BYTES = 4;
const SHORT_BYTES = 16;

export class Target {
  readonly observations: Observation[] = [];
  readonly #token: string;
  readonly #ids = new Map<string, string>();
  readonly #baseTimestamp: number;
  readonly #bootstrap: string;
  readonly #addresses = new Map<number, string>();
  readonly #clients = new Map<number, RawKafkaClient>();

  private constructor(
    bootstrap: string,
    options: { readonly token: string; readonly baseTimestamp: number },
  ) {
    this.#bootstrap = bootstrap;
    this.#token = options.token;
    this.#baseTimestamp = options.baseTimestamp;
  }

  /** Waits until the three brokers are there. */
  static async connect(
    bootstrap: string,
    options: { readonly token: string; readonly baseTimestamp: number },
  ): Promise<Target> {
    const target = new Target(bootstrap, options);
    const first = clientOf(bootstrap);
    await eventually(
      "three brokers",
      async () => {
        const { brokers } = await first.ask("Metadata", 9, metadataOf([]));
        for (const { nodeId, host, port } of brokers) {
          target.#addresses.set(nodeId, `${host}:${port}`);
        }
        return BROKER_IDS.every((id) => target.#addresses.has(id));
      },
      WITHIN_MS,
    );
    first.close();
    return target;
  }

  get #names(): Names {
    return { token: this.#token, ids: this.#ids, baseTimestamp: this.#baseTimestamp };
  }

  get baseTimestamp(): number {
    return this.#baseTimestamp;
  }

  /** A name of this run alone, told without its token. */
  name(plain: string): string {
    return `${plain}${this.#token}`;
  }

  /** From now on the id is told as `<label>`. */
  know(id: string, label: string): string {
    if (id !== "" && id !== ZERO_UUID) this.#ids.set(id, label);
    return id;
  }

  /** Asks without writing down. */
  ask<Name extends ApiName>(
    broker: number,
    api: Name,
    version: number,
    body: RequestInputs[Name],
  ): Promise<Responses[Name]> {
    return this.#client(broker).ask(api, version, body);
  }

  /** Asks and writes down; undefined if the connection was closed instead of an answer. */
  async observe<Name extends ApiName>(
    label: string,
    broker: number,
    api: Name,
    version: number,
    body: RequestInputs[Name],
  ): Promise<Responses[Name] | undefined> {
    let answer: Responses[Name] | undefined;
    let outcome: Shape = CLOSED;
    try {
      answer = await this.#client(broker).ask(api, version, body);
    } catch (thrown) {
      if (isLate(thrown)) {
        outcome = SILENT;
        process.stdout.write(`no answer: ${api} ${version}, ${label}\n`);
        this.#client(broker).close();
        this.#clients.delete(broker);
      } else if (!isClosed(thrown))
        throw new Error(`${api} ${version}, ${label}`, { cause: thrown });
    }
    if (answer !== undefined) outcome = normalise(api, answer, this.#names);
    this.#write({ api, version, label, outcome });
    return answer;
  }

  /** Sends what must not be answered, and another request behind it: which of them is? */
  async observeSilence<Name extends ApiName>(
    label: string,
    broker: number,
    api: Name,
    version: number,
    body: RequestInputs[Name],
  ): Promise<void> {
    const client = this.#client(broker);
    let outcome: Shape = CLOSED;
    try {
      client.send(api, version, body);
      const probe = client.send("ApiVersions", 0, {
        clientSoftwareName: "",
        clientSoftwareVersion: "",
      });
      const frame = await client.nextAnswer();
      const isProbe = new DataView(frame.buffer, frame.byteOffset).getInt32(0) === probe;
      outcome = isProbe ? SILENT : "an answer";
      if (!isProbe) await client.nextAnswer();
    } catch (thrown) {
      if (!isClosed(thrown)) throw thrown;
    }
    this.#write({ api, version, label, outcome });
  }

  /** Sends a frame as it is, and writes down the answer's bytes behind the correlation id. */
  async observeFrame(
    label: string,
    api: ApiName,
    version: number,
    body: Uint8Array,
  ): Promise<void> {
    const client = clientOf(this.#addresses.get(1) ?? this.#bootstrap);
    const head = Buffer.alloc(14);
    head.writeInt32BE(10 + body.length, 0);
    head.writeInt16BE(APIS[api].key, 4);
    head.writeInt16BE(version, 6);
    head.writeInt32BE(1, 8);
    // A client id that is null.
    head.writeInt16BE(-1, 12);
    client.socket.write(concatBytes([head, body]));
    let outcome: Shape = CLOSED;
    try {
      const frame = await client.nextAnswer();
      const told = frame.subarray(CORRELATION_ID_BYTES);
      // Addresses of brokers stand in the longer ones.
      outcome =
        told.length > SHORT_BYTES ? "an answer" : `bytes ${Buffer.from(told).toString("hex")}`;
    } catch (thrown) {
      if (!isClosed(thrown)) throw thrown;
    }
    client.close();
    this.#write({ api, version, label, outcome });
  }

  /**
   * Makes a topic of three replicas whose partition 0 is led by broker 1, 1 by 2 and so on, and
   * waits until every broker knows it and its leaders lead. Returns its id.
   */
  async topic(
    plain: string,
    options: { readonly partitions?: number; readonly configs?: Record<string, string> } = {},
  ): Promise<string> {
    const name = this.name(plain);
    const { partitions = 1, configs = {} } = options;
    const { topics } = await this.ask(1, "CreateTopics", 7, {
      topics: [
        {
          name,
          numPartitions: -1,
          replicationFactor: -1,
          assignments: assignmentsOf(partitions),
          configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
        },
      ],
      timeoutMs: WITHIN_MS,
    });
    const [created] = topics;
    if (created?.errorCode !== 0) {
      throw new Error(`${name} was not created: ${created?.errorCode} ${created?.errorMessage}`);
    }
    await this.settled(name, partitions);
    return this.know(created.topicId, `id of ${plain}`);
  }

  /** Waits until every broker tells `partitions` partitions, and their leaders answer. */
  async settled(name: string, partitions: number): Promise<void> {
    await eventually(
      `${name} is known`,
      async () => {
        for (const id of BROKER_IDS) {
          const { topics } = await this.ask(id, "Metadata", 9, metadataOf([name]));
          const known = topics[0]?.partitions ?? [];
          if (known.length !== partitions) return false;
          if (known.some(({ errorCode, isrNodes }) => errorCode !== 0 || isrNodes.length < 3))
            return false;
          const led = known.filter(({ leaderId }) => leaderId === id);
          const answered = await this.ask(id, "ListOffsets", 5, {
            replicaId: -1,
            isolationLevel: 0,
            timeoutMs: 0,
            topics: [
              {
                name,
                partitions: led.map(({ partitionIndex }) => ({ partitionIndex, timestamp: -2 })),
              },
            ],
          });
          const offsets = answered.topics.flatMap((topic) => topic.partitions);
          if (offsets.some(({ errorCode }) => errorCode !== 0)) return false;
        }
        return true;
      },
      WITHIN_MS,
    );
  }

  /** The broker that keeps the group, once it says that it does. */
  async coordinatorOf(group: string): Promise<number> {
    let coordinator = -1;
    await eventually(
      `a coordinator of ${group}`,
      async () => {
        const found = await this.ask(1, "FindCoordinator", 3, {
          key: group,
          keyType: 0,
          coordinatorKeys: [],
        });
        if (found.errorCode !== 0) return false;
        coordinator = found.nodeId;
        const { groups } = await this.ask(coordinator, "DescribeGroups", 4, {
          groups: [group],
          includeAuthorizedOperations: false,
        });
        return groups[0]?.errorCode === 0;
      },
      WITHIN_MS,
    );
    return coordinator;
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
  }

  #write(observation: Observation): void {
    this.observations.push(observation);
  }

  #client(broker: number): RawKafkaClient {
    const known = this.#clients.get(broker);
    if (known?.isOpen) return known;
    const address = this.#addresses.get(broker);
    if (address === undefined) throw new Error(`there is no broker ${broker}`);
    const client = clientOf(address);
    this.#clients.set(broker, client);
    return client;
  }
}

/** Replicas of `count` partitions, led by the brokers in turn. */
export function assignmentsOf(
  count: number,
): { readonly partitionIndex: number; readonly brokerIds: number[] }[] {
  return Array.from({ length: count }, (_, partitionIndex) => ({
    partitionIndex,
    brokerIds: BROKER_IDS.map((_, index) => BROKER_IDS[(partitionIndex + index) % 3] as number),
  }));
}

export function metadataOf(names: readonly string[] | null): RequestInputs["Metadata"] {
  return {
    topics: names === null ? null : names.map((name) => ({ name, topicId: ZERO_UUID })),
    allowAutoTopicCreation: false,
    includeClusterAuthorizedOperations: false,
    includeTopicAuthorizedOperations: false,
  };
}

/** Lowest, middle and highest version that there is a codec for. */
export function versionsOf(api: ApiName): readonly number[] {
  const { lowest, highest } = APIS[api];
  return [...new Set([lowest, Math.floor((lowest + highest) / 2), highest])];
}

function clientOf(address: string): RawKafkaClient {
  const colon = address.lastIndexOf(":");
  return new RawKafkaClient(Number(address.slice(colon + 1)), address.slice(0, colon));
}

function isLate(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.message.startsWith("no answer for");
}

function isClosed(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.message === "the broker ended the connection";
}
