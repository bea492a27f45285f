/**
 * One term as the active controller. Decisions are made on a speculative image: the committed one
 * plus the records of every proposal under way, so that many may be under way at a time. All of it
 * is dropped when the term ends: what the successor found in the log is true, nothing else (C16).
 */
import { MetadataDelta } from "../metadata/delta.ts";
import type { MetadataImage } from "../metadata/image.ts";
import { encodeInEntries } from "../metadata/record-codec.ts";
import type { MetadataRecord } from "../metadata/records.ts";
import { OttlaError, toOttlaError } from "../model/errors.ts";
import type { LogIndex, Term } from "../model/ids.ts";
import { LIMITS } from "../model/limits.ts";
import type { MetadataLog } from "../runtime/metadata-log.ts";

/** Below what Raft takes, so that it never refuses an entry that the image here has in it. */
const PENDING_BYTES = LIMITS.raftUncommittedBytes / 2;
const PENDING_COUNT = LIMITS.controllerPendingCount / 2;

export class ActiveTerm {
  readonly term: Term;
  readonly sinceMs: number;
  /** The last entry of the log when the term began. */
  readonly startIndex: LogIndex;
  readonly #log: MetadataLog;
  readonly #committedImage: () => MetadataImage;
  #image: MetadataImage;
  #pendingCount = 0;
  #pendingBytes = 0;
  /** Refused proposals: as long as there are some, the image holds what the log does not. */
  #refusedCount = 0;
  #over: boolean;
  /** Settles as the last proposal does. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: {
    readonly term: Term;
    readonly sinceMs: number;
    readonly log: MetadataLog;
    readonly committedImage: () => MetadataImage;
  }) {
    this.term = options.term;
    this.sinceMs = options.sinceMs;
    this.#log = options.log;
    this.#committedImage = options.committedImage;
    this.#over = false;
    this.#image = options.committedImage();
    this.startIndex = this.#image.index;
  }

  /** Decide on this one. */
  get image(): MetadataImage {
    return this.#image;
  }

  /** False while what a refused proposal left in the image is being waited out. */
  get accepting(): boolean {
    return !this.#over && this.#refusedCount === 0;
  }

  end(): void {
    this.#over = true;
  }

  /**
   * Proposes the records, in several entries if they are many; settles with the index of the last
   * once all are committed and applied. Throws, without having done anything, NOT_CONTROLLER or
   * LIMIT_EXCEEDED; rejects with NOT_CONTROLLER when the outcome is the successor's to know.
   */
  propose(records: readonly MetadataRecord[]): Promise<LogIndex> {
    this.#checkAccepting();
    const entries = encodeInEntries(records, LIMITS.raftAppendBytes);
    let bytes = 0;
    for (const { length } of entries) {
      checkLimit("an entry of the metadata log", length, LIMITS.raftEntryBytes);
      bytes += length;
    }
    checkLimit("bytes of changes under way", this.#pendingBytes + bytes, PENDING_BYTES);
    checkLimit("changes under way", this.#pendingCount + entries.length, PENDING_COUNT);

    const delta = new MetadataDelta(this.#image);
    delta.replayAll(records);
    this.#image = delta.apply(this.#image.index, this.term);
    const settled = entries.map((entry) => this.#proposeEntry(entry));
    const all = Promise.all(settled).then((indexes) => indexes.at(-1) as LogIndex);
    this.#last = all;
    // Whoever waits for `committed` or for the proposal itself hears of the failure.
    all.catch(() => undefined);
    return all;
  }

  /**
   * Settles once everything that the image holds now is committed: an answer that rests on a change
   * under way must not go out before it.
   */
  async committed(): Promise<void> {
    this.#checkAccepting();
    await this.#last;
  }

  async #proposeEntry(entry: Uint8Array): Promise<LogIndex> {
    this.#pendingCount++;
    this.#pendingBytes += entry.length;
    try {
      return await this.#log.propose(this.term, entry);
    } catch (thrown) {
      this.#refusedCount++;
      throw new OttlaError(
        "NOT_CONTROLLER",
        `the change was not committed here: ${toOttlaError(thrown).message}`,
        { cause: thrown },
      );
    } finally {
      this.#pendingCount--;
      this.#pendingBytes -= entry.length;
      // Leadership may have been on its way to another voter that then did not take it: what was
      // refused meanwhile is not in the log, and the image begins again from what is.
      if (this.#refusedCount > 0 && this.#pendingCount === 0) {
        this.#refusedCount = 0;
        this.#image = this.#committedImage();
        this.#last = Promise.resolve();
      }
    }
  }

  #checkAccepting(): void {
    if (!this.accepting) {
      throw new OttlaError("NOT_CONTROLLER", `term ${this.term} is over on this node`);
    }
  }
}

function checkLimit(what: string, value: number, limit: number): void {
  if (value > limit) {
    throw new OttlaError("LIMIT_EXCEEDED", `${what}: ${value}; at most ${limit} are allowed`);
  }
}
