/**
 * Memory of full-sized batches, used again: fresh pages cost the kernel's zeroing and the garbage
 * collector's attention. A returned buffer rests until `recycle`, because the bytes of a batch
 * that settles may still have to be copied to the socket in the same turn.
 */
export class BufferPool {
  readonly #sizeBytes: number;
  readonly #mostCount: number;
  readonly #free: Uint8Array[] = [];
  #resting: Uint8Array[] = [];

  constructor(sizeBytes: number, budgetBytes: number) {
    this.#sizeBytes = sizeBytes;
    this.#mostCount = Math.floor(budgetBytes / sizeBytes / 2);
  }

  /** A buffer of the pool's size, or undefined if another size is wanted or none is there. */
  take(wantedBytes: number): Uint8Array | undefined {
    return wantedBytes === this.#sizeBytes ? this.#free.pop() : undefined;
  }

  /** Ignores buffers of another size. */
  give(buffer: Uint8Array): void {
    if (buffer.length === this.#sizeBytes) this.#resting.push(buffer);
  }

  recycle(): void {
    if (this.#resting.length === 0) return;
    for (const buffer of this.#resting) {
      if (this.#free.length < this.#mostCount) this.#free.push(buffer);
    }
    this.#resting = [];
  }
}
