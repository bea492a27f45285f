/**
 * C3: no fenced or unregistered broker is in an ISR; C4: an ISR that is large enough has no ELR
 * beside it. After each entry of the committed log. Sources: KIP-841, KIP-966; Kafka's
 * ReplicationControlManager.
 *
 * A broker in controlled shutdown may stay: it leaves each ISR that another can carry on, and the
 * last member is left in place. So C3's "shutting down" is not asked for.
 */
import { minIsrOf } from "../../../src/metadata/image-configs.ts";
import {
  type Invariant,
  partitionsOf,
  type RunContext,
  topicOfKey,
} from "../cluster/run-context.ts";

const RELEVANT: ReadonlySet<string> = new Set([
  "partition",
  "partition-change",
  "broker-change",
  "register-broker",
  "unregister-broker",
  "config",
]);

export function isrMembers(context: RunContext): Invariant {
  return {
    onMetadata({ index, records, after }) {
      if (!records.some(({ type }) => RELEVANT.has(type))) return;
      for (const [key, { isr, elr, replicas }] of partitionsOf(after)) {
        for (const id of isr) {
          const broker = after.brokers.get(id);
          if (broker !== undefined && !broker.fenced) continue;
          context.fail(
            "C3 who is fenced is in no ISR",
            `at ${index} broker ${id} is ${broker === undefined ? "unknown" : "fenced"} and in the ISR ${isr.join(",")} of ${key}`,
          );
        }
        const topic = topicOfKey(after, key);
        if (elr.length === 0 || topic === undefined) continue;
        const minIsr = minIsrOf(after, topic, replicas.length);
        if (isr.length < minIsr) continue;
        context.fail(
          "C4 a large enough ISR has no ELR",
          `at ${index} ${key} has ISR ${isr.join(",")} of at least ${minIsr} and ELR ${elr.join(",")}`,
        );
      }
    },
  };
}
