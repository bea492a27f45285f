/**
 * Lives of members of consumer groups: the SDK's consumers, which join, read, commit and leave. Some
 * are static, some commit by hand, some are slow; `Workload` lets them crash, and freezes them past
 * their sessions, so that they come back as zombies.
 */
import { Admin, Consumer } from "../../../src/client/index.ts";
import { OFFSETS_TOPIC } from "../../../src/group/partition-of.ts";
import type { ClientLife } from "./client-process.ts";
import { type ClientShared, errorCode } from "./client-shared.ts";
import type { GroupLedger } from "./group-ledger.ts";
import type { GroupPlan } from "./workload-plan.ts";

/** What says that member and coordinator misunderstand each other. */
const NEVER = new Set([
  "CORRUPT_MESSAGE",
  "INCONSISTENT_GROUP_PROTOCOL",
  "INVALID_ARGUMENT",
  "INVALID_GROUP_ID",
  "INVALID_REQUEST",
  "INVALID_SESSION_TIMEOUT",
  "UNKNOWN_SERVER_ERROR",
]);
const POLL_OVER = "the poll is over";
const POLL_BATCHES = 20;

export interface Membership {
  readonly plan: GroupPlan;
  readonly index: number;
  readonly ledger: GroupLedger;
}

export async function consumeInGroup(
  shared: ClientShared,
  { plan, index, ledger }: Membership,
  life: ClientLife,
): Promise<void> {
  const { groupId } = plan;
  const { environment, prng } = life;
  const isStatic = index < plan.staticCount;
  const consumer = new Consumer({
    bootstrapServers: shared.bootstrapServers,
    environment,
    groupId,
    ...(isStatic ? { groupInstanceId: `${groupId}-${index}` } : {}),
    clientId: life.process,
    sessionTimeoutMs: plan.sessionTimeoutMs,
    heartbeatIntervalMs: Math.floor(plan.sessionTimeoutMs / 4),
    maxPollIntervalMs: plan.maxPollIntervalMs,
    partitionAssignmentStrategy: [plan.strategy],
    enableAutoCommit: plan.autoCommitMs > 0,
    autoCommitIntervalMs: Math.max(1, plan.autoCommitMs),
    autoOffsetReset: "earliest",
    metadataMaxAgeMs: 2_000,
    requestTimeoutMs: 3_000,
  });
  const expect = (thrown: unknown): void => {
    const code = errorCode(thrown);
    if (!NEVER.has(code)) return;
    shared.cluster.fail("a group member fails for a reason", `${life.process}: ${String(thrown)}`);
  };
  consumer.subscribe({ topics: shared.topics.map(({ name }) => name) }).catch(expect);
  // Some leave in order now and then, and come again as another process.
  const polls = prng.chance(1, 3) ? prng.between(20, 200) : Number.MAX_SAFE_INTEGER;
  for (let poll = 0; poll < polls && !life.ending; poll++) {
    const error = await pollOnce(consumer, life, { plan, ledger });
    if (error !== undefined) {
      expect(error);
      // Another process has its place: this one ends.
      if (errorCode(error) === "FENCED_INSTANCE_ID") break;
      await life.sleep(100);
    }
    if (plan.autoCommitMs === 0 && prng.chance(1, 4)) await consumer.commit().catch(expect);
    if (prng.chance(1, 30)) await consumer.committed().catch(expect);
    if (prng.chance(1, plan.slowOneIn)) await life.sleep(prng.between(10, plan.slowMs));
  }
  await consumer.close({ timeoutMs: 5_000 }).catch(expect);
}

/** The error that ended it; undefined for the time being over. */
async function pollOnce(
  consumer: Consumer,
  life: ClientLife,
  { plan, ledger }: { readonly plan: GroupPlan; readonly ledger: GroupLedger },
): Promise<unknown> {
  const given = new AbortController();
  const timer = life.environment.timers.after(plan.pollMs, () => given.abort(POLL_OVER));
  const batches = consumer.batches({ signal: given.signal });
  try {
    for (let count = 0; count < POLL_BATCHES; count++) {
      const { done, value: batch } = await batches.next();
      if (done === true) return undefined;
      const [first, last] = [batch.messages[0], batch.messages.at(-1)];
      if (first !== undefined && last !== undefined) {
        ledger.delivered(plan.groupId, batch, first.offset, last.offset + 1);
      }
    }
    return undefined;
  } catch (thrown) {
    return errorCode(thrown) === "ABORTED" ? undefined : thrown;
  } finally {
    timer.cancel();
    // As `for await` would: an iteration that is left open has its last batch in hand for ever.
    await batches.return?.();
  }
}

/** Lets segments of the coordinators' own topic be closed early, so that they are compacted. */
export async function tuneOffsetsTopic(shared: ClientShared, life: ClientLife): Promise<void> {
  const { bootstrapServers } = shared;
  const { environment } = life;
  const admin = new Admin({ bootstrapServers, environment, requestTimeoutMs: 3_000 });
  const changes = [
    { key: "segment.ms", operation: "set", value: "700" },
    { key: "min.cleanable.dirty.ratio", operation: "set", value: "0.01" },
  ] as const;
  while (!life.ending) {
    try {
      await admin.alterConfigs([{ type: "topic", name: OFFSETS_TOPIC, changes }]);
      break;
    } catch {
      // Nobody has used it yet, or nobody answers.
      await life.sleep(500);
    }
  }
  await admin.close();
}
