/**
 * Snapshots of the metadata:
 * - R17, identity: the snapshot of an index is the same on every node and in every piece that is
 *   sent of it, and it is what replaying the log up to there gives;
 * - R18, installation: what a log begins behind never falls, nothing that the snapshot stands for
 *   stays in the log, and a node is committed at least that far;
 * - R19, compaction: nothing is removed from a log that no snapshot beside it holds.
 * Sources: Ongaro 2014, chapter 5; etcd #18055 (two snapshots in flight).
 */
import type { MetadataImage } from "../../../src/metadata/image.ts";
import type { LogIndex } from "../../../src/model/ids.ts";
import type { SnapshotRequest } from "../../../src/raft/messages.ts";
import type { ObservedRaftLog, StoredSnapshot } from "../cluster/observed-quorum.ts";
import type { Invariant, MetadataStep, RunContext } from "../cluster/run-context.ts";
import { crc32c } from "../world/sim-codecs.ts";
import { imageFingerprint } from "./image-fingerprint.ts";

export interface SnapshotsOptions {
  /** What the state machine makes of a snapshot, if that is metadata. */
  readonly load?: (snapshot: StoredSnapshot) => MetadataImage;
}

interface Known {
  readonly term: number;
  readonly sizeBytes: number;
  crc: number | undefined;
}

const IMAGES_KEPT = 3_000;

export function snapshots(context: RunContext, options: SnapshotsOptions = {}): Invariant {
  const known = new Map<LogIndex, Known>();
  const pieces = new Map<string, number>();
  const images = new Map<LogIndex, MetadataImage>();
  let moved: ObservedRaftLog[] = [];

  function identify(index: LogIndex, term: number, sizeBytes: number, where: string): Known {
    const first = known.get(index);
    if (first === undefined) {
      const made = { term, sizeBytes, crc: undefined };
      known.set(index, made);
      return made;
    }
    if (first.term !== term || first.sizeBytes !== sizeBytes) {
      context.fail(
        "R17 snapshots of an index are equal",
        `at ${index} ${where} has ${sizeBytes} bytes of term ${term}, others ${first.sizeBytes} of term ${first.term}`,
      );
    }
    return first;
  }

  function onPiece(node: string, { head, offset, bytes }: SnapshotRequest): void {
    identify(head.index, head.term, head.sizeBytes, node);
    const key = `${head.index} ${offset}+${bytes.length}`;
    const crc = crc32c(bytes);
    const first = pieces.get(key);
    if (first === undefined) pieces.set(key, crc);
    else if (first !== crc) {
      context.fail("R17 snapshots of an index are equal", `${node} sends another piece ${key}`);
    }
  }

  function checkStored(log: ObservedRaftLog): void {
    const snapshot = log.snapshot();
    if (snapshot === undefined) return;
    const { index, term, bytes } = snapshot;
    const first = identify(index, term, bytes.length, log.node);
    const crc = crc32c(bytes);
    first.crc ??= crc;
    if (first.crc !== crc) {
      context.fail("R17 snapshots of an index are equal", `${log.node} stores another at ${index}`);
    }
    const replayed = images.get(index);
    if (options.load === undefined || replayed === undefined) return;
    const loaded = imageFingerprint(options.load(snapshot));
    if (loaded === imageFingerprint(replayed)) return;
    context.fail(
      "R17 a snapshot is the replay of the log",
      `at ${index} ${log.node} stores ${loaded}, replayed is ${imageFingerprint(replayed)}`,
    );
  }

  function keep({ index, after }: MetadataStep): void {
    images.set(index, after);
    if (images.size > IMAGES_KEPT) images.delete(images.keys().next().value as LogIndex);
  }

  return {
    // Only who can load a snapshot has an image to compare it with.
    ...(options.load === undefined ? {} : { onMetadata: keep }),
    onRaftSent({ node, message }) {
      if (message.type === "snapshot-request") onPiece(node, message);
    },
    onRaftBase(log, before) {
      // A loss of power may take an unsynced compaction back.
      if (log.machine.incarnation === undefined) return;
      if (log.base.index < before.index) {
        context.fail(
          "R18 a log never begins earlier again",
          `${log.node} begins behind ${log.base.index} after ${before.index}`,
        );
      }
      if (log.snapshotIndex < log.base.index) {
        context.fail(
          "R19 only what a snapshot holds is removed",
          `${log.node} begins behind ${log.base.index}, its snapshot ends at ${log.snapshotIndex}`,
        );
      }
      moved.push(log);
    },
    onQuorum({ node, after }) {
      const { base } = context.quorum.log(node);
      if (after.commitIndex >= base.index) return;
      context.fail(
        "R18 a snapshot is committed",
        `${node} has committed ${after.commitIndex}, its log begins behind ${base.index}`,
      );
    },
    afterEvent() {
      if (moved.length === 0) return;
      for (const log of moved) {
        checkStored(log);
        for (const index of log.entries.keys()) {
          if (index > log.base.index) continue;
          context.fail(
            "R18 nothing of the log is left below its snapshot",
            `${log.node} keeps entry ${index}, its log begins behind ${log.base.index}`,
          );
          break;
        }
      }
      moved = [];
    },
    onRest() {
      for (const node of context.nodes) checkStored(context.quorum.log(node));
    },
  };
}
