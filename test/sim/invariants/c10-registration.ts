/**
 * C10: a broker that came back with another directory, or said that replicas of its have lost
 * their tail, is in neither ISR nor ELR of those before it is unfenced, and in no ISR at all as it
 * registers. Sources: KIP-966 (unclean shutdown), KIP-858 (directories), KIP-853.
 *
 * Kafka expels every replica of a broker that did not stop cleanly. Here the fsync of the strict
 * profile and the durable mark vouch for those whose log reaches it: what must be true of them is
 * P9's, against the disk itself.
 */
import type { RegisterBroker } from "../../../src/metadata/commands.ts";
import type { MetadataImage } from "../../../src/metadata/image.ts";
import { partitionKey } from "../../../src/model/ids.ts";
import { type Invariant, partitionsOf, type RunContext } from "../cluster/run-context.ts";
import { partitionSteps } from "./partition-steps.ts";

const STATEMENT = "C10 who lost something is expelled before it is unfenced";

export function registration(context: RunContext): Invariant {
  /** By incarnation, what it said it has lost. */
  const lost = new Map<string, ReadonlySet<string>>();
  /** By broker: partitions that it must not be eligible in until it has caught up. */
  const owed = new Map<number, Set<string>>();

  function gone(image: MetadataImage, id: number, directories: readonly string[]): string[] {
    const keys: string[] = [];
    for (const [key, state] of partitionsOf(image)) {
      const directory = state.directories[state.replicas.indexOf(id)] ?? "";
      if (directory !== "" && !directories.includes(directory)) keys.push(key);
    }
    return keys;
  }

  return {
    onControllerRequest({ name, body }) {
      if (name !== "register-broker") return;
      const { incarnationId, lostReplicas } = body as RegisterBroker;
      const keys = lostReplicas.map(({ topicId, partition }) => partitionKey(topicId, partition));
      lost.set(incarnationId, new Set(keys));
    },
    onMetadata(step) {
      const { index, records, before, after } = step;
      for (const { key, before: old, after: state } of partitionSteps(step)) {
        // It has caught up since: by the leader's proposal, which C8 judges.
        for (const id of state.isr) if (old?.isr.includes(id) === false) owed.get(id)?.delete(key);
      }
      for (const record of records) {
        if (record.type === "register-broker") {
          const { brokerId: id, incarnationId, directories } = record;
          // A second registration of the same life may say more than the first, which counts.
          owed.set(
            id,
            new Set([...gone(before, id, directories), ...(lost.get(incarnationId) ?? [])]),
          );
          for (const [key, { isr, elr }] of partitionsOf(after)) {
            const eligible =
              isr.includes(id) || (elr.includes(id) && owed.get(id)?.has(key) === true);
            if (!eligible) continue;
            context.fail(
              STATEMENT,
              `at ${index} broker ${id} registers, ${key} has ISR ${isr.join(",")} and ELR ${elr.join(",")}`,
            );
          }
        } else if (record.type === "broker-change" && record.fenced === false) {
          const id = record.brokerId;
          for (const [key, { isr, elr }] of partitionsOf(before)) {
            if (owed.get(id)?.has(key) !== true) continue;
            if (!isr.includes(id) && !elr.includes(id)) continue;
            context.fail(STATEMENT, `at ${index} broker ${id} is unfenced and eligible in ${key}`);
          }
        }
      }
    },
  };
}
