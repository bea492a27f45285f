/** I7: a producer id with an epoch is given to one caller only, over the whole run. Source: KIP-730. */
import type { Invariant, RunContext } from "../cluster/run-context.ts";

export function producerIds(context: RunContext): Invariant {
  const given = new Map<string, string>();
  return {
    onProducerId({ node, life }, { producerId, producerEpoch }) {
      const id = `${producerId}/${producerEpoch}`;
      const known = given.get(id);
      if (known !== undefined) {
        context.fail(
          "I7 a producer id is given once",
          `${id} by ${known} and by ${node} life ${life}`,
        );
      }
      given.set(id, `${node} life ${life}`);
    },
  };
}
