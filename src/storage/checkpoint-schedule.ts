/** When a log takes a checkpoint, and which ones it keeps. */
import type { Offset } from "../model/ids.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { StateChange } from "./replica-states.ts";
import type { Segment } from "./segment.ts";

/** Recovery and truncation read at most about this much after a checkpoint. */
const INTERVAL_BYTES = 16 * 1024 * 1024;
/** Older ones would serve only a truncation that reaches far below the high watermark. */
const KEPT_COUNT = 8;

export class CheckpointSchedule {
  readonly #replica: string;
  /** Ascending. */
  #offsets: Offset[];
  /** Size of the active segment when the last checkpoint was taken. */
  #coveredBytes: number;

  constructor(replica: string, offsets: readonly Offset[], active: Segment) {
    this.#replica = replica;
    this.#offsets = [...offsets];
    this.#coveredBytes = active.sizeBytes;
  }

  isDue(active: Segment): boolean {
    return active.sizeBytes - this.#coveredBytes >= INTERVAL_BYTES;
  }

  /** A checkpoint is taken now that covers the whole of the active segment. */
  taken(active: Segment): void {
    this.#coveredBytes = active.sizeBytes;
  }

  /** What drops the checkpoints within `(from, to)`: the batches that they were taken at are gone. */
  forgetting(from: Offset, to: Offset): StateChange[] {
    const isWithin = (offset: Offset): boolean => offset > from && offset < to;
    const gone = this.#offsets.filter(isWithin);
    this.#offsets = this.#offsets.filter((offset) => !isWithin(offset));
    return gone.map((offset) => ({ type: "drop-checkpoint", replica: this.#replica, offset }));
  }

  /** What stores a checkpoint and drops those that it makes superfluous. */
  storing(checkpoint: Checkpoint): StateChange[] {
    const changes: StateChange[] = [{ type: "checkpoint", replica: this.#replica, checkpoint }];
    if (this.#offsets.at(-1) !== checkpoint.offset) this.#offsets.push(checkpoint.offset);
    while (this.#offsets.length > KEPT_COUNT) {
      const offset = this.#offsets.shift() as Offset;
      changes.push({ type: "drop-checkpoint", replica: this.#replica, offset });
    }
    return changes;
  }
}
