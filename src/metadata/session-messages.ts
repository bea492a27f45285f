/**
 * A broker's session with one voter. The broker keeps one to every voter; only the active
 * controller acts on what it hears, but each knows who is alive when it becomes active itself.
 */

import type { BrokerEpoch, BrokerId, IncarnationId, LogIndex, Term } from "../model/ids.ts";
import type { ControllerRequestName, ItemError } from "./commands.ts";

/** Sent every `broker.heartbeat.interval.ms` (250 ms), and at once when something changed. */
export interface Heartbeat {
  readonly type: "heartbeat";
  readonly brokerId: BrokerId;
  readonly incarnationId: IncarnationId;
  /** -1 before the registration is known to have been committed. */
  readonly brokerEpoch: BrokerEpoch;
  /** The metadata that the broker has applied; it is unfenced once past its own registration. */
  readonly appliedIndex: LogIndex;
  /** True while the broker starts, or its storage hangs: must not look alive. */
  readonly wantFence: boolean;
  /** True from SIGTERM on: move the leaders away, then say `mayShutDown`. */
  readonly wantShutdown: boolean;
}

export type ControllerUp =
  | Heartbeat
  | {
      readonly type: "request";
      /** Correlates the reply; counts up per stream. */
      readonly id: number;
      readonly name: ControllerRequestName;
      readonly body: unknown;
      readonly timeoutMs: number;
    };

export type ControllerDown =
  | {
      /** Answers each heartbeat; also sent at once when this voter becomes or ceases to be active. */
      readonly type: "status";
      /** Whether this voter is the active controller and has caught up with its term. */
      readonly active: boolean;
      /** Who leads Raft as far as this voter knows; -1 unknown. */
      readonly leaderId: BrokerId;
      readonly term: Term;
      /** Of this broker, as the active controller sees it; meaningless from another voter. */
      readonly fenced: boolean;
      readonly registered: boolean;
      readonly mayShutDown: boolean;
      /** The voter's wall clock as it sent this; 0: it did not say. */
      readonly wallMs: number;
    }
  | {
      readonly type: "reply";
      readonly id: number;
      readonly body: unknown;
      readonly error: ItemError | null;
    };

export interface ControllerChannel {
  readonly up: ControllerUp;
  readonly down: ControllerDown;
}
