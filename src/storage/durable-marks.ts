/**
 * `<log.dir>/marks`: how far each replica of the directory was known to be fsynced. LevelDB may
 * lose the tail of its log without a word; a log that ends below its mark has lost batches that
 * this broker has vouched for. A mark is never above what is fsynced, and at most a second late.
 *
 * It also says which leader epoch wrote the last batch below it. A batch bears its epoch outside its
 * CRC (the leader writes it there), and truncation is decided by it: of a log whose end says another
 * one, nothing can be believed.
 *
 *   crc u32 · version i32 · count i32 · per replica: length of its key i16, key, end i64, epoch i32
 *
 * Version 1 had no epochs.
 */
import {
  readInt16,
  readInt32,
  readInt64,
  readUint32,
  text,
  utf8,
  writeInt16,
  writeInt32,
  writeInt64,
} from "../base/bytes.ts";
import type { LeaderEpoch, Offset } from "../model/ids.ts";
import type { Crc32c } from "../ports/codecs.ts";
import type { Files } from "../ports/files.ts";
import { Serial } from "./serial.ts";

const VERSION = 2;
const VERSION_WITHOUT_EPOCHS = 1;
const HEADER_BYTES = 12;
const UNKNOWN_EPOCH: LeaderEpoch = -1;

export interface DurableMark {
  /** Exclusive. */
  readonly end: Offset;
  /** Of the batch that ends there; -1: unknown, or there is none. */
  readonly epoch: LeaderEpoch;
}

const NO_MARK: DurableMark = { end: 0, epoch: UNKNOWN_EPOCH };

/** Undefined if the bytes are damaged. */
export function decodeMarks(
  bytes: Uint8Array,
  crc32c: Crc32c,
): Map<string, DurableMark> | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  if (crc32c(bytes.subarray(4)) >>> 0 !== readUint32(bytes, 0)) return undefined;
  const version = readInt32(bytes, 4);
  if (version !== VERSION && version !== VERSION_WITHOUT_EPOCHS) return undefined;
  const marks = new Map<string, DurableMark>();
  const count = readInt32(bytes, 8);
  let at = HEADER_BYTES;
  for (let index = 0; index < count; index++) {
    const length = readInt16(bytes, at);
    const key = text(bytes.subarray(at + 2, at + 2 + length));
    at += 2 + length;
    const epoch = version === VERSION ? readInt32(bytes, at + 8) : UNKNOWN_EPOCH;
    marks.set(key, { end: readInt64(bytes, at), epoch });
    at += version === VERSION ? 12 : 8;
  }
  return marks;
}

export function encodeMarks(marks: ReadonlyMap<string, DurableMark>, crc32c: Crc32c): Uint8Array {
  const keys = [...marks].map(([key, mark]) => ({ key: utf8(key), ...mark }));
  const size = keys.reduce((sum, { key }) => sum + 2 + key.length + 12, HEADER_BYTES);
  const bytes = new Uint8Array(size);
  writeInt32(bytes, 4, VERSION);
  writeInt32(bytes, 8, keys.length);
  let at = HEADER_BYTES;
  for (const { key, end, epoch } of keys) {
    writeInt16(bytes, at, key.length);
    bytes.set(key, at + 2);
    writeInt64(bytes, at + 2 + key.length, end);
    writeInt32(bytes, at + 2 + key.length + 8, epoch);
    at += 2 + key.length + 12;
  }
  writeInt32(bytes, 0, crc32c(bytes.subarray(4)));
  return bytes;
}

export interface DurableMarksOptions {
  readonly files: Files;
  readonly crc32c: Crc32c;
  readonly path: string;
}

export class DurableMarks {
  readonly #options: DurableMarksOptions;
  readonly #marks: Map<string, DurableMark>;
  readonly #serial = new Serial();
  #scheduled: Promise<void> | undefined;
  #changed = false;
  /** The file was there and failed its CRC: what it vouched for is unknown. */
  readonly damaged: boolean;

  private constructor(options: DurableMarksOptions, marks: Map<string, DurableMark> | undefined) {
    this.#options = options;
    this.#marks = marks ?? new Map();
    this.damaged = marks === undefined;
  }

  static async open(options: DurableMarksOptions): Promise<DurableMarks> {
    const bytes = await options.files.read(options.path);
    const marks = bytes === undefined ? new Map() : decodeMarks(bytes, options.crc32c);
    return new DurableMarks(options, marks);
  }

  /** At 0 if nothing was ever fsynced. */
  get(replica: string): DurableMark {
    return this.#marks.get(replica) ?? NO_MARK;
  }

  replicas(): readonly string[] {
    return [...this.#marks.keys()];
  }

  set(replica: string, { end, epoch }: DurableMark): void {
    const old = this.#marks.get(replica);
    if (old?.end === end && old.epoch === epoch) return;
    this.#marks.set(replica, { end, epoch });
    this.#changed = true;
  }

  /**
   * The replica has not what the mark vouches for: it stays, until the replica holds as much again,
   * but that may be of another leader's then.
   */
  forgetEpoch(replica: string): void {
    const { end } = this.get(replica);
    if (end > 0) this.set(replica, { end, epoch: UNKNOWN_EPOCH });
  }

  delete(replica: string): void {
    if (this.#marks.delete(replica)) this.#changed = true;
  }

  /** Settles when the marks as they are now, or later ones, survive power loss. */
  write(): Promise<void> {
    this.#scheduled ??= this.#serial.run(async () => {
      this.#scheduled = undefined;
      if (!this.#changed) return;
      this.#changed = false;
      try {
        const content = encodeMarks(this.#marks, this.#options.crc32c);
        await this.#options.files.replace(this.#options.path, content);
      } catch (error) {
        this.#changed = true;
        throw error;
      }
    });
    return this.#scheduled;
  }
}
