/**
 * A small value in two slots of one file, written in turn. Each slot lies in a page of its own, so
 * that a torn write damages only the slot that it was meant for:
 *
 *   0 magic u32 · 4 sequence u64 · 12 length u32 · 16 CRC-32C u32 of sequence, length, value · 20 value
 */
import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { crc32c } from "@node-rs/crc32";
import { assert } from "../base/assert.ts";
import { readInt64, readUint32, writeInt32, writeInt64 } from "../base/bytes.ts";
import { OttlaError } from "../model/errors.ts";
import type { SlotFile } from "../ports/files.ts";
import { storageError, syncDirectory } from "./durable-directory.ts";

const SLOT_BYTES = 4_096;
const HEAD_BYTES = 20;
const VALUE_BYTES_MAX = 4_000;
/** "OTSL" */
const MAGIC = 0x4f54534c;

interface Slot {
  readonly index: 0 | 1;
  readonly sequence: number;
  readonly value: Uint8Array;
}

/** Rejects with DIRECTORY_DAMAGED if both slots were written and neither is whole. */
export async function openSlotFile(path: string): Promise<SlotFile> {
  try {
    const handle = await openOrCreate(path);
    try {
      const content = new Uint8Array(2 * SLOT_BYTES);
      await handle.read(content, 0, content.length, 0);
      return new NodeSlotFile(path, handle, newest(path, content));
    } catch (thrown) {
      await handle.close();
      throw thrown;
    }
  } catch (thrown) {
    throw storageError(thrown, `cannot open ${path}`);
  }
}

/** At its full size from the first moment on, so that later writes change no metadata. */
async function openOrCreate(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r+");
  } catch (thrown) {
    if ((thrown as { readonly code?: unknown }).code !== "ENOENT") throw thrown;
  }
  const handle = await open(path, "wx+");
  try {
    await handle.writeFile(new Uint8Array(2 * SLOT_BYTES));
    await handle.sync();
    await syncDirectory(dirname(path));
    return handle;
  } catch (thrown) {
    await handle.close();
    throw thrown;
  }
}

function newest(path: string, content: Uint8Array): Slot | undefined {
  const slots = [readSlot(content, 0), readSlot(content, 1)];
  if (slots.every((slot) => slot === "damaged")) {
    throw new OttlaError("DIRECTORY_DAMAGED", `${path}: neither of its two slots is whole`);
  }
  const whole = slots.filter((slot) => slot !== "empty" && slot !== "damaged");
  return whole.sort((left, right) => right.sequence - left.sequence)[0];
}

function readSlot(content: Uint8Array, index: 0 | 1): Slot | "empty" | "damaged" {
  const bytes = content.subarray(index * SLOT_BYTES, (index + 1) * SLOT_BYTES);
  if (bytes.every((byte) => byte === 0)) return "empty";
  const length = readUint32(bytes, 12);
  if (readUint32(bytes, 0) !== MAGIC || length > VALUE_BYTES_MAX) return "damaged";
  const value = bytes.slice(HEAD_BYTES, HEAD_BYTES + length);
  if (readUint32(bytes, 16) !== checksum(bytes, value)) return "damaged";
  return { index, sequence: readInt64(bytes, 4), value };
}

function checksum(head: Uint8Array, value: Uint8Array): number {
  return crc32c(value, crc32c(head.subarray(4, 16)));
}

class NodeSlotFile implements SlotFile {
  readonly #path: string;
  readonly #handle: FileHandle;
  #newest: Slot | undefined;
  #state: "idle" | "writing" | "closed" = "idle";

  constructor(path: string, handle: FileHandle, newestSlot: Slot | undefined) {
    this.#path = path;
    this.#handle = handle;
    this.#newest = newestSlot;
  }

  read(): Uint8Array | undefined {
    return this.#newest?.value;
  }

  /** A failed write leaves the newest value where it is: the next one goes to the same slot again. */
  async write(value: Uint8Array): Promise<void> {
    assert(value.length <= VALUE_BYTES_MAX, `${value.length} bytes do not fit a slot`);
    if (this.#state === "closed") throw new OttlaError("CLOSED", `${this.#path} is closed`);
    assert(this.#state === "idle", `writes to ${this.#path} overlap`);
    const index = this.#newest?.index === 0 ? 1 : 0;
    const sequence = (this.#newest?.sequence ?? 0) + 1;
    const bytes = new Uint8Array(HEAD_BYTES + value.length);
    writeInt32(bytes, 0, MAGIC);
    writeInt64(bytes, 4, sequence);
    writeInt32(bytes, 12, value.length);
    bytes.set(value, HEAD_BYTES);
    const kept = bytes.subarray(HEAD_BYTES);
    writeInt32(bytes, 16, checksum(bytes, kept));
    this.#state = "writing";
    try {
      await this.#handle.write(bytes, 0, bytes.length, index * SLOT_BYTES);
      await this.#handle.datasync();
      this.#newest = { index, sequence, value: kept };
    } catch (thrown) {
      throw storageError(thrown, `cannot write ${this.#path}`);
    } finally {
      if (this.#state === "writing") this.#state = "idle";
    }
  }

  async close(): Promise<void> {
    if (this.#state === "closed") return;
    this.#state = "closed";
    await this.#handle.close();
  }
}
