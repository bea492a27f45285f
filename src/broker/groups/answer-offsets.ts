/**
 * The leaders' side of a coordinator's question: where their logs end, and the time of the records
 * at given offsets. Of a batch only the header is looked at; the tail cache has the recent ones.
 */
import { timestampWithin } from "../../group/lag.ts";
import { OttlaError, toOttlaError } from "../../model/errors.ts";
import { NONE, type Offset, type PartitionIndex, type TopicId } from "../../model/ids.ts";
import { LIMITS } from "../../model/limits.ts";
import type { PeerChannels, PeerStream } from "../../ports/peer-network.ts";
import type { Ports } from "../../ports/ports.ts";
import type {
  AnsweredPartition,
  AskedPartition,
  OffsetsQuestion,
} from "../../replica/offsets-messages.ts";
import type { LeaderReplica } from "../../runtime/leader-replica.ts";

export type LeaderLookup = (
  topicId: TopicId,
  partition: PartitionIndex,
) => LeaderReplica | undefined;

type AnsweringStream = PeerStream<PeerChannels["offsets"]["down"], PeerChannels["offsets"]["up"]>;

const SLICE_MS = 2;

/** Without those that are not led here. */
export async function answerOffsets(
  ports: Ports,
  lookup: LeaderLookup,
  asked: readonly AskedPartition[],
): Promise<readonly AnsweredPartition[]> {
  const { clock, timers } = ports;
  const answers: AnsweredPartition[] = [];
  let sliceMs = clock.monotonicMs();
  for (const { offsets, partition, topicId } of asked) {
    const leader = lookup(topicId, partition);
    if (leader === undefined) continue;
    const timestamps: number[] = [];
    for (const offset of offsets) {
      timestamps.push(await timestampAt(ports, leader, offset));
      if (clock.monotonicMs() - sliceMs < SLICE_MS) continue;
      await timers.yield();
      sliceMs = clock.monotonicMs();
    }
    const { highWatermark, log } = leader;
    const { logStartOffset } = log;
    answers.push({ topicId, partition, logStartOffset, highWatermark, timestamps });
  }
  return answers;
}

/** Serves one coordinator's stream, one question after the other. */
export function serveOffsets(ports: Ports, stream: AnsweringStream, lookup: LeaderLookup): void {
  let answering: Promise<void> = Promise.resolve();
  let waitingCount = 0;
  let open = true;
  stream.onEnd = () => {
    open = false;
  };
  const answer = async ({ id, partitions }: OffsetsQuestion): Promise<void> => {
    waitingCount--;
    if (open) stream.send({ id, partitions: await answerOffsets(ports, lookup, partitions) });
  };
  stream.onMessage = (question) => {
    waitingCount++;
    if (
      waitingCount > LIMITS.offsetsQuestionsCount ||
      sizeOf(question) > LIMITS.offsetsAskedCount
    ) {
      open = false;
      stream.close();
      return;
    }
    answering = answering
      .then(() => answer(question))
      .catch((error: unknown) => {
        ports.logger.error("a coordinator's question was not answered", { error });
      });
  };
}

/** Partitions and offsets of a question. */
export function sizeOf({ partitions }: Pick<OffsetsQuestion, "partitions">): number {
  let size = partitions.length;
  for (const { offsets } of partitions) size += offsets.length;
  return size;
}

/** -1 where nothing waits, or nobody knows. */
async function timestampAt(
  { logger }: Ports,
  leader: LeaderReplica,
  offset: Offset,
): Promise<number> {
  const { highWatermark, log } = leader;
  const from = Math.max(offset, log.logStartOffset);
  if (from >= highWatermark) return NONE;
  try {
    const [batch] = await log.read(from, { maxBytes: 1, upTo: highWatermark });
    return batch === undefined ? NONE : timestampWithin(batch.header, from);
  } catch (thrown) {
    const error = toOttlaError(thrown);
    if (!(thrown instanceof OttlaError)) throw thrown;
    // The log moved meanwhile, or is offline: no time rather than a wrong one.
    logger.debug("the time of an offset is not known", { code: error.code, offset });
    return NONE;
  }
}
