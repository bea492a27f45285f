/**
 * A controller's decisions without a controller: each is applied at once. What every record leaves
 * behind is checked, because the log may end after any of them.
 */
import type { RegisterBroker } from "../../src/metadata/commands.ts";
import type { DecideContext, Decision } from "../../src/metadata/decide/decision.ts";
import { decideFoundCluster } from "../../src/metadata/decide/found-cluster.ts";
import { decideRegisterBroker } from "../../src/metadata/decide/register-broker.ts";
import { decideUnfenceBroker } from "../../src/metadata/decide/unfence-broker.ts";
import { MetadataDelta } from "../../src/metadata/delta.ts";
import {
  EMPTY_IMAGE,
  type MetadataImage,
  type TopicImage,
  topicByName,
} from "../../src/metadata/image.ts";
import { minIsrOf } from "../../src/metadata/image-configs.ts";
import { checkImage, checkStep } from "../../src/metadata/invariants.ts";
import type { MetadataRecord, PartitionState } from "../../src/metadata/records.ts";
import { type BrokerId, NONE, partitionKey, type TopicPartition } from "../../src/model/ids.ts";

/**
 * What the decisions are for: who has every record that was ever committed. While an ISR is large
 * enough its leader commits all the time, so that whoever is not in it lacks something at once.
 */
class CommittedRecords {
  readonly #holders = new Map<string, ReadonlySet<BrokerId>>();
  /** Topics that once were in the relaxed profile: a crash may take what they acknowledged. */
  readonly #relaxed = new Set<string>();

  lose(id: BrokerId, { topicId, partition }: TopicPartition): void {
    const key = partitionKey(topicId, partition);
    const left = [...(this.#holders.get(key) ?? [])].filter((holder) => holder !== id);
    this.#holders.set(key, new Set(left));
  }

  checkAll(image: MetadataImage): void {
    for (const topic of image.topics.values()) {
      topic.partitions.forEach((state, partition) => {
        const holders = this.#holders.get(partitionKey(topic.id, partition)) ?? new Set();
        if (!this.#relaxed.has(topic.name)) expectHeld(topic, partition, state, holders);
      });
    }
  }

  check(before: MetadataImage, record: MetadataRecord, after: MetadataImage): void {
    if (record.type === "config" && record.key === "flush.messages" && record.value !== "1") {
      this.#relaxed.add(record.name);
    }
    for (const topic of after.topics.values()) {
      topic.partitions.forEach((state, partition) => {
        const key = partitionKey(topic.id, partition);
        const old = before.topics.get(topic.id)?.partitions[partition];
        const unclean =
          record.type === "partition-change" &&
          record.unclean === true &&
          old?.partitionEpoch !== state.partitionEpoch;
        let holders = this.#holders.get(key);
        if (holders === undefined || unclean || this.#relaxed.has(topic.name)) {
          holders = new Set([...state.isr, ...state.elr]);
        }
        const joined = old?.leader === state.leader ? state.isr : [];
        holders = new Set([...holders, ...joined]);
        // What this record did not touch may have its own record yet to come in the same decision.
        if (old !== state || record.type === "config") expectHeld(topic, partition, state, holders);
        const commits = state.isr.length >= minIsrOf(after, topic.name, state.replicas.length);
        this.#holders.set(key, commits ? new Set(state.isr) : holders);
      });
    }
  }
}

/** No partition waits for a leader while a broker that may be it is alive. */
function expectLeaders(image: MetadataImage): void {
  for (const { name, partitions } of image.topics.values()) {
    for (const { leader, elr } of partitions) {
      const able = elr.find((id) => image.brokers.get(id)?.fenced === false);
      if (leader === NONE && able !== undefined) throw new Error(`${name}: ${able} could lead`);
    }
  }
}

function expectNone(violations: readonly string[]): void {
  if (violations.length > 0) throw new Error(violations.join("\n"));
}

function expectHeld(
  topic: TopicImage,
  partition: number,
  { isr, elr }: PartitionState,
  holders: ReadonlySet<BrokerId>,
): void {
  for (const id of [...isr, ...elr]) {
    if (holders.has(id)) continue;
    throw new Error(`${topic.name}-${partition}: broker ${id} lacks committed records`);
  }
}

export class MetadataCluster {
  readonly #committed = new CommittedRecords();
  image: MetadataImage = EMPTY_IMAGE;
  /** The whole log. */
  readonly records: MetadataRecord[] = [];
  readonly properties: ReadonlyMap<string, string>;
  #livesCount = 0;
  #topicsCount = 0;

  constructor(properties: Readonly<Record<string, string>> = {}) {
    this.properties = new Map(Object.entries(properties));
    this.apply(decideFoundCluster("cluster", this.properties));
  }

  get context(): DecideContext {
    const first = this.#topicsCount;
    this.#topicsCount += 10;
    return {
      properties: this.properties,
      votersCount: 1,
      seed: this.image.index,
      topicIds: Array.from({ length: 10 }, (_, index) => `topic-id-${first + index}`),
    };
  }

  apply(records: readonly MetadataRecord[]): void {
    records.forEach((record, index) => {
      const delta = new MetadataDelta(this.image);
      delta.replay(record);
      const next = delta.apply(this.image.index + 1, 1);
      expectNone(checkStep(this.image, next));
      this.#committed.check(this.image, record, next);
      this.image = next;
      this.records.push(record);
      const follower = records[index + 1];
      // A topic and its partitions always lie in one entry.
      const open = follower?.type === "partition" || follower?.type === "config";
      if (!open) expectNone(checkImage(this.image));
    });
    this.#committed.checkAll(this.image);
    expectLeaders(this.image);
  }

  run<Reply>(decide: (image: MetadataImage, context: DecideContext) => Decision<Reply>): Reply {
    const { records, reply } = decide(this.image, this.context);
    this.apply(records);
    return reply;
  }

  register(id: BrokerId, overrides: Partial<RegisterBroker> = {}): void {
    const request: RegisterBroker = {
      brokerId: id,
      incarnationId: `life-${++this.#livesCount}`,
      clusterId: "cluster",
      endpoints: [{ name: "INTERNAL", host: "host", port: 9392 }],
      rack: null,
      directories: [`directory-${id}`],
      features: [1, 1],
      cleanShutdownEpoch: -1,
      lostReplicas: [],
      ...overrides,
    };
    for (const lost of request.lostReplicas) this.#committed.lose(id, lost);
    this.run((image, context) =>
      decideRegisterBroker(image, request, { ...context, liveIncarnation: undefined }),
    );
  }

  unfence(id: BrokerId): void {
    this.apply(decideUnfenceBroker(this.image, id, this.properties));
  }

  start(...ids: readonly BrokerId[]): void {
    for (const id of ids) {
      this.register(id);
      this.unfence(id);
    }
  }

  partition(topic: string, partition: number): PartitionState {
    const state = topicByName(this.image, topic)?.partitions[partition];
    if (state === undefined) throw new Error(`no partition ${topic}-${partition}`);
    return state;
  }
}
