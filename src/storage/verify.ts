/**
 * Offline check of a stopped broker's data: every batch of every replica, and whether two replicas
 * agree. Writes nothing of its own; LevelDB itself, as at any opening, may turn its write-ahead log
 * into a table. The caller sees to it that no broker runs on the directory: `files.lock` refuses.
 */
import { OttlaError, toOttlaError } from "../model/errors.ts";
import type { Offset, PartitionIndex, TopicId } from "../model/ids.ts";
import type { Entry } from "../ports/key-value-store.ts";
import type { Ports } from "../ports/ports.ts";
import { type Batch, hasValidCrc, lastOffset } from "../record/batch.ts";
import { type EpochStart, LeaderEpochs } from "../replica/leader-epochs.ts";
import { CHUNK_BYTES, CHUNK_ENTRIES_COUNT, compareTwo } from "./compare-replicas.ts";
import { decodeMarks } from "./durable-marks.ts";
import type { ReplicaName } from "./log.ts";
import { PendingOperations } from "./pending-operations.ts";
import { parseDirectoryName } from "./replica-names.ts";
import { ReplicaStates, type SegmentSwap } from "./replica-states.ts";
import { readStoredBatch } from "./segment.ts";
import { isBatchKey, segmentBase, segmentName } from "./segment-keys.ts";
import { CLEANED_SUFFIX } from "./segment-swap.ts";

export type VerifyPorts = Pick<Ports, "stores" | "files" | "codecs" | "clock">;

/** One thing that is wrong with a replica, at the offset where it was found. */
export interface Defect {
  readonly kind: "crc" | "hole" | "epoch" | "malformed" | "database" | "state" | "lost-tail";
  readonly offset: Offset;
  readonly message: string;
}

export interface ReplicaFindings {
  readonly path: string;
  readonly topic: string;
  readonly topicId: TopicId;
  readonly partition: PartitionIndex;
  readonly segmentsCount: number;
  readonly batchesCount: number;
  readonly recordsCount: number;
  readonly sizeBytes: number;
  readonly logStartOffset: Offset;
  readonly logEndOffset: Offset;
  /** As it was last saved. */
  readonly highWatermark: Offset;
  /** What the broker knew to be fsynced when it last wrote its marks. */
  readonly durableMark: Offset;
  /** Closed in order, and not written since. */
  readonly clean: boolean;
  readonly epochs: readonly EpochStart[];
  readonly defects: readonly Defect[];
}

export interface ReplicaComparison {
  readonly topic: string;
  readonly topicId: TopicId;
  readonly partition: PartitionIndex;
  /** Batches that were compared, over `[from, upTo)`: what both hold. */
  readonly batchesCount: number;
  readonly from: Offset;
  readonly upTo: Offset;
  /** First offset at which they differ; undefined: equal batch by batch. */
  readonly difference: { readonly offset: Offset; readonly message: string } | undefined;
}

export interface DirectoryComparison {
  readonly compared: readonly ReplicaComparison[];
  readonly onlyInFirst: readonly ReplicaName[];
  readonly onlyInSecond: readonly ReplicaName[];
}

/** More of one replica's are not listed: one damaged table can hold thousands. */
const DEFECTS_COUNT_MAX = 100;

interface SegmentOnDisk {
  readonly base: Offset;
  readonly path: string;
}

/** A replica's directory with what its data directory remembers of it. */
export interface ReplicaOnDisk {
  readonly path: string;
  readonly name: ReplicaName;
  readonly segments: readonly SegmentOnDisk[];
  readonly logStartOffset: Offset;
  readonly highWatermark: Offset;
  readonly durableMark: Offset;
  readonly clean: boolean;
  /** Of a truncation that was begun: nothing at or above it counts. */
  readonly cutOffset: Offset;
  readonly defects: readonly Defect[];
}

/**
 * Checks every replica under `path`, a data directory or one replica's own directory. Rejects with
 * INVALID_ARGUMENT if it is neither, DIRECTORY_LOCKED if a broker uses it, DIRECTORY_DAMAGED if
 * what the broker remembers cannot be opened.
 */
export async function* verifyDirectory(
  ports: VerifyPorts,
  path: string,
): AsyncGenerator<ReplicaFindings, void, undefined> {
  const { replicas, release } = await openDirectory(ports, path);
  try {
    for (const replica of replicas) yield await verifyReplica(ports, replica);
  } finally {
    await release();
  }
}

/**
 * Compares two data directories, or two replicas' directories, batch by batch: from the larger log
 * start up to the smaller log end. Rejects as `verifyDirectory`.
 */
