/** Fetch: stored batches as they are, as soon as there are some (KIP-74, 227, 320, 516). */
import { EMPTY_BYTES } from "../../base/bytes.ts";
import type { FetchOneResult } from "../../broker/broker-api.ts";
import type { Requests, ResponseInputs } from "../../kafka-wire/messages.ts";
import type { ErrorCode } from "../../model/errors.ts";
import { NONE } from "../../model/ids.ts";
import { LIMITS } from "../../model/limits.ts";
import { compressionOf } from "../../record/batch.ts";
import type { DoorContext, DoorHandler, DoorHandlers } from "./door-handler.ts";
import { hintedEndpoints } from "./endpoints.ts";
import {
  type FetchSession,
  type FetchTarget,
  moveBehind,
  type SessionPartition,
  updateSession,
} from "./fetch-sessions.ts";
import { errorNumber } from "./wire-errors.ts";

type Request = Requests["Fetch"];
type Response = ResponseInputs["Fetch"];
type TopicResponse = Response["responses"][number];
type PartitionResponse = TopicResponse["partitions"][number];

/** Sessions whose next request carries these begin anew, or end. */
const INITIAL_EPOCH = 0;
const FINAL_EPOCH = -1;
const TOPIC_IDS = 13;
/** Before it no client could have read zstd (KIP-110). */
const KNOWS_ZSTD = 10;
const KNOWS_ENDPOINTS = 16;
const READ_COMMITTED = 1;
/** One fetch takes at most this part of what unread answers may still take. */
const SHARE_OF_UNREAD = 4;

interface Served {
  readonly target: FetchTarget;
  readonly result: FetchOneResult;
}

const fetch: DoorHandler<"Fetch"> = async (request, context) => {
  const { version, door } = context;
  const named = request.topics.flatMap(targetsOf);
  if (request.replicaId >= 0 || (request.replicaState?.replicaId ?? NONE) >= 0) {
    // Only the internal listener replicates: a replica that nobody knows would hold nobody's data.
    const refused = named.map((target) => failure(target, "CLUSTER_AUTHORIZATION_FAILED"));
    return { errorCode: 0, responses: respond(refused, request, version) };
  }
  const opened = openSession(request, named, context);
  if ("refusal" in opened) {
    return { errorCode: errorNumber(opened.refusal), responses: [] };
  }
  const { session } = opened;
  const targets =
    session === undefined ? named : [...session.partitions.values()].map(({ target }) => target);
  const served = await read(targets, request, context);
  if (session !== undefined) {
    const news = newsOf(session, served);
    const responses = respond(news, request, version);
    return { ...answer(responses, news, context), sessionId: session.id };
  }
  const created =
    opened.create && targets.length > 0
      ? door.fetchSessions.create(targets, version >= TOPIC_IDS)
      : undefined;
  if (created !== undefined) newsOf(created, served);
  const responses = respond(served, request, version);
  return { ...answer(responses, served, context), sessionId: created?.id ?? 0 };
};

function targetsOf(topic: Request["topics"][number]): FetchTarget[] {
  return topic.partitions.map((partition) => ({
    topic: topic.topic,
    topicId: topic.topicId,
    partition: partition.partition,
    currentLeaderEpoch: partition.currentLeaderEpoch,
    fetchOffset: partition.fetchOffset,
    lastFetchedEpoch: partition.lastFetchedEpoch,
    partitionMaxBytes: partition.partitionMaxBytes,
  }));
}

/** The session that the request goes on with; or none, and whether one is wanted. */
function openSession(
  request: Request,
  named: readonly FetchTarget[],
  { door: { fetchSessions }, version }: DoorContext,
):
  | { readonly refusal: ErrorCode }
  | { readonly session: FetchSession | undefined; readonly create: boolean } {
  const { sessionId, sessionEpoch } = request;
  if (sessionEpoch === INITIAL_EPOCH || sessionEpoch === FINAL_EPOCH) {
    if (sessionId !== 0) fetchSessions.remove(sessionId);
    return { session: undefined, create: sessionEpoch === INITIAL_EPOCH };
  }
  const session = fetchSessions.find(sessionId);
  if (session === undefined) return { refusal: "FETCH_SESSION_ID_NOT_FOUND" };
  if (session.epoch !== sessionEpoch) return { refusal: "INVALID_FETCH_SESSION_EPOCH" };
  if (session.byId !== version >= TOPIC_IDS) return { refusal: "FETCH_SESSION_TOPIC_ID_ERROR" };
  const forgotten = request.forgottenTopicsData.flatMap(({ topic, topicId, partitions }) =>
    partitions.map((partition) => ({ topic, topicId, partition })),
  );
  updateSession(session, named, forgotten);
  if (session.partitions.size === 0) {
    fetchSessions.remove(session.id);
    return { session: undefined, create: false };
  }
  fetchSessions.advance(session);
  return { session, create: false };
}

