/**
 * P21: what is stored is what a producer sent, but for offset, epoch and a broker's own timestamp;
 * the checksum of each stored batch is right, and every replica has the same bytes. S5 with it:
 * nothing is served that is not what was stored. Sources: KIP-98 (the checksum's range); LevelDB
 * does not verify what it reads. What a log cleaner leaves of batches is for P20 to judge.
 */
import { OFFSETS_TOPIC } from "../../../src/group/partition-of.ts";
import type { ObservedBatch } from "../cluster/observed-logs.ts";
import {
  describeBatch,
  type Invariant,
  type RunContext,
  topicOfKey,
} from "../cluster/run-context.ts";
import { crc32c } from "../world/sim-codecs.ts";

const CRC_FROM = 21;
const ATTRIBUTES_AT = 22;
const LOG_APPEND_TIME = 0x08;

export function storedBytes(context: RunContext): Invariant {
  /** By partition, epoch and base offset: as it was first stored. */
  const first = new Map<string, Uint8Array>();
  /** By partition: checksums of what was sent. */
  const sent = new Map<string, Set<number>>();

  const idOf = (key: string, leaderEpoch: number, baseOffset: number): string =>
    `${key} ${leaderEpoch} ${baseOffset}`;

  function checkFirst(key: string, batch: ObservedBatch, who: string): void {
    if (!isSound(batch)) {
      context.fail("P21 stored batches are sound", `${who} stores ${key}${describeBatch(batch)}`);
    }
    // What the coordinators of groups write themselves nobody sends.
    const topic = topicOfKey(context.newestImage(), key);
    if (topic === OFFSETS_TOPIC) return;
    const stamped = ((batch.bytes[ATTRIBUTES_AT] ?? 0) & LOG_APPEND_TIME) !== 0;
    if (stamped || sent.get(key)?.has(batch.crc) === true) return;
    context.fail(
      "P21 only what was sent is stored",
      `${who} stores ${key}${describeBatch(batch)}, which nobody sent`,
    );
  }

  return {
    onProduceCall({ key, header }) {
      if (key === undefined || header === undefined) return;
      const crcs = sent.get(key);
      if (crcs === undefined) sent.set(key, new Set([header.crc]));
      else crcs.add(header.crc);
    },
    onWritten(log, batch, _index, restored) {
      const id = idOf(log.key, batch.leaderEpoch, batch.baseOffset);
      const known = first.get(id);
      if (restored) {
        // On its way as the process died, it reached the disk all the same.
        if (known === undefined && isSound(batch)) first.set(id, batch.bytes);
        return;
      }
      if (known === undefined) {
        first.set(id, batch.bytes);
        checkFirst(log.key, batch, log.node);
      } else if (Buffer.compare(known, batch.bytes) !== 0) {
        context.fail(
          "P21 replicas store equal bytes",
          `${log.node} stores other bytes at ${log.key}${describeBatch(batch)}`,
        );
      }
    },
    onFetched({ where, key }, { batches }) {
      for (const { header, bytes } of batches) {
        const known = first.get(idOf(key ?? "", header.leaderEpoch, header.baseOffset));
        if (known !== undefined && Buffer.compare(known, bytes) === 0) continue;
        const left = context.logs.log(where.node, key ?? "")?.originals?.leftOf(header) ?? [];
        if (left.some((compacted) => Buffer.compare(compacted.bytes, bytes) === 0)) continue;
        context.fail(
          "S5 what is served was stored",
          `${where.node} serves ${key ?? "?"}:${header.baseOffset} of epoch ${header.leaderEpoch}, ${known === undefined ? "which nobody stored" : "other bytes were stored"}`,
        );
      }
    },
  };
}

function isSound({ bytes, crc }: ObservedBatch): boolean {
  return crc32c(bytes.subarray(CRC_FROM)) >>> 0 === crc >>> 0;
}
