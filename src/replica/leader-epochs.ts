/**
 * Which leader epoch wrote which offsets of one log (KIP-101): strictly rising pairs of epoch and
 * the first offset written in it. What truncation is decided by.
 */
import { assert } from "../base/assert.ts";
import type { LeaderEpoch, Offset } from "../model/ids.ts";

export interface EpochStart {
  readonly epoch: LeaderEpoch;
  readonly startOffset: Offset;
}

export interface EpochEnd {
  /** The largest epoch of the log that is <= the one asked for; -1 if there is none. */
  readonly epoch: LeaderEpoch;
  /** Where that epoch ends: the start of the next one, or the log's end. */
  readonly endOffset: Offset;
}

export class LeaderEpochs {
  #starts: EpochStart[];

  constructor(starts: readonly EpochStart[] = []) {
    this.#starts = [];
    for (const { epoch, startOffset } of starts) this.assign(epoch, startOffset);
  }

  get starts(): readonly EpochStart[] {
    return this.#starts;
  }

  /** Epoch of the log's last batch; -1 for none. */
  get latest(): LeaderEpoch {
    return this.#starts.at(-1)?.epoch ?? -1;
  }

  /** Notes that a batch at `startOffset` bears `epoch`; does nothing if that epoch has begun. */
  assign(epoch: LeaderEpoch, startOffset: Offset): void {
    const last = this.#starts.at(-1);
    if (last !== undefined) {
      if (last.epoch === epoch) return;
      assert(epoch > last.epoch, `leader epoch ${epoch} after ${last.epoch}`);
      assert(
        startOffset > last.startOffset,
        `epoch ${epoch} starts at ${startOffset}, not after ${last.startOffset}`,
      );
    }
    this.#starts.push({ epoch, startOffset });
  }

  /** OffsetsForLeaderEpoch (KIP-279): where `epoch`, or the largest one below it, ends here. */
  endOf(epoch: LeaderEpoch, logEndOffset: Offset): EpochEnd {
    for (let index = this.#starts.length - 1; index >= 0; index--) {
      const start = this.#starts[index] as EpochStart;
      if (start.epoch <= epoch) {
        const next = this.#starts[index + 1];
        return { epoch: start.epoch, endOffset: next?.startOffset ?? logEndOffset };
      }
    }
    return { epoch: -1, endOffset: this.#starts[0]?.startOffset ?? logEndOffset };
  }

  /** The epoch that wrote `offset`; -1 if unknown. */
  epochAt(offset: Offset): LeaderEpoch {
    for (let index = this.#starts.length - 1; index >= 0; index--) {
      const start = this.#starts[index] as EpochStart;
      if (start.startOffset <= offset) return start.epoch;
    }
    return -1;
  }

  /** Forgets what starts at or above `endOffset`: the log was cut there. */
  truncateTo(endOffset: Offset): void {
    this.#starts = this.#starts.filter(({ startOffset }) => startOffset < endOffset);
  }

  /** The log starts at `startOffset` now: the epoch that covers it begins there. */
  raiseStart(startOffset: Offset): void {
    const covering = this.#starts.filter((start) => start.startOffset <= startOffset).at(-1);
    const later = this.#starts.filter((start) => start.startOffset > startOffset);
    this.#starts =
      covering === undefined ? later : [{ epoch: covering.epoch, startOffset }, ...later];
  }

  clear(): void {
    this.#starts = [];
  }
}
