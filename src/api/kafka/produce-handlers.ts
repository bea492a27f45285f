/** Produce and InitProducerId. */
import type { ProduceResult } from "../../broker/broker-api.ts";
import type { Requests, ResponseInputs } from "../../kafka-wire/messages.ts";
import { type ErrorCode, OttlaError } from "../../model/errors.ts";
import { NONE } from "../../model/ids.ts";
import { MAGIC_V2 } from "../../record/batch.ts";
import { Disconnect, type DoorHandler, type DoorHandlers } from "./door-handler.ts";
import { hintedEndpoints } from "./endpoints.ts";
import type { RequestContext } from "./handler.ts";
import { errorNumber } from "./wire-errors.ts";

type Topic = Requests["Produce"]["topicData"][number];
type PartitionData = Topic["partitionData"][number];
type TopicResponse = ResponseInputs["Produce"]["responses"][number];
type PartitionResponse = TopicResponse["partitionResponses"][number];

/** Before it no client could have read zstd (KIP-110). */
const KNOWS_ZSTD = 7;
/** Topics by id instead of by name (KIP-516). */
const TOPIC_IDS = 13;
/** KIP-951 */
const KNOWS_HINTS = 10;
/** How long the leader's own write may take, whatever a client says. */
const OWN_WRITE_MS = 30_000;
const BASE_OFFSET_BYTES = 8;
const MAGIC_AT = 16;
const ATTRIBUTES_LOW_BYTE_AT = 22;
const TRANSACTIONAL = 0x10;
const COMPRESSION_MASK = 7;
const ZSTD = 4;

const produce: DoorHandler<"Produce"> = (request, context) => {
  const { broker, version } = context;
  const acks = request.acks as -1 | 0 | 1;
  if (request.transactionalId !== null) {
    throw new Disconnect("it writes in a transaction, which is not built yet");
  }
  const transactional = request.topicData.some((topic) =>
    topic.partitionData.some(isTransactional),
  );
  const pending: (ProduceResult | Promise<ProduceResult>)[] = [];
  for (const topic of request.topicData) {
    const name = version >= TOPIC_IDS ? nameOf(context, topic) : topic.name;
    for (const data of topic.partitionData) {
      const refused = transactional
        ? "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"
        : refusalOf(name, data, version);
      if (refused !== undefined || name === undefined || data.records === null) {
        pending.push(failure(refused ?? "INVALID_RECORD", "there is no record batch"));
        continue;
      }
      const { index: partition, records: batch } = data;
      // Kafka's timeout is for the other replicas: what the leader alone must do is not cut off.
      const timeoutMs = acks === 1 ? Math.max(request.timeoutMs, OWN_WRITE_MS) : request.timeoutMs;
      pending.push(broker.produce({ topic: name, partition, batch, acks, timeoutMs }));
    }
  }
  return Promise.all(pending).then((results) => {
    if (acks !== 0) return respond(request, results, context);
    const failed = results.find(({ error }) => error !== undefined);
    // Kafka's way to tell a client that hears no answers: it will look who leads now.
    if (failed?.error !== undefined) {
      throw new Disconnect(`a batch sent with acks=0 was refused: ${failed.error.code}`);
    }
    return undefined;
  });
};

/** Such a batch without a transactional id: as in Kafka, nothing of the request is written. */
function isTransactional({ records }: PartitionData): boolean {
  if (records?.[MAGIC_AT] !== MAGIC_V2) return false;
  return ((records[ATTRIBUTES_LOW_BYTE_AT] ?? 0) & TRANSACTIONAL) !== 0;
}

function nameOf({ broker }: RequestContext, { topicId }: Topic): string | undefined {
  return broker.image().topics.get(topicId)?.name;
}

