/** What a Raft node's disk holds, in memory: writes are applied as the contract of `RaftWrite` says. */
import { assert } from "../../src/base/assert.ts";
import { BEFORE_FIRST, type EntryId } from "../../src/raft/log-view.ts";
import { formationEntry } from "../../src/raft/membership.ts";
import type { RaftEntry, RaftNode, SnapshotHead } from "../../src/raft/messages.ts";
import type { HardState, PersistedState, RaftWrite } from "../../src/raft/state.ts";

export class RaftDisk {
  hardState: HardState = { term: 0, votedFor: undefined, commitIndex: 0 };
  snapshot: { head: SnapshotHead; bytes: Uint8Array } | undefined;
  base: EntryId = BEFORE_FIRST;
  entries: RaftEntry[] = [];

  static formed(voters: readonly RaftNode[]): RaftDisk {
    const disk = new RaftDisk();
    disk.entries.push(formationEntry(voters));
    disk.hardState = { term: 1, votedFor: undefined, commitIndex: 1 };
    return disk;
  }

  get lastIndex(): number {
    return this.base.index + this.entries.length;
  }

  apply(write: RaftWrite): void {
    if (write.hardState !== undefined) this.hardState = write.hardState;
    if (write.snapshot !== undefined) {
      this.snapshot = write.snapshot;
      this.base = { index: write.snapshot.head.index, term: write.snapshot.head.term };
      this.entries = [];
    }
    const first = write.entries[0];
    if (first === undefined) return;
    assert(first.index > this.base.index && first.index <= this.lastIndex + 1, "no gap");
    this.entries.length = first.index - this.base.index - 1;
    this.entries.push(...write.entries);
  }

  compact(snapshot: { head: SnapshotHead; bytes: Uint8Array }, upTo: number): void {
    this.snapshot = snapshot;
    if (upTo <= this.base.index) return;
    const entry = this.entries[upTo - this.base.index - 1] as RaftEntry;
    this.entries = this.entries.slice(upTo - this.base.index);
    this.base = { index: upTo, term: entry.term };
  }

  persisted(): PersistedState {
    return {
      hardState: this.hardState,
      snapshot: this.snapshot?.head,
      base: this.base,
      entries: [...this.entries],
    };
  }
}
