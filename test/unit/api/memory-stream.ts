/** A client's byte stream in memory: the test is the network and the client. */
import type { ByteStream } from "../../../src/ports/byte-streams.ts";

export class MemoryStream implements ByteStream {
  readonly remoteHost = "192.0.2.1";
  readonly remotePort = 40_000;
  /** What was written and the client has not been given. */
  queuedBytes = 0;
  paused = false;
  /** By which side, and how it ended. */
  ended: "end" | "destroy" | undefined;
  readonly written: Uint8Array[] = [];
  onData: (chunk: Uint8Array) => void = () => undefined;
  onDrain: () => void = () => undefined;
  onEnd: (reason: string) => void = () => undefined;
  /** Whether the client reads. */
  reading = true;

  write(chunks: readonly Uint8Array[]): void {
    for (const chunk of chunks) {
      this.written.push(chunk);
      if (!this.reading) this.queuedBytes += chunk.length;
    }
  }

  /** The client reads all that is there. */
  drain(): void {
    this.queuedBytes = 0;
    this.onDrain();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  end(): void {
    this.#finish("end");
  }

  destroy(): void {
    this.#finish("destroy");
  }

  #finish(how: "end" | "destroy"): void {
    if (this.ended !== undefined) return;
    this.ended = how;
    this.onEnd(how);
  }
}
