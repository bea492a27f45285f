/** Writes a history to a file as it comes, in large pieces, up to a limit. */
import { closeSync, openSync, writeSync } from "node:fs";
import type { HistoryLine } from "../history/format.ts";

const PIECE_CHARACTERS = 256 * 1024;

export class HistoryFileSink {
  readonly path: string;
  readonly #bytesMax: number;
  readonly #file: number;
  #pending: string[] = [];
  #pendingCharacters = 0;
  #bytes = 0;

  constructor(path: string, bytesMax: number) {
    this.path = path;
    this.#bytesMax = bytesMax;
    this.#file = openSync(path, "w");
  }

  /** Whoever makes most of the lines asks first; what is under way may still be written. */
  get full(): boolean {
    return this.#bytes >= this.#bytesMax;
  }

  readonly take = (line: HistoryLine): void => {
    const text = `${JSON.stringify(line)}\n`;
    this.#pending.push(text);
    this.#pendingCharacters += text.length;
    if (this.#pendingCharacters >= PIECE_CHARACTERS) this.flush();
  };

  flush(): void {
    if (this.#pending.length === 0) return;
    const bytes = Buffer.from(this.#pending.join(""));
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at);
    this.#bytes += bytes.length;
    this.#pending = [];
    this.#pendingCharacters = 0;
  }

  close(): void {
    this.flush();
    closeSync(this.#file);
  }
}
