/**
 * Kafka's framing: a length of 4 bytes, then as many. A frame that lies in one chunk is a view of
 * it; one that spans chunks is put together once it is whole, so that memory follows what has
 * arrived and never what a length claims.
 */
import { concatBytes, readInt32 } from "../../base/bytes.ts";

const LENGTH_BYTES = 4;
/** API key, version, correlation id, and a client id that is null. */
const FRAME_LEAST_BYTES = 10;

/** Why the stream makes no sense; nothing after it can be read. */
export type FrameRefusal = "tls" | "http" | "too-large" | "too-small";

export interface TakenFrames {
  readonly frames: readonly Uint8Array[];
  readonly refusal: FrameRefusal | undefined;
}

export class FrameSplitter {
  readonly #limitBytes: number;
  /** What has arrived of the frame that is not whole, its length included. */
  #parts: Uint8Array[] = [];
  #heldBytes = 0;
  /** Of the frame that is not whole; -1 while less than its length has arrived. */
  #sizeBytes = -1;
  #first = true;

  /** `limitBytes`: `socket.request.max.bytes`. */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Bytes that have arrived of a frame that is not whole. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Takes the next bytes of the stream; returns the frames that they complete, in order. */
  take(chunk: Uint8Array): TakenFrames {
    const frames: Uint8Array[] = [];
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#sizeBytes < 0) {
        if (this.#heldBytes + rest.length < LENGTH_BYTES) {
          this.#hold(rest);
          break;
        }
        // At most three bytes: a length that spans chunks.
        if (this.#heldBytes > 0) rest = concatBytes([...this.#release(), rest]);
        const size = readInt32(rest, 0);
        const refusal = this.#refusal(rest, size);
        if (refusal !== undefined) return { frames, refusal };
        this.#first = false;
        this.#sizeBytes = size + LENGTH_BYTES;
      }
      const missing = this.#sizeBytes - this.#heldBytes;
      if (rest.length < missing) {
        this.#hold(rest);
        break;
      }
      const last = rest.subarray(0, missing);
      rest = rest.subarray(missing);
      const whole = this.#heldBytes === 0 ? last : concatBytes([...this.#release(), last]);
      this.#sizeBytes = -1;
      frames.push(whole.subarray(LENGTH_BYTES));
    }
    return { frames, refusal: undefined };
  }

  #hold(bytes: Uint8Array): void {
    this.#parts.push(bytes);
    this.#heldBytes += bytes.length;
  }

  #release(): Uint8Array[] {
    const parts = this.#parts;
    this.#parts = [];
    this.#heldBytes = 0;
    return parts;
  }

  #refusal(bytes: Uint8Array, size: number): FrameRefusal | undefined {
    if (this.#first && looksLikeTls(bytes)) return "tls";
    if (this.#first && looksLikeHttp(bytes)) return "http";
    if (size > this.#limitBytes) return "too-large";
    return size < FRAME_LEAST_BYTES ? "too-small" : undefined;
  }
}

/** A handshake record (22) of version 3.x: read as a length, more than 350 MB. */
function looksLikeTls(bytes: Uint8Array): boolean {
  return bytes[0] === 0x16 && bytes[1] === 0x03;
}

/** Four capital letters or a blank, as every method begins: read as a length, more than 1 GB. */
function looksLikeHttp(bytes: Uint8Array): boolean {
  for (let at = 0; at < LENGTH_BYTES; at++) {
    const byte = bytes[at] as number;
    if ((byte < 0x41 || byte > 0x5a) && !(byte === 0x20 && at >= 3)) return false;
  }
  return true;
}
