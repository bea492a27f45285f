/**
 * P10, the maximal ISR: a leader counts every member of the ISR that it proposed until it knows
 * what became of the proposal, because it may be in force already: a high watermark that it shows
 * lies on the disks of those members too. That it counts every member of the ISR in force is P9's.
 * Sources: KIP-497; Vanlightly's TLA+ model (the maximal ISR).
 */
import type { AlterPartition, ItemError } from "../../../src/metadata/commands.ts";
import { partitionKey } from "../../../src/model/ids.ts";
import { type Invariant, partitionByKey, type RunContext } from "../cluster/run-context.ts";

interface Open {
  readonly node: string;
  readonly leaderEpoch: number;
  readonly partitionEpoch: number;
  readonly members: readonly number[];
}

/**
 * Refusals that say that the proposal is not in force. A refusal for an epoch that has passed says
 * less: a proposal is sent again if its answer was lost, and its first copy may be what moved it.
 */
const JUDGED: ReadonlySet<string> = new Set(["INELIGIBLE_REPLICA", "INVALID_REQUEST"]);

export function maximalIsr(context: RunContext): Invariant {
  const open = new Map<string, Open[]>();
  /** By leader: what it has shown. It was judged then, and a deposed one may go on showing it. */
  const shown = new Map<string, number>();
  const close = (key: string, keep: (proposal: Open) => boolean): void => {
    const left = (open.get(key) ?? []).filter(keep);
    if (left.length === 0) open.delete(key);
    else open.set(key, left);
  };
  return {
    onControllerRequest({ from, name, body }) {
      if (name !== "alter-partition") return;
      for (const item of (body as AlterPartition).partitions) {
        const key = partitionKey(item.topicId, item.partition);
        const { leaderEpoch, partitionEpoch } = item;
        const members = item.newIsr.map(({ brokerId }) => brokerId);
        // Sent again, though its sender knows by now what has become of it.
        const image = context.imageOf(from.node);
        const known = image === undefined ? undefined : partitionByKey(image, key);
        if (known !== undefined && known.partitionEpoch > partitionEpoch) continue;
        const proposal = { node: from.node, leaderEpoch, partitionEpoch, members };
        open.set(key, [...(open.get(key) ?? []), proposal]);
      }
    },
    onControllerReply({ request, body, error }) {
      if (request.name !== "alter-partition" || error !== null) return;
      const { partitions } = body as {
        readonly partitions: readonly { readonly error: ItemError | null }[];
      };
      const items = (request.body as AlterPartition).partitions;
      for (const [at, { error: refused }] of partitions.entries()) {
        const item = items[at];
        if (refused === null || item === undefined || !JUDGED.has(refused.code)) continue;
        const key = partitionKey(item.topicId, item.partition);
        close(key, ({ partitionEpoch }) => partitionEpoch !== item.partitionEpoch);
      }
    },
    onImage({ node, after }) {
      for (const key of [...open.keys()]) {
        const state = partitionByKey(after, key);
        close(
          key,
          (proposal) =>
            proposal.node !== node ||
            (state !== undefined && state.partitionEpoch <= proposal.partitionEpoch),
        );
      }
    },
    onHighWatermark({ node, life, key, leaderEpoch, highWatermark }) {
      const leader = `${node} ${life} ${key} ${leaderEpoch}`;
      if (highWatermark <= (shown.get(leader) ?? -1)) return;
      shown.set(leader, highWatermark);
      // Deleted as far as some broker knows: members may have removed their replicas before the leader.
      if (partitionByKey(context.newestImage(), key) === undefined) return;
      for (const proposal of open.get(key) ?? []) {
        if (proposal.node !== node || proposal.leaderEpoch !== leaderEpoch) continue;
        for (const id of proposal.members) {
          const holder = context.nodeOf(id);
          const held = context.logs.log(holder, key)?.endOffset ?? 0;
          const started = context.states.head(holder, key)?.logStartOffset ?? 0;
          if (context.wasWiped(holder) || Math.max(held, started) >= highWatermark) continue;
          context.fail(
            "P10 the high watermark waits for the maximal ISR",
            `${node} shows ${highWatermark} of ${key} while ISR ${proposal.members.join(",")} is proposed, broker ${id} has ${held}`,
          );
        }
      }
    },
  };
}
