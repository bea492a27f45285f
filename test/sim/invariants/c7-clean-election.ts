/**
 * C7, clean elections: a leader comes from the ISR, else from the ELR, else it is the last known
 * leader that came back whole; any other election is marked as unclean, counted, and made only
 * where the topic allows it or an operator asked for it. Source: KIP-966.
 *
 * The last known leader may return while others are in the ELR: it was a member when the high
 * watermark stopped, so whole it holds as much as they do. KIP-966 has it wait for an empty ELR.
 */
import type { ElectLeaders } from "../../../src/metadata/commands.ts";
import { isUncleanAllowed } from "../../../src/metadata/image-configs.ts";
import { type Invariant, type RunContext, topicOfKey } from "../cluster/run-context.ts";
import { partitionSteps } from "./partition-steps.ts";

const STATEMENT = "C7 leaders are elected cleanly";

export function cleanElection(context: RunContext): Invariant {
  let uncleanAsked = false;
  return {
    onControllerRequest({ name, body }) {
      if (name === "elect-leaders" && (body as ElectLeaders).type === "unclean")
        uncleanAsked = true;
    },
    onMetadata(step) {
      let uncleanCount = 0;
      for (const { key, record, before, after } of partitionSteps(step)) {
        if (record.type !== "partition-change" || before === undefined) continue;
        const unclean = record.unclean === true;
        if (unclean) uncleanCount++;
        const { leader } = after;
        if (leader === -1 || record.leader === undefined) continue;
        const eligible = before.isr.includes(leader) || before.elr.includes(leader);
        const returned =
          before.isr.length === 0 &&
          before.lastKnownLeader === leader &&
          before.lastKnownLeaderLost !== true;
        if (!eligible && !returned && !unclean) {
          context.fail(
            STATEMENT,
            `at ${step.index} broker ${leader} leads ${key}, eligible were ISR ${before.isr.join(",")}, ELR ${before.elr.join(",")}, last ${before.lastKnownLeader}`,
          );
        }
        const topic = topicOfKey(step.after, key) ?? "";
        if (unclean && !uncleanAsked && !isUncleanAllowed(step.before, topic, new Map())) {
          context.fail(STATEMENT, `at ${step.index} an unclean election of ${key} is not allowed`);
        }
      }
      const counted = step.after.uncleanElectionsCount - step.before.uncleanElectionsCount;
      if (counted === uncleanCount) return;
      context.fail(
        STATEMENT,
        `at ${step.index} ${uncleanCount} unclean elections, counted ${counted}`,
      );
    },
  };
}
