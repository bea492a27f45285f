/**
 * I3: a batch that is sent again is answered with the offsets of the first time, and never as out
 * of order while it is among the last five of its producer in the leader's log; I6: a producer is
 * not unknown to a leader whose log has a batch of it that has not expired. Sources: KIP-98,
 * KIP-360, KIP-854.
 */
import { readInt64 } from "../../../src/base/bytes.ts";
import type { ErrorCode } from "../../../src/model/errors.ts";
import type { Offset } from "../../../src/model/ids.ts";
import type { BatchHeader } from "../../../src/record/batch.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";
import { WALL_EPOCH_MS } from "../world/sim-timers.ts";

const REMEMBERED = 5;
const MAX_TIMESTAMP_AT = 35;
/** Half of `producer.id.expiration.ms`: clocks are off by hours at most. */
const SURELY_KNOWN_MS = 43_200_000;
const REFUSALS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "OUT_OF_ORDER_SEQUENCE_NUMBER",
  "UNKNOWN_PRODUCER_ID",
  "DUPLICATE_SEQUENCE_NUMBER",
]);

export function retries(context: RunContext): Invariant {
  const placed = new Map<string, Offset>();

  /** How many batches of the producer follow this one in the log; undefined: it is not there. */
  function batchesSince(node: string, key: string, header: BatchHeader): number | undefined {
    const batches = context.logs.log(node, key)?.batches ?? [];
    let since = 0;
    for (let at = batches.length - 1; at >= 0 && since < REMEMBERED; at--) {
      const batch = batches[at];
      if (batch?.producerId !== header.producerId) continue;
      if (batch.crc === header.crc) return since;
      since++;
    }
    return undefined;
  }

  function lastOf(node: string, key: string, producerId: number): number | undefined {
    const batches = context.logs.log(node, key)?.batches ?? [];
    const last = batches.findLast((batch) => batch.producerId === producerId);
    return last === undefined ? undefined : readInt64(last.bytes, MAX_TIMESTAMP_AT);
  }

  return {
    onProduced({ where, key, header, one }, { error, baseOffset }) {
      if (key === undefined || header === undefined || header.producerId < 0) return;
      const { node } = where;
      const { producerId, producerEpoch, baseSequence } = header;
      const what = `${node} answers sequence ${baseSequence} of producer ${producerId}/${producerEpoch} in ${key}`;
      if (error === undefined) {
        if (one.acks === 0) return;
        const id = `${key} ${producerId}/${producerEpoch} ${baseSequence} ${header.crc}`;
        const known = placed.get(id);
        if (known === undefined) placed.set(id, baseOffset);
        else if (known !== baseOffset) {
          context.fail(
            "I3 a retry is answered with the same offsets",
            `${what} with ${baseOffset}, before it was ${known}`,
          );
        }
        return;
      }
      if (!REFUSALS.has(error.code as ErrorCode)) return;
      const since = batchesSince(node, key, header);
      if (since !== undefined) {
        context.fail(
          "I3 a retry is known",
          `${what} with ${error.code}, its log has the batch and ${since} later ones`,
        );
      }
      if (error.code !== "UNKNOWN_PRODUCER_ID") return;
      const lastMs = lastOf(node, key, producerId);
      const wallMs =
        WALL_EPOCH_MS + context.world.nowMs + (context.lifeOf(node)?.node.wallOffsetMs ?? 0);
      if (lastMs === undefined || Math.abs(wallMs - lastMs) > SURELY_KNOWN_MS) return;
      context.fail("I6 producers are remembered", `${what} with ${error.code}, its log knows it`);
    },
  };
}
