/** What the code of one replica's log needs of its surroundings. */
import type { Ports } from "../ports/ports.ts";
import type { CommitPacer } from "./commit-pacer.ts";
import type { DurableMarks } from "./durable-marks.ts";
import type { ReplicaName } from "./log.ts";
import type { PendingOperations } from "./pending-operations.ts";
import type { ReplicaStates } from "./replica-states.ts";
import type { StorePool } from "./store-pool.ts";
import type { TailBudget } from "./tail-cache.ts";

export type LogPorts = Pick<
  Ports,
  "clock" | "timers" | "files" | "codecs" | "logger" | "meter" | "fatal"
>;

/** The log directory that a replica lies in, as far as its log needs it. */
export interface LogDirectory {
  readonly path: string;
  readonly states: ReplicaStates;
  readonly marks: DurableMarks;
  /** Free space is below the reserve: nothing may be appended. */
  readonly full: boolean;
  /** Bytes went to this directory: free space is measured again after enough of them. */
  noteWritten(bytes: number): void;
}

export interface LogContext {
  readonly ports: LogPorts;
  readonly pool: StorePool;
  readonly pending: PendingOperations;
  readonly directory: LogDirectory;
  readonly replica: ReplicaName;
  /** `<topicId>-<partition>`: the replica's key in states and marks. */
  readonly key: string;
  /** The replica's own directory. */
  readonly path: string;
}

/** What all logs of a broker share. */
export interface SharedResources {
  readonly tailBudget: TailBudget;
  readonly pacer: CommitPacer;
  /** A log is compacted from now on. */
  readonly onCompacted: () => void;
}
