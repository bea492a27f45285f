/** Questions about a log's offsets, and its deletion from the front: answered by the leader. */
import { OttlaError, toOttlaError } from "../model/errors.ts";
import { type LeaderEpoch, NONE, type Offset } from "../model/ids.ts";
import type { Ports } from "../ports/ports.ts";
import type { LeaderReplica } from "../runtime/leader-replica.ts";
import type { TimestampedOffset } from "../storage/log.ts";
import type {
  DeleteRecordsOne,
  DeleteRecordsResult,
  LeaderEpochOne,
  LeaderEpochResult,
  ListOffsetOne,
  ListOffsetResult,
} from "./broker-api.ts";
import { epochRefusal, itemError, type Partitions } from "./partitions.ts";

/** Kafka's special timestamps. */
const LATEST = -1;
const EARLIEST = -2;
const MAX_TIMESTAMP = -3;
/** What a timer can hold. */
const TIMEOUT_LONGEST_MS = 0x7fff_ffff;

export async function listOffset(
  partitions: Partitions,
  item: ListOffsetOne,
): Promise<ListOffsetResult> {
  const { topic, partition, timestamp } = item;
  try {
    const leader = partitions.require(topic, partition);
    checkEpoch(leader, item.currentLeaderEpoch ?? NONE);
    const found = await lookUp(leader, timestamp);
    return { topic, partition, ...found, error: undefined, leader: undefined };
  } catch (thrown) {
    return {
      topic,
      partition,
      timestamp: NONE,
      error: itemError(toOttlaError(thrown)),
      offset: NONE,
      leaderEpoch: NONE,
      leader: partitions.hint(topic, partition),
    };
  }
}

export function leaderEpochEnd(partitions: Partitions, item: LeaderEpochOne): LeaderEpochResult {
  try {
    const leader = partitions.require(item.topic, item.partition);
    checkEpoch(leader, item.currentLeaderEpoch);
    const { log } = leader;
    const { epoch, endOffset } = log.epochs.endOf(item.leaderEpoch, log.logEndOffset);
    if (epoch < 0) return { error: undefined, leaderEpoch: NONE, endOffset: NONE };
    return { error: undefined, leaderEpoch: epoch, endOffset };
  } catch (thrown) {
    const error = itemError(toOttlaError(thrown));
    return { error, leaderEpoch: NONE, endOffset: NONE };
  }
}

function checkEpoch(leader: LeaderReplica, known: LeaderEpoch): void {
  const stale = epochRefusal(known, leader);
  if (stale !== undefined) throw new OttlaError(stale.code, stale.message);
}

async function lookUp(leader: LeaderReplica, timestamp: number): Promise<TimestampedOffset> {
  const { log } = leader;
  switch (timestamp) {
    case EARLIEST:
      return {
        offset: log.logStartOffset,
        timestamp: NONE,
        leaderEpoch: log.epochs.epochAt(log.logStartOffset),
      };
    case LATEST:
      checkSettled(leader);
      return {
        offset: leader.highWatermark,
        timestamp: NONE,
        leaderEpoch: leader.leaderEpoch,
      };
    default: {
      if (timestamp < MAX_TIMESTAMP || !Number.isSafeInteger(timestamp)) {
        throw new OttlaError(
          "INVALID_REQUEST",
          `timestamp ${timestamp}: allowed are -3, -2, -1 and milliseconds since 1970`,
          { field: "timestamp" },
        );
      }
      const { highWatermark } = leader;
      const found =
        timestamp === MAX_TIMESTAMP
          ? await log.offsetOfMaxTimestamp(highWatermark)
          : await log.offsetForTimestamp(timestamp, highWatermark);
      // The largest is only known once all is; an offset that was found stays the first.
      if (found === undefined || timestamp === MAX_TIMESTAMP) checkSettled(leader);
      return found ?? { offset: NONE, timestamp: NONE, leaderEpoch: NONE };
    }
  }
}

/** A new leader's high watermark may lag what the last one served: no answer is better than less. */
function checkSettled(leader: LeaderReplica): void {
  if (leader.settled) return;
  const { topic, partition } = leader.name;
  throw new OttlaError(
    "OFFSET_NOT_AVAILABLE",
    `the high watermark of ${topic}-${partition} is catching up after an election`,
  );
}

/**
 * Raises the log start of the leader; followers take it over from their streams. Settles once every
 * replica in sync has it (Kafka's DeleteRecords).
 */
export async function deleteRecordsOf(
  ports: Ports,
  partitions: Partitions,
  item: DeleteRecordsOne,
  timeoutMs: number,
): Promise<DeleteRecordsResult> {
  const { topic, partition } = item;
  try {
    const leader = partitions.require(topic, partition);
    const before: Offset = item.beforeOffset === NONE ? leader.highWatermark : item.beforeOffset;
    if (!Number.isSafeInteger(before) || before < 0) {
      throw new OttlaError(
        "OFFSET_OUT_OF_RANGE",
        `before_offset ${before}: allowed are 0 to ${leader.highWatermark}, or -1`,
        { field: "before_offset" },
      );
    }
    const limitMs = Math.min(Math.max(0, timeoutMs), TIMEOUT_LONGEST_MS);
    const deadlineMs = ports.clock.monotonicMs() + limitMs;
    await within(ports, limitMs, leader.deleteBefore(before, deadlineMs));
    const { lowWatermark } = leader;
    return { topic, partition, error: undefined, lowWatermark, leader: undefined };
  } catch (thrown) {
    return {
      topic,
      partition,
      error: itemError(toOttlaError(thrown)),
      lowWatermark: NONE,
      leader: partitions.hint(topic, partition),
    };
  }
}

/**
 * Rejects with REQUEST_TIMED_OUT if the work takes longer, on a disk that hangs too; it goes on all
 * the same.
 */
async function within(ports: Ports, limitMs: number, work: Promise<void>): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const timer = ports.timers.after(limitMs, () => {
      reject(new OttlaError("REQUEST_TIMED_OUT", `not done within ${limitMs} ms`));
    });
    work
      .then(resolve, reject)
      .finally(() => timer.cancel())
      .catch(reject);
  });
}
