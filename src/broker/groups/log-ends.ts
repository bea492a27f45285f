/**
 * Where the logs end that groups consume, and since when records at their offsets have been
 * waiting, as this coordinator last heard from the leaders. They are asked when somebody wants to
 * know, not at a period: a broker whose metrics nobody reads asks nothing. One message for many
 * partitions of one leader; a leader that does not answer leaves what was known before.
 */
import type { MetadataImage } from "../../metadata/image.ts";
import {
  type BrokerId,
  NONE,
  type Offset,
  type PartitionIndex,
  partitionKey,
  type TopicId,
} from "../../model/ids.ts";
import { LIMITS } from "../../model/limits.ts";
import type { PeerAddress } from "../../ports/peer-network.ts";
import type { Ports } from "../../ports/ports.ts";
import type { AnsweredPartition, AskedPartition } from "../../replica/offsets-messages.ts";
import { answerOffsets, type LeaderLookup, sizeOf } from "./answer-offsets.ts";

export interface LogEndsOptions {
  readonly self: BrokerId;
  readonly image: () => MetadataImage;
  readonly interBrokerListenerName: string;
  readonly leaderHere: LeaderLookup;
}

export interface WantedPartition {
  readonly topicId: TopicId;
  readonly partition: PartitionIndex;
  /** Committed ones. */
  readonly offsets: ReadonlySet<Offset>;
}

interface KnownPartition {
  readonly highWatermark: Offset;
  /** By offset; they do not change. */
  readonly timestamps: ReadonlyMap<Offset, number>;
}

/** Whoever waits for metrics waits no longer for a leader that is frozen. */
const DEADLINE_MS = 1_000;
/** Of one partition in one message, which has the partition too. */
const OFFSETS_COUNT = LIMITS.offsetsAskedCount - 1;
export class LogEnds {
  readonly #ports: Ports;
  readonly #options: LogEndsOptions;
  #known = new Map<string, KnownPartition>();

  constructor(ports: Ports, options: LogEndsOptions) {
    this.#ports = ports;
    this.#options = options;
  }

  /** High watermark; undefined until the leader has answered once. */
  highWatermark(topicId: TopicId, partition: PartitionIndex): Offset | undefined {
    return this.#known.get(partitionKey(topicId, partition))?.highWatermark;
  }

  /** Of the record at the offset, ms since 1970. */
  timestamp(topicId: TopicId, partition: PartitionIndex, offset: Offset): number | undefined {
    return this.#known.get(partitionKey(topicId, partition))?.timestamps.get(offset);
  }

  /** Asks for all that is wanted and forgets the rest. Settles within a second or so. */
  async refresh(wanted: readonly WantedPartition[]): Promise<void> {
    const before = this.#known;
    this.#known = new Map();
    const byLeader = new Map<BrokerId, AskedPartition[]>();
    const { topics } = this.#options.image();
    for (const { offsets, partition, topicId } of wanted) {
      const key = partitionKey(topicId, partition);
      const known = before.get(key);
      const timestamps = new Map<Offset, number>();
      const unknown: Offset[] = [];
      for (const offset of offsets) {
        const timestamp = known?.timestamps.get(offset);
        if (timestamp === undefined) unknown.push(offset);
        else timestamps.set(offset, timestamp);
      }
      if (known !== undefined) {
        this.#known.set(key, { highWatermark: known.highWatermark, timestamps });
      }
      const leader = topics.get(topicId)?.partitions[partition]?.leader ?? NONE;
      if (leader === NONE) continue;
      const asked = byLeader.get(leader) ?? [];
      asked.push({ topicId, partition, offsets: unknown });
      byLeader.set(leader, asked);
    }
    await Promise.all([...byLeader].map(([leader, asked]) => this.#ask(leader, asked)));
  }

  async #ask(leader: BrokerId, asked: readonly AskedPartition[]): Promise<void> {
    const { image, interBrokerListenerName, leaderHere, self } = this.#options;
    if (leader === self) {
      this.#take(asked, await answerOffsets(this.#ports, leaderHere, asked));
      return;
    }
    const address = image()
      .brokers.get(leader)
      ?.endpoints.find(({ name }) => name === interBrokerListenerName);
    if (address !== undefined) await this.#askAt(address, asked);
  }

  /** Never rejects: a broken stream is an answer that did not come. */
  #askAt(address: PeerAddress, asked: readonly AskedPartition[]): Promise<void> {
    const { network, timers } = this.#ports;
    const questions = inMessages(asked);
    return new Promise((resolve) => {
      const { host, port } = address;
      const stream = network.open({ host, port }, "offsets");
      let leftCount = questions.length;
      const done = (): void => {
        timer.cancel();
        stream.close();
        resolve();
      };
      const timer = timers.after(DEADLINE_MS, done);
      stream.onEnd = done;
      stream.onMessage = ({ id, partitions }) => {
        const question = questions[id];
        if (question === undefined) return;
        this.#take(question, partitions);
        leftCount--;
        if (leftCount === 0) done();
      };
      for (const [id, partitions] of questions.entries()) stream.send({ id, partitions });
    });
  }

  #take(asked: readonly AskedPartition[], answered: readonly AnsweredPartition[]): void {
    const offsetsOf = new Map(
      asked.map(({ offsets, partition, topicId }) => [partitionKey(topicId, partition), offsets]),
    );
    for (const { highWatermark, partition, timestamps: given, topicId } of answered) {
      const key = partitionKey(topicId, partition);
      const timestamps = new Map(this.#known.get(key)?.timestamps);
      offsetsOf.get(key)?.forEach((offset, index) => {
        const timestamp = given[index] ?? NONE;
        if (timestamp !== NONE) timestamps.set(offset, timestamp);
      });
      this.#known.set(key, { highWatermark, timestamps });
    }
  }
}

/** A partition with more offsets than a message takes comes in several. */
function inMessages(asked: readonly AskedPartition[]): readonly (readonly AskedPartition[])[] {
  const messages: AskedPartition[][] = [];
  let last: AskedPartition[] = [];
  let size = 0;
  for (const { offsets, ...name } of asked) {
    for (let at = 0; at === 0 || at < offsets.length; at += OFFSETS_COUNT) {
      const some = { ...name, offsets: offsets.slice(at, at + OFFSETS_COUNT) };
      const items = sizeOf({ partitions: [some] });
      if (last.length === 0 || size + items > LIMITS.offsetsAskedCount) {
        last = [];
        size = 0;
        messages.push(last);
      }
      last.push(some);
      size += items;
    }
  }
  return messages;
}