async function read(
  targets: readonly FetchTarget[],
  request: Request,
  context: DoorContext,
): Promise<readonly Served[]> {
  const { broker, door, version, connection } = context;
  const { topics } = broker.image();
  const names = targets.map(({ topic, topicId }) =>
    version >= TOPIC_IDS ? topics.get(topicId)?.name : topic,
  );
  const ones = targets.flatMap((target, index) => {
    const topic = names[index];
    if (topic === undefined) return [];
    const { fetchOffset: offset, partitionMaxBytes: maxBytes } = target;
    const { partition, currentLeaderEpoch, lastFetchedEpoch } = target;
    return [{ topic, partition, offset, currentLeaderEpoch, lastFetchedEpoch, maxBytes }];
  });
  const under = broker.fetchOnce(ones, {
    minBytes: request.minBytes,
    maxBytes: Math.min(request.maxBytes, door.config.fetchMaxBytes, shareOfUnread(context)),
    // What is wrong is told at once.
    maxWaitMs: ones.length < targets.length ? 0 : request.maxWaitMs,
  });
  const forget = connection.whenClosed(() => under.cancel());
  const results = await under.done;
  forget();
  let next = 0;
  return targets.map((target, index) => {
    if (names[index] === undefined) return failure(target, "UNKNOWN_TOPIC_ID");
    const result = results[next++] as FetchOneResult;
    return version < KNOWS_ZSTD && hasZstd(result)
      ? failure(target, "UNSUPPORTED_COMPRESSION_TYPE")
      : { target, result };
  });
}

/** Clients that do not read must not leave the others without memory: one batch there always is. */
function shareOfUnread({ door }: DoorContext): number {
  const left = LIMITS.kafkaAnswersBytes - door.unreadBytes();
  return Math.max(1, Math.floor(left / SHARE_OF_UNREAD));
}

function hasZstd({ batches }: FetchOneResult): boolean {
  return batches.some(({ header }) => compressionOf(header) === "zstd");
}

function failure(target: FetchTarget, code: ErrorCode): Served {
  const result = {
    error: { code, message: "" },
    highWatermark: NONE,
    lastStableOffset: NONE,
    logStartOffset: NONE,
    batches: [],
    leader: undefined,
    diverging: undefined,
  };
  return { target, result };
}

/** What the session's client does not know yet; it counts as told from now on. */
function newsOf(session: FetchSession, served: readonly Served[]): readonly Served[] {
  const partitions = [...session.partitions.values()];
  return served.filter(({ result }, index) => {
    const partition = partitions[index] as SessionPartition;
    const { error, highWatermark, logStartOffset, batches, diverging } = result;
    const moved =
      highWatermark !== partition.highWatermark || logStartOffset !== partition.logStartOffset;
    partition.highWatermark = highWatermark;
    partition.logStartOffset = logStartOffset;
    if (batches.length > 0) moveBehind(session, partition);
    return moved || batches.length > 0 || error !== undefined || diverging !== undefined;
  });
}

function respond(served: readonly Served[], request: Request, version: number): TopicResponse[] {
  const committed = request.isolationLevel === READ_COMMITTED;
  const topics: { topic: string; topicId: string; partitions: PartitionResponse[] }[] = [];
  for (const { target, result } of served) {
    const { topic, topicId } = target;
    let last = topics.at(-1);
    const same = version >= TOPIC_IDS ? last?.topicId === topicId : last?.topic === topic;
    if (last === undefined || !same) {
      last = { topic, topicId, partitions: [] };
      topics.push(last);
    }
    last.partitions.push(partitionResponse(target.partition, result, committed));
  }
  return topics;
}

/** Without transactions none was aborted, and the last stable offset is the high watermark. */
function partitionResponse(
  partitionIndex: number,
  result: FetchOneResult,
  committed: boolean,
): PartitionResponse {
  const { error, highWatermark, lastStableOffset, logStartOffset, batches } = result;
  const { leader, diverging } = result;
  return {
    partitionIndex,
    errorCode: errorNumber(error),
    highWatermark,
    lastStableOffset,
    logStartOffset,
    ...(diverging === undefined ? {} : { divergingEpoch: diverging }),
    ...(leader === undefined
      ? {}
      : { currentLeader: { leaderId: leader.brokerId, leaderEpoch: leader.leaderEpoch } }),
    abortedTransactions: committed ? [] : null,
    // Never null: old clients tell no records from none.
    records: batches.length === 0 ? EMPTY_BYTES : batches.map(({ bytes }) => bytes),
  };
}

function answer(
  responses: readonly TopicResponse[],
  served: readonly Served[],
  { broker, version, listenerName }: DoorContext,
): Response {
  const hinted =
    version >= KNOWS_ENDPOINTS && served.some(({ result }) => result.leader !== undefined);
  if (!hinted) return { errorCode: 0, responses };
  const hints = served.map(({ result }) => result.leader);
  const nodeEndpoints = hintedEndpoints(hints, broker.image(), listenerName);
  return { errorCode: 0, responses, nodeEndpoints };
}

export const fetchHandlers = { Fetch: fetch } as const satisfies DoorHandlers;
