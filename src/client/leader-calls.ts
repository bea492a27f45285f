/**
 * Unary calls that only a partition's leader answers: items go to their leaders, and those that are
 * refused because leadership moved, or were not answered, go again until the deadline.
 */
import { OttlaError, toOttlaError } from "../model/errors.ts";
import { type BrokerId, NONE } from "../model/ids.ts";
import { type ClusterClient, RETRY_LIMITS } from "./cluster-client.ts";
import { retryDelayMs } from "./core/retry-delay.ts";
import { errorFrom } from "./errors.ts";
import type { ErrorMessage, LeaderHintMessage, TopicPartitionMessage } from "./messages.ts";
import type { CallOptions, Connection } from "./transport.ts";

interface LeaderResult extends TopicPartitionMessage {
  readonly error: ErrorMessage | null;
  readonly leader: LeaderHintMessage | null;
}

/** A topic that every broker asked denies for this long does not exist. */
export const UNKNOWN_TOPIC_MS = 1_500;

/**
 * One attempt at what a leader answers out of its memory. A frozen broker keeps its connection and
 * never answers; meanwhile another one may lead.
 */
export const QUICK_ATTEMPT_MS = 2_000;

export interface LeaderCall<Item extends TopicPartitionMessage, Result extends LeaderResult> {
  readonly items: readonly Item[];
  /** Longest wait for one leader before another one is looked for. Default: as long as there is. */
  readonly attemptMs?: number;
  readonly send: (
    connection: Connection,
    items: readonly Item[],
    options: CallOptions,
  ) => Promise<readonly Result[]>;
}

/**
 * Results in the order of the items; rejects with the first item's error that waiting cannot
 * change, or with the last one at the deadline.
 */
export async function callLeaders<Item extends TopicPartitionMessage, Result extends LeaderResult>(
  cluster: ClusterClient,
  call: LeaderCall<Item, Result>,
  options: CallOptions,
): Promise<Result[]> {
  const { timers } = cluster.environment;
  const startMs = cluster.nowMs();
  const results = new Map<Item, Result>();
  let lastError: OttlaError | undefined;
  for (let round = 0; ; round++) {
    const missing = call.items.filter((item) => !results.has(item));
    if (missing.length === 0) return call.items.map((item) => results.get(item) as Result);
    const spentMs = cluster.nowMs() - startMs;
    const leftMs = options.timeoutMs - spentMs;
    if (leftMs <= 0) throw lastError ?? timedOut(missing);
    if (round > 0) {
      await timers.sleep(retryDelayMs(spentMs, RETRY_LIMITS), options.signal);
    }
    const unknown = missing.some((item) => leaderOf(cluster, item) === NONE);
    if (round > 0 || unknown) {
      if (round > 0) cluster.askAnother();
      lastError = (await refreshLeaders(cluster, missing, leftMs, options)) ?? lastError;
      const hopeless =
        lastError?.code === "UNKNOWN_TOPIC_OR_PARTITION" && spentMs > UNKNOWN_TOPIC_MS;
      if (lastError !== undefined && (hopeless || !lastError.retriable)) throw lastError;
    }
    const rounds = [...byLeader(cluster, missing)].map(async ([brokerId, items]) => {
      const connection = cluster.connection(brokerId);
      if (connection === undefined) return;
      const { attemptMs = leftMs } = call;
      const timeoutMs = Math.min(leftMs, attemptMs, cluster.options.requestTimeoutMs);
      try {
        const answers = await call.send(connection, items, { ...options, timeoutMs });
        // Each answer goes to the first item of its partition that has none: several may ask about one.
        const open = [...items];
        for (const answer of answers) {
          const index = open.findIndex(
            ({ partition, topic }) => partition === answer.partition && topic === answer.topic,
          );
          const [item] = index < 0 ? [] : open.splice(index, 1);
          if (item === undefined) continue;
          if (answer.error === null) results.set(item, answer);
          else {
            cluster.takeHint(answer.topic, answer.partition, answer.leader);
            lastError = errorFrom(answer.error, `${answer.topic}-${answer.partition}: `);
            if (!lastError.retriable) throw lastError;
          }
        }
      } catch (thrown) {
        lastError = toOttlaError(thrown);
        if (!lastError.retriable) throw lastError;
      }
    });
    await Promise.all(rounds);
  }
}

function leaderOf(cluster: ClusterClient, item: TopicPartitionMessage): BrokerId {
  return cluster.cache.leader(item.topic, item.partition)?.leader ?? NONE;
}

function byLeader<Item extends TopicPartitionMessage>(
  cluster: ClusterClient,
  items: readonly Item[],
): Map<BrokerId, Item[]> {
  const groups = new Map<BrokerId, Item[]>();
  for (const item of items) {
    const leader = leaderOf(cluster, item);
    if (leader === NONE) continue;
    const group = groups.get(leader);
    if (group === undefined) groups.set(leader, [item]);
    else group.push(item);
  }
  return groups;
}

/** What metadata says against the items, if anything. */
async function refreshLeaders(
  cluster: ClusterClient,
  items: readonly TopicPartitionMessage[],
  timeoutMs: number,
  { signal }: CallOptions,
): Promise<OttlaError | undefined> {
  const topics = [...new Set(items.map(({ topic }) => topic))];
  const options = { timeoutMs, signal, allowAutoTopicCreation: false };
  const response = await cluster.refresh(topics, options);
  for (const { error, name } of response.topics) {
    if (error !== null) return errorFrom(error, `${name}: `);
  }
  for (const { partition, topic } of items) {
    const count = cluster.cache.topic(topic)?.partitions.length ?? 0;
    if (partition < count) continue;
    const message = `topic ${topic} has no partition ${partition}, allowed are 0 to ${count - 1}`;
    return new OttlaError("UNKNOWN_TOPIC_OR_PARTITION", message, { field: "partition" });
  }
  const orphan = items.find((item) => leaderOf(cluster, item) === NONE);
  if (orphan === undefined) return undefined;
  const message = `${orphan.topic}-${orphan.partition} has no leader`;
  return new OttlaError("LEADER_NOT_AVAILABLE", message);
}

function timedOut(items: readonly TopicPartitionMessage[]): OttlaError {
  const names = items.map(({ partition, topic }) => `${topic}-${partition}`).join(", ");
  return new OttlaError("REQUEST_TIMED_OUT", `the leaders of ${names} did not answer in time`);
}