export async function compareReplicas(
  ports: VerifyPorts,
  first: string,
  second: string,
): Promise<DirectoryComparison> {
  const left = await openDirectory(ports, first);
  try {
    const right = await openDirectory(ports, second);
    try {
      return await compareAll(ports, left.replicas, right.replicas);
    } finally {
      await right.release();
    }
  } finally {
    await left.release();
  }
}

async function compareAll(
  ports: VerifyPorts,
  left: readonly ReplicaOnDisk[],
  right: readonly ReplicaOnDisk[],
): Promise<DirectoryComparison> {
  const compared: ReplicaComparison[] = [];
  const twins = new Map(right.map((replica) => [keyOf(replica.name), replica]));
  const onlyInFirst: ReplicaName[] = [];
  for (const replica of left) {
    const twin = twins.get(keyOf(replica.name));
    if (twin === undefined) onlyInFirst.push(replica.name);
    else compared.push(await compareTwo(ports, replica, twin));
    twins.delete(keyOf(replica.name));
  }
  return { compared, onlyInFirst, onlyInSecond: [...twins.values()].map(({ name }) => name) };
}

function keyOf({ topicId, partition }: ReplicaName): string {
  return `${topicId}-${partition}`;
}

async function openDirectory(
  ports: VerifyPorts,
  path: string,
): Promise<{ readonly replicas: readonly ReplicaOnDisk[]; release(): Promise<void> }> {
  const { files } = ports;
  const trimmed = path.replace(/\/+$/, "");
  const own = parseDirectoryName(trimmed.slice(trimmed.lastIndexOf("/") + 1));
  const isData = (await files.read(`${trimmed}/meta.json`)) !== undefined;
  if (!isData && own === undefined) {
    throw new OttlaError(
      "INVALID_ARGUMENT",
      `${path} is neither a data directory (with meta.json) nor that of a replica (<topic>-<partition>.<topicId>)`,
    );
  }
  // A replica's directory lies in <data>/logs.
  const root = isData ? trimmed : trimmed.split("/").slice(0, -2).join("/");
  const known = (await files.read(`${root}/meta.json`)) !== undefined;
  const lock = known ? await files.lock(root) : undefined;
  try {
    const names = isData
      ? await files.list(`${root}/logs`)
      : [trimmed.slice(trimmed.lastIndexOf("/") + 1)];
    const parent = isData ? `${root}/logs` : trimmed.slice(0, trimmed.lastIndexOf("/"));
    const replicas = await describeReplicas(ports, {
      root: known ? root : undefined,
      parent,
      names,
    });
    return { replicas, release: async () => lock?.release() };
  } catch (error) {
    await lock?.release();
    throw error;
  }
}

interface Place {
  /** The data directory; undefined if the replica lies by itself. */
  readonly root: string | undefined;
  readonly parent: string;
  readonly names: readonly string[];
}

async function describeReplicas(
  ports: VerifyPorts,
  { root, parent, names }: Place,
): Promise<readonly ReplicaOnDisk[]> {
  const { files, codecs, stores, clock } = ports;
  const marksBytes = root === undefined ? undefined : await files.read(`${root}/marks`);
  const marks = marksBytes === undefined ? new Map() : decodeMarks(marksBytes, codecs.crc32c);
  const hasStates = root !== undefined && (await files.list(`${root}/broker`)).length > 0;
  const states = hasStates
    ? await ReplicaStates.open({
        stores,
        crc32c: codecs.crc32c,
        pending: new PendingOperations(clock),
        path: `${root}/broker`,
        createIfMissing: false,
      })
    : undefined;
  const out: ReplicaOnDisk[] = [];
  for (const directory of names) {
    const name = parseDirectoryName(directory);
    if (name === undefined) continue;
    const path = `${parent}/${directory}`;
    const state = states?.get(keyOf(name));
    const segments = segmentsOnDisk(path, await files.list(path), state?.swap);
    const defects: Defect[] = [];
    const stateDefect = (message: string): void => {
      defects.push({ kind: "state", offset: segments[0]?.base ?? 0, message });
    };
    if (state?.damaged === true) stateDefect("what the broker remembers of it fails its CRC");
    if (marks === undefined) stateDefect("the durable marks fail their CRC");
    out.push({
      path,
      name: { ...name, topic: state?.head?.topic ?? name.topic },
      segments,
      logStartOffset: state?.head?.logStartOffset ?? segments[0]?.base ?? 0,
      highWatermark: state?.highWatermark ?? 0,
      durableMark: marks?.get(keyOf(name))?.end ?? 0,
      clean: typeof state?.head?.cleanEnd === "number",
      cutOffset: state?.head?.cut?.offset ?? Number.POSITIVE_INFINITY,
      defects,
    });
  }
  await states?.close();
  return out;
}

