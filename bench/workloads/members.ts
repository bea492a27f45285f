/** Members of one group that the workloads share: made, settled, closed. They live in this process. */
import { Consumer, type ConsumerOptions } from "../../src/client/index.ts";

const SETTLED_MS = 60_000;
const POLL_MS = 5;
const CLOSE_MS = 10_000;

export type Strategy = NonNullable<ConsumerOptions["partitionAssignmentStrategy"]>;

export interface MembersOptions {
  readonly bootstrapServers: readonly string[];
  readonly groupId: string;
  readonly partitionAssignmentStrategy: Strategy;
  readonly count: number;
}

/** They commit by hand. */
export function makeMembers({ count, ...options }: MembersOptions): readonly Consumer[] {
  return Array.from({ length: count }, () => new Consumer({ ...options, enableAutoCommit: false }));
}

/** Pulls messages until it is closed. */
export function consume(consumer: Consumer): Promise<void> {
  return consumer.run({ eachBatch: () => undefined, onError: () => undefined });
}

export async function closeAll(members: readonly Consumer[]): Promise<void> {
  await Promise.all(members.map((each) => each.close({ timeoutMs: CLOSE_MS })));
}

export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadlineMs = performance.now() + SETTLED_MS;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** All are in one generation, which has divided all partitions. */
export function areSettled(members: readonly Consumer[], partitionsCount: number): boolean {
  const generations = new Set(members.map((each) => each.groupMetadata()?.generationId ?? -1));
  if (generations.size !== 1 || generations.has(-1)) return false;
  return members.reduce((sum, each) => sum + each.assignment().length, 0) === partitionsCount;
}
