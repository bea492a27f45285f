/**
 * Sends pieces of the newest snapshot. Its bytes are read from disk once and held while somebody is
 * being sent them, then forgotten.
 */
import type { Ports } from "../ports/ports.ts";
import type { RaftMessage, RaftNode } from "../raft/messages.ts";
import type { SnapshotChunk, SnapshotInstall } from "../raft/state.ts";
import type { RaftLog } from "../storage/raft-log.ts";

const IDLE_MS = 5_000;

export class SnapshotSender {
  readonly #ports: Ports;
  readonly #log: RaftLog;
  readonly #send: (message: RaftMessage) => boolean;
  #held:
    | { readonly index: number; readonly read: Promise<SnapshotInstall | undefined> }
    | undefined;
  #usedMs = 0;

  constructor(ports: Ports, log: RaftLog, send: (message: RaftMessage) => boolean) {
    this.#ports = ports;
    this.#log = log;
    this.#send = send;
  }

  send(self: RaftNode, chunk: SnapshotChunk): void {
    const { to, term, head, offset, sizeBytes } = chunk;
    this.#usedMs = this.#ports.clock.monotonicMs();
    if (this.#held?.index !== head.index) {
      this.#held = { index: head.index, read: this.#log.readSnapshot() };
    }
    this.#held.read.then(
      (snapshot) => {
        if (snapshot === undefined) {
          this.#held = undefined;
          this.#ports.logger.error("The snapshot of the metadata cannot be read", {
            index: head.index,
          });
          return;
        }
        // A newer one took its place; the core asks again, for that.
        if (snapshot.head.index !== head.index) return;
        const bytes = snapshot.bytes.subarray(offset, offset + sizeBytes);
        this.#send({ type: "snapshot-request", from: self, to, term, head, offset, bytes });
      },
      (error: unknown) => {
        this.#held = undefined;
        this.#ports.logger.warn("The snapshot of the metadata was not sent", { error });
      },
    );
  }

  forgetIdle(nowMs: number): void {
    if (this.#held !== undefined && nowMs - this.#usedMs > IDLE_MS) this.#held = undefined;
  }
}
