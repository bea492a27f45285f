/** Looks topics up, and creates missing ones where auto.create.topics.enable allows it. */
import type { ControllerRequests, ItemError, NewTopic } from "../metadata/commands.ts";
import { type MetadataImage, type TopicImage, topicByName } from "../metadata/image.ts";
import { OttlaError, toOttlaError } from "../model/errors.ts";
import type { Ports } from "../ports/ports.ts";
import { itemError } from "./partitions.ts";

export interface TopicsOptions {
  readonly image: () => MetadataImage;
  readonly autoCreate: boolean;
  /** How a topic of the brokers' own is made; undefined: the topic is anybody's. */
  readonly internalTopic: (name: string) => NewTopic | undefined;
  readonly timeoutMs: number;
  readonly createTopics: (
    request: ControllerRequests["create-topics"]["request"],
  ) => Promise<ControllerRequests["create-topics"]["reply"]>;
}

export type FoundTopic = TopicImage | (ItemError & { readonly name: string });

export class Topics {
  readonly #ports: Ports;
  readonly #options: TopicsOptions;
  readonly #creating = new Map<string, Promise<TopicImage>>();
  readonly #waiting = new Set<() => void>();

  constructor(ports: Ports, options: TopicsOptions) {
    this.#ports = ports;
    this.#options = options;
  }

  async find(names: readonly string[], allowAutoCreate: boolean): Promise<readonly FoundTopic[]> {
    return await Promise.all(names.map((name) => this.#find(name, allowAutoCreate)));
  }

  onMetadata(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  async #find(name: string, allowAutoCreate: boolean): Promise<FoundTopic> {
    const found = topicByName(this.#options.image(), name);
    if (found !== undefined) return found;
    if (!allowAutoCreate || !this.#options.autoCreate) {
      return { name, code: "UNKNOWN_TOPIC_OR_PARTITION", message: `topic ${name} is not known` };
    }
    try {
      const replicas = { partitionsCount: -1, replicationFactor: -1, assignment: [] };
      const internal = this.#options.internalTopic(name);
      return await this.ensure(internal ?? { name, ...replicas, configs: {} });
    } catch (thrown) {
      return { name, ...itemError(toOttlaError(thrown)) };
    }
  }

  /**
   * The topic, created if it is missing, whatever `auto.create.topics.enable` says. Rejects as the
   * controller refuses, or with LEADER_NOT_AVAILABLE if it does not become known in time.
   */
  ensure(topic: NewTopic): Promise<TopicImage> {
    const { name } = topic;
    const found = topicByName(this.#options.image(), name);
    if (found !== undefined) return Promise.resolve(found);
    let creating = this.#creating.get(name);
    if (creating === undefined) {
      creating = this.#create(topic).finally(() => this.#creating.delete(name));
      this.#creating.set(name, creating);
    }
    return creating;
  }

  async #create(topic: NewTopic): Promise<TopicImage> {
    const { name } = topic;
    const reply = await this.#options.createTopics({ topics: [topic], validateOnly: false });
    const error = reply.topics[0]?.error ?? null;
    if (error !== null && error.code !== "TOPIC_ALREADY_EXISTS") {
      throw new OttlaError(error.code, error.message);
    }
    return await this.#published(name);
  }

  /** Created by the controller; here it is known once its metadata has arrived. */
  #published(name: string): Promise<TopicImage> {
    return new Promise((resolve, reject) => {
      const { image, timeoutMs } = this.#options;
      const timer = this.#ports.timers.after(timeoutMs, () => {
        this.#waiting.delete(look);
        const message = `topic ${name} was created, but is not known here after ${timeoutMs} ms`;
        reject(new OttlaError("LEADER_NOT_AVAILABLE", message));
      });
      const look = (): void => {
        const topic = topicByName(image(), name);
        if (topic === undefined) return;
        this.#waiting.delete(look);
        timer.cancel();
        resolve(topic);
      };
      this.#waiting.add(look);
      look();
    });
  }
}
