/**
 * P20, compaction: of each key the last committed value survives; what survives keeps its offset and
 * its bytes; only what is committed is cleaned; a tombstone goes only with its predecessors and after
 * its delete horizon; every offset stays covered. So replicas that were cleaned at different times
 * give a reader of the last values the same. Sources: Kafka's documentation of log compaction,
 * KIP-534 (delete horizons); Ottla's dense logs (`src/record/dense-batches.ts`).
 *
 * What the cleaner writes is judged as it reaches the disk, and whole logs at rest, as they lie on
 * the disks: their last values are those of all that was ever written, and the last batches of each producer
 * are there, be it empty: what a start folds from the log is what it would fold from all of it.
 *
 * Narrower than "each replica has the last value of each key": `delete.retention.ms` is the time that
 * whoever reads a log has to come by a tombstone, and a replica that is out of the ISR is such a
 * reader, as in Kafka. One that was away for longer copies a log from which the tombstone is gone,
 * and keeps an older value of the key. In sync it cannot happen: only what is committed is cleaned.
 */
import { minIsrOf } from "../../../src/metadata/image-configs.ts";
import type { Offset } from "../../../src/model/ids.ts";
import {
  BATCH_HEADER_BYTES,
  compressionOf,
  deleteHorizonOf,
  readBatchHeader,
} from "../../../src/record/batch.ts";
import { decodeRecords } from "../../../src/record/records.ts";
import { isBatchKey, segmentBase, segmentName } from "../../../src/storage/segment-keys.ts";
import { CLEANED_SUFFIX } from "../../../src/storage/segment-swap.ts";
import { type CompactedBatch, saysItsProducer, swapOf } from "../cluster/observed-compaction.ts";
import type { CompactedWrite, ObservedBatch, ObservedLog } from "../cluster/observed-logs.ts";
import {
  type Invariant,
  logEnd,
  logStart,
  partitionByKey,
  partitionsOf,
  type RunContext,
  topicOfKey,
} from "../cluster/run-context.ts";
import { crc32c, decompressed } from "../world/sim-codecs.ts";
import { WALL_EPOCH_MS } from "../world/sim-timers.ts";

const STATEMENT = "P20 compaction";
const CRC_FROM = 21;
/** Batches of a producer that a retry may be of (KIP-98). */
const REMEMBERED_COUNT = 5;
const OPENED_BYTES_MAX = 64 * 1024 * 1024;

interface Opened {
  readonly offset: Offset;
  /** Undefined: it has none. */
  readonly key: string | undefined;
  readonly isTombstone: boolean;
  /** All that must not change, in one string. */
  readonly content: string;
}

/** Where a key was written, in the order in which it was seen. */
interface Place {
  readonly offset: Offset;
  readonly leaderEpoch: number;
}

/** What cleaners leave is looked at again when it is cleaned again. */
const openedBefore = new WeakMap<Uint8Array, readonly Opened[]>();

function open(bytes: Uint8Array): readonly Opened[] {
  const known = openedBefore.get(bytes);
  if (known !== undefined) return known;
  const opened = openAnew(bytes);
  openedBefore.set(bytes, opened);
  return opened;
}

function openAnew(bytes: Uint8Array): readonly Opened[] {
  const header = readBatchHeader(bytes);
  const section = decompressed(
    compressionOf(header) ?? "none",
    bytes.subarray(BATCH_HEADER_BYTES),
    OPENED_BYTES_MAX,
  );
  return decodeRecords(header, section).map(({ offset, key, value, headers, timestamp }) => ({
    offset,
    key: key === null ? undefined : Buffer.from(key).toString("latin1"),
    isTombstone: key !== null && value === null,
    content: JSON.stringify([
      timestamp,
      key === null ? null : Buffer.from(key).toString("latin1"),
      value === null ? null : Buffer.from(value).toString("latin1"),
      headers.map((each) => [each.key, each.value && Buffer.from(each.value).toString("latin1")]),
    ]),
  }));
}

/** What was ever written to one partition, by key. */
class Written {
  readonly #places = new Map<string, Place[]>();
  readonly #opened = new Map<ObservedBatch, readonly Opened[]>();
  #taken = 0;

