/**
 * C8: an ISR grows only as a leader of the present leader epoch proposed it, knowing the present
 * partition epoch, and only by members that then lived the life which the proposal names and were
 * not fenced; a proposal that was answered as granted was so in the log. P8 with it, as the
 * proposal leaves: whoever is to join has fetched in this leader epoch, in its registered life, and
 * holds on its disk everything that the leader has shown as committed and everything that the
 * leader began its epoch with. Sources: KIP-497, KIP-841, KIP-903; Vanlightly's TLA+ model.
 */
import type { AlterPartition, AlterPartitionItem } from "../../../src/metadata/commands.ts";
import type { MetadataImage } from "../../../src/metadata/image.ts";
import type { Offset } from "../../../src/model/ids.ts";
import { partitionKey } from "../../../src/model/ids.ts";
import {
  type ControllerReply,
  type ControllerRequest,
  type Invariant,
  logEnd,
  type MetadataStep,
  partitionByKey,
  type RunContext,
} from "../cluster/run-context.ts";
import { type PartitionStep, partitionSteps } from "./partition-steps.ts";

interface Proposal {
  readonly request: AlterPartition;
  readonly item: AlterPartitionItem;
}

const GROWTH = "C8 an ISR grows as its leader proposed";
const JOIN = "P8 who joins an ISR has caught up";
/** Of proposals that nothing came of. */
const PROPOSALS_KEPT = 2_000;

