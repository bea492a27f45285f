/**
 * The segments of one log, oldest first, the last one active. Appending goes on at the end whatever
 * happens to the sealed ones before it, which retention drops and the log cleaner replaces: one of
 * these at a time.
 */
import type { Offset } from "../model/ids.ts";
import type { LogContext } from "./log-context.ts";
import type { StateChange } from "./replica-states.ts";
import type { Segment } from "./segment.ts";
import { carryOutSwap, cleanedPath } from "./segment-swap.ts";
import { Serial } from "./serial.ts";

export class SegmentLayout {
  readonly #context: LogContext;
  readonly #serial = new Serial();
  #segments: Segment[];
  #sizeBytes: number;

  constructor(context: LogContext, segments: readonly Segment[]) {
    this.#context = context;
    this.#segments = [...segments];
    this.#sizeBytes = sizeOf(segments);
  }

  get segments(): readonly Segment[] {
    return this.#segments;
  }

  get active(): Segment {
    return this.#segments.at(-1) as Segment;
  }

  /** Of the batches in all segments. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** The segment that the batch ending below `offset` lies in. */
  before(offset: Offset): Segment | undefined {
    return this.#segments.findLast(({ baseOffset }) => baseOffset < offset);
  }

  push(segment: Segment): void {
    this.#segments.push(segment);
  }

  /** Counts what was appended to the active segment. */
  grow(bytes: number): void {
    this.#sizeBytes += bytes;
  }

  /** The log was cut: these are its segments now. */
  replaceAll(segments: readonly Segment[]): void {
    this.#segments = [...segments];
    this.#sizeBytes = sizeOf(segments);
  }

  /** Settles when nothing moves any more. */
  settled(): Promise<void> {
    return this.#serial.run(() => Promise.resolve());
  }

  /**
   * Takes the sealed segments below `offset` out of the log, in one commit with `change`; returns
   * them: their directories are to be removed. `onCommitted` runs before they leave.
   */
  dropBelow(
    offset: Offset,
    change: StateChange,
    onCommitted: () => void,
  ): Promise<readonly Segment[]> {
    return this.#serial.run(async () => {
      const { directory, key: replica } = this.#context;
      const count = this.#segments.findIndex(
        ({ sealed, endOffset }) => !sealed || endOffset > offset,
      );
      const dropped = this.#segments.slice(0, count);
      const drops = dropped.map(
        ({ baseOffset }) => ({ type: "drop-segment", replica, baseOffset }) as const,
      );
      await directory.states.commit([change, ...drops]);
      onCommitted();
      this.#segments = this.#segments.slice(count);
      this.#sizeBytes -= sizeOf(dropped);
      for (const segment of dropped) segment.dropped = true;
      return dropped;
    });
  }

  /**
   * Puts `cleaned`, which lies whole and fsynced under its `.cleaned` path, in the place of
   * `replaced`, in one commit with `changes`. False if one of them has left the log meanwhile, or
   * `isOver` says so: nothing has happened then. See `segment-swap.ts` for the steps.
   */
  swap(
    replaced: readonly Segment[],
    cleaned: Segment,
    { changes, isOver }: { changes(): readonly StateChange[]; isOver(): boolean },
  ): Promise<boolean> {
    return this.#serial.run(async () => {
      const { directory, key: replica, path, pool, ports } = this.#context;
      const base = cleaned.baseOffset;
      if (isOver() || !this.#holds(replaced)) return false;
      const swap = { base, replaced: replaced.map(({ baseOffset }) => baseOffset) };
      await directory.states.commit([
        { type: "swap", replica, swap },
        { type: "segment", replica, segment: cleaned.summary() },
        ...swap.replaced
          .filter((baseOffset) => baseOffset !== base)
          .map((baseOffset) => ({ type: "drop-segment", replica, baseOffset }) as const),
        ...changes(),
      ]);
      const paths = [...replaced.map((segment) => segment.path), cleanedPath(cleaned.path)];
      let aside: readonly string[] = [];
      await pool.withClosed(paths, async () => {
        aside = await carryOutSwap(ports.files, path, swap);
        const at = this.#segments.indexOf(replaced[0] as Segment);
        this.#segments.splice(at, replaced.length, cleaned);
        this.#sizeBytes += cleaned.sizeBytes - sizeOf(replaced);
        cleaned.onDisk = true;
        cleaned.sealed = true;
        for (const segment of replaced) segment.replaced = true;
      });
      await directory.states.commit([{ type: "drop-swap", replica }]);
      for (const doomed of aside) await ports.files.remove(doomed);
      return true;
    });
  }

  #holds(segments: readonly Segment[]): boolean {
    const at = this.#segments.indexOf(segments[0] as Segment);
    return at >= 0 && segments.every((segment, index) => this.#segments[at + index] === segment);
  }
}

function sizeOf(segments: readonly Segment[]): number {
  return segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
