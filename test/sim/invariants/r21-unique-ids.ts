/**
 * R21, what is given out is given once: blocks of producer ids, broker epochs and topic ids, over
 * the whole run. Sources: KIP-730 (blocks of producer ids), KIP-631 (broker epochs).
 */
import type { ControllerRequests, RegisterBroker } from "../../../src/metadata/commands.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";

const STATEMENT = "R21 ids are given out once";

export function uniqueIds(context: RunContext): Invariant {
  /** Starts of the blocks, with their ends. */
  const blocks: { readonly start: number; readonly end: number; readonly to: string }[] = [];
  const epochs = new Map<number, string>();
  const incarnations = new Map<string, number>();
  const topics = new Set<string>();

  function seeBlock(start: number, count: number, to: string): void {
    const end = start + count;
    const other = blocks.find((block) => block.start < end && start < block.end);
    if (other !== undefined) {
      context.fail(
        STATEMENT,
        `producer ids [${start},${end}) are given to ${to}, [${other.start},${other.end}) were to ${other.to}`,
      );
    }
    blocks.push({ start, end, to });
  }

  function seeEpoch(epoch: number, incarnation: string): void {
    const owner = epochs.get(epoch);
    if (owner !== undefined && owner !== incarnation) {
      context.fail(STATEMENT, `broker epoch ${epoch} is ${owner}'s and ${incarnation}'s`);
    }
    epochs.set(epoch, incarnation);
    const known = incarnations.get(incarnation);
    if (known !== undefined && known !== epoch) {
      context.fail(
        "C9 a life keeps its broker epoch",
        `incarnation ${incarnation} has epochs ${known} and ${epoch}`,
      );
    }
    incarnations.set(incarnation, epoch);
  }

  return {
    onControllerReply({ request, body, error }) {
      if (error !== null) return;
      if (request.name === "allocate-producer-ids") {
        const { start, count } = body as ControllerRequests["allocate-producer-ids"]["reply"];
        seeBlock(start, count, request.from.node);
      } else if (request.name === "register-broker") {
        const { brokerEpoch } = body as ControllerRequests["register-broker"]["reply"];
        seeEpoch(brokerEpoch, (request.body as RegisterBroker).incarnationId);
      }
    },
    onMetadata({ index, records, before, after }) {
      if (after.nextProducerId < before.nextProducerId) {
        context.fail(
          STATEMENT,
          `at ${index} the next producer id falls to ${after.nextProducerId}`,
        );
      }
      for (const record of records) {
        if (record.type === "register-broker") seeEpoch(record.brokerEpoch, record.incarnationId);
        if (record.type !== "topic") continue;
        if (topics.has(record.topicId)) {
          context.fail(
            STATEMENT,
            `at ${index} topic id ${record.topicId} is given to ${record.name}`,
          );
        }
        topics.add(record.topicId);
      }
    },
  };
}
