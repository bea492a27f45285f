/**
 * A metadata log without Raft: commits at once, or when told; a test plays elections on it.
 */
import { OttlaError } from "../../src/model/errors.ts";
import type { LogIndex, Term } from "../../src/model/ids.ts";
import type {
  CommittedEntry,
  MetadataLog,
  MetadataLogStatus,
  MetadataStateMachine,
} from "../../src/runtime/metadata-log.ts";

interface Waiting {
  readonly entry: CommittedEntry;
  readonly resolve: (index: LogIndex) => void;
  readonly reject: (error: unknown) => void;
}

export class FakeMetadataLog implements MetadataLog {
  readonly committed: CommittedEntry[] = [];
  /** Proposals wait for `commit()`. */
  held = false;
  /** Answers the next proposals as a leader that hands over does. */
  refusing = false;
  readonly #self: number;
  readonly #stateMachine: MetadataStateMachine;
  #waiting: Waiting[] = [];
  #term: Term = 0;
  #leads = false;
  #lastIndex: LogIndex = 0;

  constructor(self: number, stateMachine: MetadataStateMachine) {
    this.#self = self;
    this.#stateMachine = stateMachine;
  }

  get waitingCount(): number {
    return this.#waiting.length;
  }

  lead(): void {
    this.#term++;
    this.#leads = true;
    this.#append(new Uint8Array(0));
    this.#stateMachine.leaderChanged(this.#self, this.#term);
    this.#stateMachine.becomeActive(this.#term);
  }

  /** What waits is lost with the term. */
  fall(): void {
    this.#leads = false;
    this.#term++;
    this.#stateMachine.resign();
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#lastIndex = this.committed.length;
    for (const { reject } of waiting) reject(new OttlaError("NOT_CONTROLLER", "the term is over"));
  }

  commit(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { entry, resolve } of waiting) {
      this.#stateMachine.apply([entry]);
      this.committed.push(entry);
      resolve(entry.index);
    }
  }

  propose(term: Term, payload: Uint8Array): Promise<LogIndex> {
    if (!this.#leads || term !== this.#term || this.refusing) {
      return Promise.reject(new OttlaError("NOT_CONTROLLER", "this node does not lead"));
    }
    return new Promise((resolve, reject) => {
      const entry = { index: ++this.#lastIndex, term, payload };
      this.#waiting.push({ entry, resolve, reject });
      if (!this.held) this.commit();
    });
  }

  status(): MetadataLogStatus {
    const self = { id: this.#self, directoryId: `directory-${this.#self}` };
    return {
      self,
      clusterId: undefined,
      role: this.#leads ? "leader" : "follower",
      leaderId: this.#leads ? this.#self : -1,
      term: this.#term,
      commitIndex: this.committed.length,
      appliedIndex: this.committed.length,
      votedForId: -1,
      lastIndex: this.#lastIndex,
      voters: [self],
      followers: [
        {
          node: { id: 9, directoryId: "directory-9" },
          voter: false,
          matchIndex: 1,
          lastContactMs: 5,
        },
      ],
    };
  }

  transferLeadership(): void {
    this.fall();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #append(payload: Uint8Array): void {
    const entry = { index: ++this.#lastIndex, term: this.#term, payload };
    this.committed.push(entry);
    this.#stateMachine.apply([entry]);
  }
}
