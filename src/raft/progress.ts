/** What a leader knows about one other node's log, and what it may send next. */
import type { LogIndex } from "../model/ids.ts";
import type { RaftNode } from "./messages.ts";

/**
 * `probe`: where the logs part is not known; one append at a time looks for it.
 * `replicate`: the logs agree up to `matchIndex`; appends follow each other without waiting.
 * `snapshot`: the entries that the node needs are gone; chunks are sent one at a time.
 */
export type ProgressState = "probe" | "replicate" | "snapshot";

interface InflightAppend {
  readonly lastIndex: LogIndex;
  readonly bytes: number;
}

export class Progress {
  readonly node: RaftNode;
  voter: boolean;
  state: ProgressState = "probe";
  /** The highest index known to match and to be durable there: `matchIndex < nextIndex`. */
  matchIndex: LogIndex = 0;
  nextIndex: LogIndex;
  /** In `probe`: an append is under way; a heartbeat allows the next. */
  probeSent: boolean;
  /** The highest commit index sent; a rise is told at once, without waiting for a heartbeat. */
  sentCommitIndex: LogIndex = 0;
  lastContactTick: number;

  /** In `snapshot`: which one, how far, and when the chunk under way left (-1: none). */
  snapshotIndex: LogIndex = 0;
  snapshotOffset = 0;
  chunkSentTick = -1;

  #inflight: InflightAppend[] = [];
  #inflightBytes = 0;

  constructor(options: { node: RaftNode; voter: boolean; nextIndex: LogIndex; tick: number }) {
    this.node = options.node;
    this.voter = options.voter;
    this.nextIndex = options.nextIndex;
    this.lastContactTick = options.tick;
    this.probeSent = false;
  }

  get inflightCount(): number {
    return this.#inflight.length;
  }

  get inflightBytes(): number {
    return this.#inflightBytes;
  }

  becomeProbe(nextIndex: LogIndex): void {
    this.state = "probe";
    this.nextIndex = Math.max(nextIndex, this.matchIndex + 1);
    this.probeSent = false;
    this.#clearInflight();
  }

  becomeReplicate(): void {
    this.state = "replicate";
    this.nextIndex = this.matchIndex + 1;
    this.#clearInflight();
  }

  becomeSnapshot(snapshotIndex: LogIndex): void {
    this.state = "snapshot";
    this.snapshotIndex = snapshotIndex;
    this.snapshotOffset = 0;
    this.chunkSentTick = -1;
    this.#clearInflight();
  }

  /** Entries up to `lastIndex` left in one append. */
  appended(lastIndex: LogIndex, bytes: number): void {
    this.nextIndex = lastIndex + 1;
    this.#inflight.push({ lastIndex, bytes });
    this.#inflightBytes += bytes;
  }

  /** Returns whether `matchIndex` rose. */
  matchedUpTo(index: LogIndex): boolean {
    let freed = 0;
    for (const append of this.#inflight) {
      if (append.lastIndex > index) break;
      this.#inflightBytes -= append.bytes;
      freed++;
    }
    if (freed > 0) this.#inflight = this.#inflight.slice(freed);
    this.nextIndex = Math.max(this.nextIndex, index + 1);
    if (index <= this.matchIndex) return false;
    this.matchIndex = index;
    return true;
  }

  #clearInflight(): void {
    this.#inflight = [];
    this.#inflightBytes = 0;
  }
}
