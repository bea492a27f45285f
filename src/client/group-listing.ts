/**
 * The list of all groups, which nobody has: each broker knows those of the partitions of
 * `__consumer_offsets` that it leads. What does not answer is asked again, and then named.
 */
import type { GroupState } from "../group/calls.ts";
import { OFFSETS_TOPIC } from "../group/partition-of.ts";
import { OttlaError, toOttlaError } from "../model/errors.ts";
import { type BrokerId, NONE, type PartitionIndex } from "../model/ids.ts";
import { type ClusterClient, RETRY_LIMITS } from "./cluster-client.ts";
import { retryDelayMs } from "./core/retry-delay.ts";
import { errorFrom } from "./errors.ts";
import { QUICK_ATTEMPT_MS } from "./leader-calls.ts";
import type { CallOptions, Connection } from "./transport.ts";

export interface GroupListing {
  readonly groupId: string;
  /** "consumer"; "" where there never was a member. */
  readonly protocolType: string;
  readonly state: GroupState;
  readonly membersCount: number;
}

/** Groups that nobody could list at the time. */
export interface MissingGroups {
  /** Of `__consumer_offsets`: every group that they keep. */
  readonly partitions: readonly PartitionIndex[];
  readonly error: OttlaError;
}

export interface GroupListings {
  /** By id. */
  readonly groups: readonly GroupListing[];
  /** Empty: the list is whole. */
  readonly missing: readonly MissingGroups[];
}

/** Groups of all coordinators; a coordinator that reads its groups is waited for. */
export async function listGroups(
  cluster: ClusterClient,
  states: readonly GroupState[],
  options: CallOptions,
): Promise<readonly GroupListing[]> {
  const { groups, missing } = await listReachableGroups(cluster, states, options, options);
  const [first] = missing;
  if (first !== undefined) throw first.error;
  return groups;
}

/** What is missing is asked again for `patienceMs`. */
export async function listReachableGroups(
  cluster: ClusterClient,
  states: readonly GroupState[],
  options: CallOptions,
  { timeoutMs: patienceMs }: { readonly timeoutMs: number },
): Promise<GroupListings> {
  const { timers } = cluster.environment;
  const startMs = cluster.nowMs();
  for (;;) {
    const spentMs = cluster.nowMs() - startMs;
    const leftMs = Math.max(1, options.timeoutMs - spentMs);
    const listed = await listOnce(cluster, states, { ...options, timeoutMs: leftMs });
    const final = listed.missing.find(({ error }) => !error.retriable);
    if (final !== undefined) throw final.error;
    if (listed.missing.length === 0) return listed;
    const waitMs = retryDelayMs(spentMs, RETRY_LIMITS);
    if (patienceMs - (cluster.nowMs() - startMs) <= waitMs) return listed;
    await timers.sleep(waitMs, options.signal);
  }
}

/** Rejects where nothing is known, not even who leads. */
async function listOnce(
  cluster: ClusterClient,
  states: readonly GroupState[],
  options: CallOptions,
): Promise<GroupListings> {
  const known = await cluster.refresh([OFFSETS_TOPIC], {
    ...options,
    allowAutoTopicCreation: false,
  });
  const topic = known.topics[0];
  // Nobody has used a group yet.
  if (topic?.error?.code === "UNKNOWN_TOPIC_OR_PARTITION") return { groups: [], missing: [] };
  if (topic?.error)
    return { groups: [], missing: [{ partitions: [], error: errorFrom(topic.error) }] };
  const byLeader = new Map<BrokerId, PartitionIndex[]>();
  for (const { leader, partition } of topic?.partitions ?? []) {
    const partitions = byLeader.get(leader) ?? [];
    partitions.push(partition);
    byLeader.set(leader, partitions);
  }
  // A group whose coordinator moves in between may be listed by both.
  const groups = new Map<string, GroupListing>();
  const missing: MissingGroups[] = [];
  await Promise.all(
    [...byLeader].map(async ([leader, partitions]) => {
      const connection = cluster.connection(leader);
      let error: OttlaError | undefined;
      if (leader === NONE) error = leaderless(partitions);
      else if (connection === undefined) error = addressless(leader);
      else {
        const listed = await ask(connection, leader, states, options);
        for (const each of listed.groups) groups.set(each.groupId, each);
        error = listed.error;
      }
      if (error !== undefined) missing.push({ partitions, error });
    }),
  );
  missing.sort((left, right) => (left.partitions[0] ?? 0) - (right.partitions[0] ?? 0));
  const sorted = [...groups.values()].sort((left, right) =>
    left.groupId < right.groupId ? -1 : 1,
  );
  return { groups: sorted, missing };
}

/** With an error the groups are not all that the broker coordinates. */
async function ask(
  connection: Connection,
  id: BrokerId,
  states: readonly GroupState[],
  options: CallOptions,
): Promise<{ readonly groups: readonly GroupListing[]; readonly error: OttlaError | undefined }> {
  const timeoutMs = Math.min(options.timeoutMs, QUICK_ATTEMPT_MS);
  try {
    const answer = await connection.call("ListGroups", { states }, { ...options, timeoutMs });
    const error = answer.error === null ? undefined : errorFrom(answer.error, `broker ${id}: `);
    const groups = answer.groups.map(({ groupId, members, protocolType, state }) => {
      return { groupId, protocolType, state: state as GroupState, membersCount: members };
    });
    return { groups, error };
  } catch (thrown) {
    return { groups: [], error: toOttlaError(thrown) };
  }
}

function addressless(id: BrokerId): OttlaError {
  return new OttlaError("BROKER_NOT_AVAILABLE", `the address of broker ${id} is not known`);
}

function leaderless(partitions: readonly PartitionIndex[]): OttlaError {
  const [first, ...others] = partitions;
  const more = others.length === 0 ? "" : ` (and ${others.length} more)`;
  const message = `partition ${first}${more} of ${OFFSETS_TOPIC} has no leader: its groups cannot be listed`;
  return new OttlaError("COORDINATOR_NOT_AVAILABLE", message);
}
