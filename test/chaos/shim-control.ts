/**
 * The test's side of the shim (`shim/chaos.c`): the page that tells a broker's shim what to do, and
 * what it noted of syncs.
 */
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

const PAGE_BYTES = 4096;
const NOTE_BYTES = 32;
const CREATED = 1n;

/** Places in the page, by the order of `struct control`. */
const SLOTS = {
  syncFails: 0,
  syncDelayUs: 1,
  wallOffsetMs: 2,
  descriptors: 3,
  syncsFailed: 4,
} as const;
type Slot = keyof typeof SLOTS;

export class ShimControl {
  readonly #directory: string;

  /** Makes the directory that is mounted into the container. */
  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true });
    // The broker runs as another user than the test.
    chmodSync(directory, 0o777);
    for (const [name, bytes] of [
      ["control", PAGE_BYTES],
      ["synced", 0],
    ] as const) {
      writeFileSync(join(directory, name), Buffer.alloc(bytes));
      chmodSync(join(directory, name), 0o666);
    }
  }

  set(slot: Exclude<Slot, "syncsFailed">, value: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(Math.round(value)));
    const fd = openSync(join(this.#directory, "control"), "r+");
    try {
      writeSync(fd, bytes, 0, 8, SLOTS[slot] * 8);
    } finally {
      closeSync(fd);
    }
  }

  get(slot: Slot): number {
    const bytes = Buffer.alloc(8);
    const fd = openSync(join(this.#directory, "control"), "r");
    try {
      readSync(fd, bytes, 0, 8, SLOTS[slot] * 8);
    } finally {
      closeSync(fd);
    }
    return Number(bytes.readBigInt64LE());
  }

  /** Everything as if there were no shim. */
  calm(): void {
    for (const slot of ["syncFails", "syncDelayUs", "wallOffsetMs", "descriptors"] as const) {
      this.set(slot, 0);
    }
  }

  /** Durable bytes by file, as `fileIdentity` names it; a file that is missing was never synced. */
  syncedBytes(): ReadonlyMap<string, number> {
    const notes = readFileSync(join(this.#directory, "synced"));
    const bytes = new Map<string, number>();
    for (let at = 0; at + NOTE_BYTES <= notes.length; at += NOTE_BYTES) {
      const file = `${notes.readBigUInt64LE(at + 8)}:${notes.readBigUInt64LE(at + 16)}`;
      const size = Number(notes.readBigInt64LE(at + 24));
      // A file that was opened empty begins anew; the length that is durable may also fall, by a cut.
      bytes.set(file, notes.readBigInt64LE(at) === CREATED ? 0 : size);
    }
    return bytes;
  }
}

export interface PowerLoss {
  readonly files: number;
  /** Files that lost bytes, and how many bytes all of them. */
  readonly cut: number;
  readonly bytes: number;
}

/**
 * Leaves of every file below `data` what was synced. Only for a broker that does not run. Files that
 * never were synced stay, empty: that a name has gone is not made here.
 */
export function losePower(data: string, synced: ReadonlyMap<string, number>): PowerLoss {
  let [files, cut, bytes] = [0, 0, 0];
  for (const path of filesBelow(data)) {
    const { dev, ino, size } = statSync(path, { bigint: true });
    const keep = synced.get(`${dev}:${ino}`) ?? 0;
    files++;
    if (Number(size) <= keep) continue;
    truncateSync(path, keep);
    cut++;
    bytes += Number(size) - keep;
  }
  return { files, cut, bytes };
}

/** Every regular file, in the order of names, so that a seed draws the same one again. */
export function filesBelow(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** Removes all that is in a directory, and not itself: it may be a mount. */
export function emptyDirectory(directory: string): void {
  for (const name of readdirSync(directory)) {
    rmSync(join(directory, name), { recursive: true, force: true });
  }
}