/** What the broker behind the door does not see, or calls otherwise. */
function refusalOf(
  name: string | undefined,
  { records }: PartitionData,
  version: number,
): ErrorCode | undefined {
  if (name === undefined) return "UNKNOWN_TOPIC_ID";
  if (records === null || records.length === 0) return "INVALID_RECORD";
  // Formats 0 and 1; their messages may be shorter than the header of a batch.
  if ((records[MAGIC_AT] ?? MAGIC_V2) < MAGIC_V2) return "INVALID_RECORD";
  if (records.subarray(0, BASE_OFFSET_BYTES).some((byte) => byte !== 0)) return "INVALID_RECORD";
  const compression = (records[ATTRIBUTES_LOW_BYTE_AT] ?? 0) & COMPRESSION_MASK;
  if (version < KNOWS_ZSTD && compression === ZSTD) return "UNSUPPORTED_COMPRESSION_TYPE";
  return undefined;
}

function failure(code: ErrorCode, message: string): ProduceResult {
  const error = { code, message };
  const [baseOffset, logAppendTimeMs, logStartOffset] = [NONE, NONE, NONE];
  return { error, baseOffset, logAppendTimeMs, logStartOffset, leader: undefined };
}

function respond(
  request: Requests["Produce"],
  results: readonly ProduceResult[],
  { broker, version, listenerName }: RequestContext,
): ResponseInputs["Produce"] {
  let next = 0;
  // As in Kafka, a topic without partitions has no answer.
  const asked = request.topicData.filter(({ partitionData }) => partitionData.length > 0);
  const responses = asked.map(({ name, topicId, partitionData }): TopicResponse => {
    const partitionResponses = partitionData.map(({ index }) =>
      partitionResponse(index, results[next++] as ProduceResult),
    );
    return { name, topicId, partitionResponses };
  });
  const moved = version >= KNOWS_HINTS && results.some(({ leader }) => leader !== undefined);
  if (!moved) return { responses };
  const hints = results.map(({ leader }) => leader);
  const nodes = hintedEndpoints(hints, broker.image(), listenerName);
  return { responses, nodeEndpoints: nodes };
}

function partitionResponse(index: number, result: ProduceResult): PartitionResponse {
  const { error, baseOffset, logAppendTimeMs, logStartOffset, leader } = result;
  if (error === undefined) {
    return { index, errorCode: 0, baseOffset, logAppendTimeMs, logStartOffset, recordErrors: [] };
  }
  return {
    index,
    errorCode: errorNumber(wireCode(error.code)),
    baseOffset,
    logAppendTimeMs,
    logStartOffset,
    recordErrors: [],
    errorMessage: error.message,
    ...(leader === undefined
      ? {}
      : { currentLeader: { leaderId: leader.brokerId, leaderEpoch: leader.leaderEpoch } }),
  };
}

/** What Kafka calls otherwise in an answer to Produce. */
function wireCode(code: ErrorCode): ErrorCode {
  switch (code) {
    // A batch of magic 0 or 1 (LogValidator).
    case "UNSUPPORTED_FOR_MESSAGE_FORMAT":
      return "INVALID_RECORD";
    // librdkafka gives the batch up at this one; the disk that does not keep up makes it try again.
    case "THROTTLING_QUOTA_EXCEEDED":
      return "KAFKA_STORAGE_ERROR";
    default:
      return code;
  }
}

/** Its id or its epoch alone says nothing of a producer. */
function isHalf({ producerId, producerEpoch }: Requests["InitProducerId"]): boolean {
  return (producerId === NONE) !== (producerEpoch === NONE);
}

/** With a transactional id it is for transactions; without, the id that is given does not matter. */
const initProducerId: DoorHandler<"InitProducerId"> = async (request, { broker }) => {
  const { transactionalId } = request;
  if (isHalf(request)) return { errorCode: errorNumber("INVALID_REQUEST"), producerEpoch: NONE };
  if (transactionalId !== null) {
    const errorCode = errorNumber(
      transactionalId === "" ? "INVALID_REQUEST" : "UNSUPPORTED_VERSION",
    );
    return { errorCode, producerEpoch: NONE };
  }
  try {
    return { errorCode: 0, ...(await broker.initProducerId()) };
  } catch (thrown) {
    if (!(thrown instanceof OttlaError)) throw thrown;
    return { errorCode: errorNumber(thrown.code), producerEpoch: NONE };
  }
};

export const produceHandlers = {
  Produce: produce,
  InitProducerId: initProducerId,
} as const satisfies DoorHandlers;
