import { assert } from "../base/assert.ts";
import { concatBytes } from "../base/bytes.ts";
import type { SnapshotHead, SnapshotRequest } from "./messages.ts";
import { nodeKey } from "./node.ts";

/** The pieces received of one snapshot of one leader; pieces of another never join them. */
export class SnapshotAssembly {
  readonly #key: string;
  readonly #head: SnapshotHead;
  readonly #pieces: Uint8Array[] = [];
  #receivedBytes = 0;

  constructor(message: SnapshotRequest) {
    this.#key = SnapshotAssembly.keyOf(message);
    this.#head = message.head;
  }

  static keyOf({ from, term, head }: SnapshotRequest): string {
    return `${nodeKey(from)}/${term}/${head.index}/${head.term}/${head.sizeBytes}`;
  }

  get head(): SnapshotHead {
    return this.#head;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  get isWhole(): boolean {
    return this.#receivedBytes === this.#head.sizeBytes;
  }

  isFor(message: SnapshotRequest): boolean {
    return this.#key === SnapshotAssembly.keyOf(message);
  }

  /** Takes the piece if it is the next one and fits. */
  maybeAdd(message: SnapshotRequest): void {
    if (message.offset !== this.#receivedBytes) return;
    if (this.#receivedBytes + message.bytes.length > this.#head.sizeBytes) return;
    this.#pieces.push(message.bytes);
    this.#receivedBytes += message.bytes.length;
  }

  bytes(): Uint8Array {
    assert(this.isWhole, "a part of a snapshot is no snapshot");
    return concatBytes(this.#pieces);
  }
}
