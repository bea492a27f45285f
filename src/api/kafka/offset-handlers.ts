/** ListOffsets and OffsetForLeaderEpoch: questions about logs. */
import type { ListOffsetOne } from "../../broker/broker-api.ts";
import type { ResponseInputs } from "../../kafka-wire/messages.ts";
import { topicByName } from "../../metadata/image.ts";
import { NONE } from "../../model/ids.ts";
import { duplicatesOf } from "./admin-requests.ts";
import type { DoorHandler, DoorHandlers } from "./door-handler.ts";
import { errorNumber } from "./wire-errors.ts";

type OffsetResponse = ResponseInputs["ListOffsets"]["topics"][number]["partitions"][number];

const EARLIEST = -2;
const MAX_TIMESTAMP = -3;
const EARLIEST_LOCAL = -4;
const LATEST_TIERED = -5;
const EARLIEST_PENDING_UPLOAD = -6;
/** In which version each special timestamp came. */
const SINCE: ReadonlyMap<number, number> = new Map([
  [MAX_TIMESTAMP, 7],
  [EARLIEST_LOCAL, 8],
  [LATEST_TIERED, 9],
  [EARLIEST_PENDING_UPLOAD, 11],
]);

const listOffsets: DoorHandler<"ListOffsets"> = async ({ topics }, { broker, version }) => {
  const asked: ListOffsetOne[] = [];
  // What is answered here, else undefined: the next of the broker's results.
  const rows = topics.flatMap(({ name, partitions }) => {
    if (partitions.length === 0) return [];
    const twice = duplicatesOf(partitions.map(({ partitionIndex }) => partitionIndex));
    const once = new Map(partitions.map((one) => [one.partitionIndex, one]));
    const answers = [...once.values()].map((partition): OffsetResponse | number => {
      const { partitionIndex, timestamp, currentLeaderEpoch } = partition;
      // Kafka refuses both, and answers once.
      if (twice.has(partitionIndex)) {
        return { partitionIndex, errorCode: errorNumber("INVALID_REQUEST") };
      }
      const since = SINCE.get(timestamp) ?? 0;
      if (timestamp < EARLIEST_PENDING_UPLOAD || version < since) {
        return { partitionIndex, errorCode: errorNumber("UNSUPPORTED_VERSION") };
      }
      const local = timestamp === EARLIEST_LOCAL ? EARLIEST : timestamp;
      // Nothing lies in tiers: nothing was moved there, and nothing waits for it.
      if (local < MAX_TIMESTAMP) return { partitionIndex, errorCode: 0 };
      const one = { topic: name, partition: partitionIndex, timestamp: local, currentLeaderEpoch };
      asked.push(one);
      return partitionIndex;
    });
    return [{ name, partitions: answers }];
  });
  const results = await broker.listOffsets(asked);
  let next = 0;
  return {
    topics: rows.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map((partition): OffsetResponse => {
        if (typeof partition !== "number") return partition;
        const result = results[next++];
        if (result === undefined) {
          return { partitionIndex: partition, errorCode: errorNumber("UNKNOWN_SERVER_ERROR") };
        }
        const { error, timestamp, offset, leaderEpoch } = result;
        const partitionIndex = partition;
        return { partitionIndex, errorCode: errorNumber(error), timestamp, offset, leaderEpoch };
      }),
    })),
  };
};

const offsetForLeaderEpoch: DoorHandler<"OffsetForLeaderEpoch"> = (
  { topics, replicaId },
  { broker },
) => {
  if (replicaId >= 0) {
    const errorCode = errorNumber("CLUSTER_AUTHORIZATION_FAILED");
    return {
      topics: topics.map(({ topic, partitions }) => ({
        topic,
        partitions: partitions.map(({ partition }) => ({ errorCode, partition })),
      })),
    };
  }
  return {
    topics: topics.map(({ topic, partitions }) => {
      const image = topicByName(broker.image(), topic);
      const results = broker.leaderEpochEnds(partitions.map((one) => ({ topic, ...one })));
      return {
        topic,
        partitions: partitions.map(({ partition, leaderEpoch }, index) => {
          const result = results[index];
          const current = image?.partitions[partition]?.leaderEpoch ?? leaderEpoch;
          // Of an epoch that is to come Kafka knows no end.
          if (result?.error === undefined && leaderEpoch > current) {
            return { errorCode: 0, partition, leaderEpoch: NONE, endOffset: NONE };
          }
          return {
            errorCode: errorNumber(result?.error),
            partition,
            leaderEpoch: result?.leaderEpoch ?? NONE,
            endOffset: result?.endOffset ?? NONE,
          };
        }),
      };
    }),
  };
};

export const offsetHandlers = {
  ListOffsets: listOffsets,
  OffsetForLeaderEpoch: offsetForLeaderEpoch,
} as const satisfies DoorHandlers;