/** As a start would find them: with a swap under way, the cleaned segment is the log. */
function segmentsOnDisk(
  path: string,
  names: readonly string[],
  swap: SegmentSwap | undefined,
): SegmentOnDisk[] {
  const cleaned = swap === undefined ? "" : segmentName(swap.base) + CLEANED_SUFFIX;
  const swapping = swap !== undefined && names.includes(cleaned);
  const segments: SegmentOnDisk[] = [];
  if (swapping) segments.push({ base: swap.base, path: `${path}/${cleaned}` });
  for (const name of names) {
    const base = segmentBase(name);
    if (base === undefined || (swapping && swap.replaced.includes(base))) continue;
    segments.push({ base, path: `${path}/${name}` });
  }
  return segments.sort((left, right) => left.base - right.base);
}

async function verifyReplica(ports: VerifyPorts, replica: ReplicaOnDisk): Promise<ReplicaFindings> {
  const check = new ReplicaCheck(ports, replica);
  return check.run();
}

class ReplicaCheck {
  readonly #ports: VerifyPorts;
  readonly #replica: ReplicaOnDisk;
  readonly #defects: Defect[];
  readonly #epochs = new LeaderEpochs();
  #expected: Offset;
  #batchesCount = 0;
  #recordsCount = 0;
  #sizeBytes = 0;

  constructor(ports: VerifyPorts, replica: ReplicaOnDisk) {
    this.#ports = ports;
    this.#replica = replica;
    this.#defects = [...replica.defects];
    this.#expected = Math.min(
      replica.segments[0]?.base ?? replica.logStartOffset,
      replica.logStartOffset,
    );
  }

  async run(): Promise<ReplicaFindings> {
    const { path, name, segments, durableMark, cutOffset } = this.#replica;
    for (const segment of segments) {
      const { base } = segment;
      if (base > this.#expected) {
        this.#defect("hole", `offsets ${this.#expected} to ${base - 1} are missing`);
        this.#expected = base;
      }
      try {
        await this.#segment(segment.path);
      } catch (error) {
        this.#defect("database", toOttlaError(error).message);
      }
    }
    if (this.#expected < Math.min(durableMark, cutOffset)) {
      const message = `the log ends at ${this.#expected}, below its durable mark ${durableMark}`;
      this.#defect("lost-tail", message);
    }
    return {
      path,
      topic: name.topic,
      topicId: name.topicId,
      partition: name.partition,
      segmentsCount: segments.length,
      batchesCount: this.#batchesCount,
      recordsCount: this.#recordsCount,
      sizeBytes: this.#sizeBytes,
      logStartOffset: this.#replica.logStartOffset,
      logEndOffset: this.#expected,
      highWatermark: this.#replica.highWatermark,
      durableMark,
      clean: this.#replica.clean,
      epochs: this.#epochs.starts,
      defects: this.#defects,
    };
  }

  async #segment(path: string): Promise<void> {
    const store = await this.#ports.stores.open(path, { createIfMissing: false });
    try {
      const iterator = store.iterate({});
      try {
        for (;;) {
          const entries = await iterator.next(CHUNK_ENTRIES_COUNT, CHUNK_BYTES);
          if (entries.length === 0) return;
          for (const entry of entries) if (isBatchKey(entry.key)) this.#entry(entry);
        }
      } finally {
        await iterator.close();
      }
    } finally {
      await store.close();
    }
  }

  #entry(entry: Entry): void {
    let batch: Batch;
    try {
      batch = readStoredBatch(entry);
    } catch (error) {
      this.#defect("malformed", toOttlaError(error).message);
      return;
    }
    const { header } = batch;
    if (!hasValidCrc(batch, this.#ports.codecs.crc32c)) {
      this.#defect("crc", `the batch up to offset ${lastOffset(header)} fails its CRC`);
    }
    if (lastOffset(header) >= this.#replica.cutOffset) return;
    if (header.baseOffset !== this.#expected) {
      this.#defect(
        "hole",
        `offset ${this.#expected} is missing, a batch starts at ${header.baseOffset}`,
      );
    }
    if (header.leaderEpoch < this.#epochs.latest) {
      this.#defect(
        "epoch",
        `leader epoch ${header.leaderEpoch} at offset ${header.baseOffset} follows ${this.#epochs.latest}`,
      );
    } else if (header.baseOffset >= this.#expected) {
      this.#epochs.assign(header.leaderEpoch, header.baseOffset);
    }
    this.#expected = lastOffset(header) + 1;
    this.#batchesCount++;
    this.#recordsCount += header.recordsCount;
    this.#sizeBytes += batch.bytes.length;
  }

  #defect(kind: Defect["kind"], message: string): void {
    if (this.#defects.length >= DEFECTS_COUNT_MAX) return;
    this.#defects.push({ kind, offset: this.#expected, message });
  }
}