export function alterPartition(context: RunContext): Invariant {
  /** By partition, leader epoch and partition epoch. */
  const proposals = new Map<string, Proposal[]>();
  /** The same key: what the next partition epoch brought, and the image before it. */
  const taken = new Map<string, { readonly step: PartitionStep; readonly image: MetadataImage }>();
  /** By follower, partition and leader epoch, with the broker epoch: who has fetched. */
  const fetched = new Set<string>();
  /**
   * The same without the broker epoch: the most that it said is durable. A proposal is sent again
   * while no controller takes it; meanwhile the high watermark waits for its members, whichever
   * life of theirs reports.
   */
  const reports = new Map<string, Offset>();
  const shown = new Map<string, Offset>();

  const idOf = (key: string, leaderEpoch: number, partitionEpoch: number): string =>
    `${key} ${leaderEpoch}/${partitionEpoch}`;

  function onProposed({ from, body }: ControllerRequest): void {
    const request = body as AlterPartition;
    for (const item of request.partitions) {
      const key = partitionKey(item.topicId, item.partition);
      const id = idOf(key, item.leaderEpoch, item.partitionEpoch);
      proposals.set(id, [...(proposals.get(id) ?? []), { request, item }]);
      if (proposals.size > PROPOSALS_KEPT) proposals.delete(proposals.keys().next().value ?? "");
      checkJoins(from.node, key, item);
    }
  }

  function checkJoins(leader: string, key: string, item: AlterPartitionItem): void {
    const image = context.imageOf(leader);
    const state = image === undefined ? undefined : partitionByKey(image, key);
    // Made in an epoch that has passed meanwhile: it will be refused.
    if (state?.partitionEpoch !== item.partitionEpoch) return;
    const committed = shown.get(`${key} ${item.leaderEpoch}`) ?? 0;
    for (const { brokerId, brokerEpoch } of item.newIsr) {
      if (state.isr.includes(brokerId)) continue;
      const who = `broker ${brokerId} is proposed for ${key} by ${leader} in epoch ${item.leaderEpoch}`;
      const reported = reports.get(reportId(brokerId, key, item.leaderEpoch)) ?? -1;
      if (!fetched.has(`${reportId(brokerId, key, item.leaderEpoch)} ${brokerEpoch}`)) {
        context.fail(JOIN, `${who}, in which it did not fetch as ${brokerEpoch}`);
      } else if (reported < committed) {
        context.fail(JOIN, `${who} with ${reported} of ${committed} committed`);
      }
      const node = context.nodeOf(brokerId);
      const held = logEnd(context, node, key);
      const began = epochStart(leader, key, item.leaderEpoch);
      if (context.wasWiped(node) || held >= Math.max(committed, began)) continue;
      context.fail(
        JOIN,
        `${who} with ${held} on its disk, ${committed} are committed, ${began} older`,
      );
    }
  }

  /** What the leader's log held when its epoch began, as far as its disk tells. */
  function epochStart(leader: string, key: string, leaderEpoch: number): Offset {
    const log = context.logs.log(leader, key);
    return log?.batches.findLast((batch) => batch.leaderEpoch < leaderEpoch)?.endOffset ?? 0;
  }

  function onStep(step: MetadataStep): void {
    for (const each of partitionSteps(step)) {
      const { key, before, after, record } = each;
      if (before === undefined) continue;
      const id = idOf(key, before.leaderEpoch, before.partitionEpoch);
      taken.set(id, { step: each, image: step.before });
      const joined = after.isr.filter((member) => !before.isr.includes(member));
      // Elected from outside the ISR: judged by C7.
      const byElection = record.type === "partition-change" && record.leader !== undefined;
      if (joined.length === 0 || (byElection && after.isr.length === 1)) continue;
      const granted = (proposals.get(id) ?? []).some((proposal) =>
        isLawful(proposal, before, after, step.before),
      );
      if (granted) continue;
      context.fail(
        GROWTH,
        `at ${step.index} ${key} ${before.leaderEpoch}/${before.partitionEpoch} has ISR ${after.isr.join(",")} after ${before.isr.join(",")}, and nobody may have proposed it`,
      );
    }
  }

  function isLawful(
    { request, item }: Proposal,
    before: PartitionStep["after"],
    after: PartitionStep["after"],
    image: MetadataImage,
  ): boolean {
    const ids = item.newIsr.map(({ brokerId }) => brokerId);
    if (request.brokerId !== before.leader || !sameMembers(ids, after.isr)) return false;
    if (image.brokers.get(request.brokerId)?.epoch !== request.brokerEpoch) return false;
    return item.newIsr.every(({ brokerId, brokerEpoch }) => {
      const broker = image.brokers.get(brokerId);
      return broker !== undefined && !broker.fenced && broker.epoch === brokerEpoch;
    });
  }

  function onAnswered({ request, body }: ControllerReply): void {
    const asked = request.body as AlterPartition;
    const { partitions } = body as {
      readonly partitions: readonly { readonly error: unknown }[];
    };
    for (const [at, { error }] of partitions.entries()) {
      const item = asked.partitions[at];
      if (error !== null || item === undefined) continue;
      granted.push({ asked, item });
    }
  }

  let granted: { readonly asked: AlterPartition; readonly item: AlterPartitionItem }[] = [];

  return {
    onControllerRequest(request) {
      if (request.name === "alter-partition") onProposed(request);
    },
    onControllerReply(reply) {
      if (reply.request.name === "alter-partition" && reply.error === null) onAnswered(reply);
    },
    onFetchStart({ followerId, key, start, brokerEpoch }) {
      fetched.add(`${reportId(followerId, key, start.leaderEpoch)} ${brokerEpoch}`);
    },
    onProgress({ followerId, key, start }, { durableEnd }) {
      const id = reportId(followerId, key, start.leaderEpoch);
      reports.set(id, Math.max(reports.get(id) ?? -1, durableEnd));
    },
    onHighWatermark({ key, leaderEpoch, highWatermark }) {
      const id = `${key} ${leaderEpoch}`;
      shown.set(id, Math.max(shown.get(id) ?? 0, highWatermark));
    },
    onMetadata: onStep,
    afterEvent() {
      if (granted.length === 0) return;
      for (const { asked, item } of granted) {
        const key = partitionKey(item.topicId, item.partition);
        const found = taken.get(idOf(key, item.leaderEpoch, item.partitionEpoch));
        // Nothing to change, or the topic is gone.
        if (found === undefined) continue;
        const { before, after } = found.step;
        if (
          before !== undefined &&
          isLawful({ request: asked, item }, before, after, found.image)
        ) {
          continue;
        }
        const ids = item.newIsr.map(({ brokerId }) => brokerId);
        if (before !== undefined && sameMembers(ids, before.isr)) continue;
        context.fail(
          "C8 a granted ISR is in the log",
          `${key} ${item.leaderEpoch}/${item.partitionEpoch} was granted ${ids.join(",")} to broker ${asked.brokerId}, the log has ${after.isr.join(",")}`,
        );
      }
      granted = [];
    },
  };
}

function reportId(id: number, key: string, leaderEpoch: number): string {
  return `${id} ${key} ${leaderEpoch}`;
}

function sameMembers(left: readonly number[], right: readonly number[]): boolean {
  return left.length === right.length && left.every((id) => right.includes(id));
}
