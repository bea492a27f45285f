/**
 * What a loss of power leaves of LevelDB's write-ahead log, as far as its reader then gives it back.
 * The log is a row of blocks of 32 KiB; a write is one record, cut into fragments at the ends of
 * blocks, each with a head of 7 bytes. The reader (LevelDB 1.20, checks that Node cannot make
 * stricter) goes on behind damage: what is damaged in a block takes the rest of the block with it,
 * and a record that began or ended there; later blocks are read. A tail that is cut off is no damage
 * at all. `test/conformance/power-loss.test.ts` does the same to real files.
 */
import type { Prng } from "../../../src/base/prng.ts";

/** What happens to the part of the log that no sync has covered. */
export type PowerLossShape =
  /** All of it arrived. */
  | "kept"
  /** It is cut off somewhere, perhaps within a record. */
  | "suffix"
  /** Only the last record is incomplete. */
  | "torn"
  /** One block of 32 KiB did not arrive, what follows did. */
  | "hole"
  /** 4 to 64 KiB, in pages of 4 KiB, are zeros. */
  | "zeroed"
  /** The file's name is gone; or nothing of it arrived. */
  | "missing";

export const BLOCK_BYTES = 32 * 1024;
const PAGE_BYTES = 4 * 1024;
const FRAGMENT_HEAD_BYTES = 7;
const BATCH_HEAD_BYTES = 12;

/** In a batch: its type, two lengths, key and value. */
export function operationBytes(keyBytes: number, valueBytes: number | undefined): number {
  const key = 1 + varintBytes(keyBytes) + keyBytes;
  return valueBytes === undefined ? key : key + varintBytes(valueBytes) + valueBytes;
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

export interface Extent {
  readonly begin: number;
  readonly end: number;
}

/** Where records lie in a log that is `from` bytes long before the first of them. */
export function layOut(from: number, recordsBytes: readonly number[]): readonly Extent[] {
  let at = from;
  return recordsBytes.map((operationsBytes) => {
    at = behindPadding(at);
    const begin = at;
    let left = BATCH_HEAD_BYTES + operationsBytes;
    do {
      at = behindPadding(at);
      const room = BLOCK_BYTES - (at % BLOCK_BYTES) - FRAGMENT_HEAD_BYTES;
      const fragment = Math.min(left, room);
      at += FRAGMENT_HEAD_BYTES + fragment;
      left -= fragment;
    } while (left > 0);
    return { begin, end: at };
  });
}

/** A block's last bytes stay empty where no fragment's head fits. */
function behindPadding(at: number): number {
  const space = BLOCK_BYTES - (at % BLOCK_BYTES);
  return space < FRAGMENT_HEAD_BYTES ? at + space : at;
}

export function drawShape(prng: Prng): PowerLossShape {
  const drawn = prng.below(100);
  if (drawn < 15) return "kept";
  if (drawn < 25) return "missing";
  if (drawn < 60) return "suffix";
  if (drawn < 70) return "torn";
  return drawn < 85 ? "hole" : "zeroed";
}

/** Which of the records, in their order, are found at the next opening. */
export function survivors(
  shape: PowerLossShape,
  records: readonly Extent[],
  prng: Prng,
): readonly boolean[] {
  const begin = records[0]?.begin ?? 0;
  const end = records.at(-1)?.end ?? 0;
  switch (shape) {
    case "kept":
      return records.map(() => true);
    case "missing":
      return records.map(() => false);
    case "suffix": {
      const cut = begin + prng.below(end - begin + 1);
      return records.map((record) => record.end <= cut);
    }
    case "torn":
      return records.map((_, index) => index < records.length - 1);
    case "hole": {
      const firstBlock = Math.floor(begin / BLOCK_BYTES);
      const block = prng.between(firstBlock, Math.floor((end - 1) / BLOCK_BYTES));
      const from = Math.max(begin, block * BLOCK_BYTES);
      return untouched(records, from, (block + 1) * BLOCK_BYTES);
    }
    case "zeroed": {
      const firstPage = Math.floor(begin / PAGE_BYTES);
      const page = prng.between(firstPage, Math.floor((end - 1) / PAGE_BYTES));
      const from = Math.max(begin, page * PAGE_BYTES);
      return untouched(records, from, (page + prng.between(1, 16)) * PAGE_BYTES);
    }
  }
}

/** Zeros of `[from, to)` hide what follows in their last block, too. */
function untouched(records: readonly Extent[], from: number, to: number): boolean[] {
  const hidden = Math.ceil(to / BLOCK_BYTES) * BLOCK_BYTES;
  return records.map(({ begin, end }) => end <= from || begin >= hidden);
}