  /** Opens what is new: nothing is opened of a log that nobody cleans. */
  take(batches: readonly ObservedBatch[]): void {
    for (; this.#taken < batches.length; this.#taken++) {
      const batch = batches[this.#taken] as ObservedBatch;
      const records = open(batch.bytes);
      this.#opened.set(batch, records);
      for (const { key, offset } of records) {
        if (key === undefined) continue;
        const places = this.#places.get(key) ?? [];
        this.#places.set(key, places);
        places.push({ offset, leaderEpoch: batch.leaderEpoch });
      }
    }
  }

  records(batch: ObservedBatch): readonly Opened[] {
    return this.#opened.get(batch) ?? [];
  }

  placesOf(key: string): readonly Place[] {
    return this.#places.get(key) ?? [];
  }
}

export function compaction(context: RunContext): Invariant {
  const written = new Map<string, Written>();
  /** Keys, by machine and partition, whose last tombstone was gone when the replica came by. */
  const missed = new Set<string>();
  /** By machine: how far its clock was ahead at most, as far as seen. A cleaning began earlier. */
  const aheadMs = new Map<string, number>();

  function sampleClock(node: string): void {
    const wallMs = context.lifeOf(node)?.node.clock.wallMs ?? 0;
    // Jumps and drift.
    const offsetMs = wallMs - WALL_EPOCH_MS - context.world.nowMs;
    if (offsetMs > (aheadMs.get(node) ?? 0)) aheadMs.set(node, offsetMs);
  }

  function writtenOf(log: ObservedLog): Written {
    const known = written.get(log.key) ?? new Written();
    written.set(log.key, known);
    known.take(log.originals?.batches ?? []);
    return known;
  }

  function isCommitted(key: string, end: Offset): boolean {
    const image = context.newestImage();
    const topic = topicOfKey(image, key);
    const partition = partitionByKey(image, key);
    if (topic === undefined || partition === undefined) return true;
    const wanted = minIsrOf(image, topic, partition.replicas.length) - (context.anyWiped ? 1 : 0);
    let holders = 0;
    // One that deleted everything held it too: its log ends where it starts.
    for (const { node } of context.logs.replicas(key)) {
      if (logEnd(context, node, key) >= end) holders++;
    }
    return holders >= wanted;
  }

  /** A later record of the key is committed, in the same history as this log's. */
  function isSuperseded(log: ObservedLog, own: boolean, record: Opened): boolean {
    const places = writtenOf(log).placesOf(record.key ?? "");
    const logs = own ? [log] : [...context.logs.replicas(log.key)];
    // From the newest back: all but the last few are committed.
    for (let at = places.length - 1; at >= 0; at--) {
      const { offset, leaderEpoch } = places[at] as Place;
      if (offset <= record.offset) continue;
      const isThere = logs.some(
        (each) => each.batches[each.indexOf(offset)]?.leaderEpoch === leaderEpoch,
      );
      // What a copy lacks was judged when the leader's cleaner took it; of those who held the later
      // record then, some may have lost it since.
      if (isThere && (!own || isCommitted(log.key, offset + 1))) return true;
    }
    return false;
  }

  function mayGo(log: ObservedLog, write: CompactedWrite, batch: ObservedBatch, record: Opened) {
    if (record.key === undefined) return true;
    // It went before, and that was judged then.
    const own = write.before.has(batch.baseOffset);
    const before = write.before.get(batch.baseOffset);
    if (before !== undefined && !open(before.bytes).some((each) => each.offset === record.offset)) {
      return true;
    }
    if (isSuperseded(log, own, record)) return true;
    if (!record.isTombstone) return false;
    // A copy of what the leader's cleaner has left.
    if (!own) {
      missed.add(`${log.node} ${log.key} ${record.key}`);
      return true;
    }
    const horizonMs =
      before === undefined ? undefined : deleteHorizonOf(readBatchHeader(before.bytes));
    const wallMs = WALL_EPOCH_MS + context.world.nowMs + (aheadMs.get(log.node) ?? 0);
    return horizonMs !== undefined && horizonMs <= wallMs;
  }

  function checkWrite(log: ObservedLog, write: CompactedWrite): void {
    const { batch, covered } = write;
    const who = `${log.node} left ${log.key}[${batch.baseOffset},${batch.endOffset})`;
    if (!isCommitted(log.key, batch.endOffset)) {
      context.fail(STATEMENT, `${who} of what too few replicas hold`);
    }
    const history = writtenOf(log);
    const left = new Map(open(batch.bytes).map((record) => [record.offset, record]));
    for (const original of covered) {
      for (const record of history.records(original)) {
        const kept = left.get(record.offset);
        left.delete(record.offset);
        if (kept !== undefined && kept.content !== record.content) {
          context.fail(STATEMENT, `${who}: offset ${record.offset} is not what was written there`);
        }
        if (kept !== undefined || mayGo(log, write, original, record)) continue;
        context.fail(
          STATEMENT,
          `${who} without offset ${record.offset} of key ${record.key}, ${record.isTombstone ? "a tombstone before its horizon" : "the last of its key"}`,
        );
        return;
      }
    }
    for (const offset of left.keys()) {
      context.fail(STATEMENT, `${who} with a record at ${offset}, where none was written`);
      return;
    }
  }

  /** As a start would find it; undefined if something of it is damaged. */
  function stored(log: ObservedLog): readonly CompactedBatch[] | undefined {
    const path = log.batches[0]?.store;
    const node = context.lifeOf(log.node)?.node;
    if (path === undefined || node === undefined) return undefined;
    const replica = path.slice(0, path.lastIndexOf("/"));
    const names = new Map<Offset, string>();
    for (const name of node.disk.list(replica)) {
      const base = segmentBase(name);
      if (base !== undefined) names.set(base, name);
    }
    const swap = swapOf(node, log.key);
    const cleaned = swap === undefined ? "" : segmentName(swap.base) + CLEANED_SUFFIX;
    if (swap !== undefined && node.disk.node(`${replica}/${cleaned}`) !== undefined) {
      for (const base of swap.replaced) names.delete(base);
      names.set(swap.base, cleaned);
    }
    const batches: CompactedBatch[] = [];
    for (const base of [...names.keys()].sort((left, right) => left - right)) {
      const store = node.disk.node(`${replica}/${names.get(base)}`);
      if (store?.type !== "store") return undefined;
      for (const { key, value: bytes } of store.state.entries()) {
        if (!isBatchKey(key)) continue;
        if (crc32c(bytes.subarray(CRC_FROM)) >>> 0 !== readBatchHeader(bytes).crc) return undefined;
        const { lastOffsetDelta, ...header } = readBatchHeader(bytes);
        batches.push({ ...header, endOffset: header.baseOffset + lastOffsetDelta + 1, bytes });
      }
    }
    return batches;
  }

  function lastOfKeys(records: Iterable<Opened>, start: Offset): Map<string, Opened> {
    const last = new Map<string, Opened>();
    for (const record of records) {
      if (record.key !== undefined && record.offset >= start) last.set(record.key, record);
    }
    return last;
  }

  function checkLog(log: ObservedLog): void {
    const batches = stored(log);
    if (batches === undefined) return;
    for (const [index, batch] of batches.entries()) {
      const before = batches[index - 1];
      if (before === undefined || before.endOffset === batch.baseOffset) continue;
      context.fail(
        STATEMENT,
        `${log.node} has ${batch.baseOffset} after ${before.endOffset} in ${log.key}: its log is not dense`,
      );
      return;
    }
    checkProducers(log);
    const history = writtenOf(log);
    const start = logStart(context, log.node, log.key);
    const wanted = lastOfKeys(
      log.batches.flatMap((batch) => history.records(log.originals?.find(batch) ?? batch)),
      start,
    );
    const found = lastOfKeys(
      batches.flatMap(({ bytes }) => open(bytes)),
      start,
    );
    for (const [key, { offset, isTombstone, content }] of wanted) {
      const record = found.get(key);
      if (record?.offset === offset && record.content === content) continue;
      if (isTombstone && (record === undefined || missed.has(`${log.node} ${log.key} ${key}`))) {
        continue;
      }
      context.fail(
        STATEMENT,
        `${log.node} has ${record === undefined ? "nothing" : `offset ${record.offset}`} as the last of key ${key} in ${log.key}, written last was ${offset}`,
      );
      return;
    }
  }

  function checkProducers(log: ObservedLog): void {
    const start = logStart(context, log.node, log.key);
    const seen = new Map<number, { readonly epoch: number; count: number }>();
    for (const batch of [...log.batches].reverse()) {
      const { baseOffset, producerId, producerEpoch } = batch;
      if (batch.endOffset <= start) break;
      const known = seen.get(producerId) ?? { epoch: producerEpoch, count: 0 };
      const { count } = known;
      // With a new epoch a producer begins anew.
      if (producerId < 0 || known.epoch !== producerEpoch || count === REMEMBERED_COUNT) continue;
      known.count++;
      seen.set(producerId, known);
      if (saysItsProducer(batch)) continue;
      context.fail(
        STATEMENT,
        `${log.node} has nothing of the batch at ${log.key}:${baseOffset}, the last but ${count} of producer ${producerId}`,
      );
      return;
    }
  }

  function checkLogs(): void {
    for (const [key, { replicas }] of partitionsOf(context.newestImage())) {
      for (const id of replicas) {
        const log = context.logs.log(context.nodeOf(id), key);
        if (log?.originals !== undefined) checkLog(log);
      }
    }
  }

  return {
    onLife({ node }) {
      sampleClock(node.name);
    },
    onWritten(log) {
      if (log.originals !== undefined) sampleClock(log.node);
    },
    onCompacted(log, write) {
      sampleClock(log.node);
      checkWrite(log, write);
    },
    onRest: checkLogs,
    atEnd: checkLogs,
  };
}
