/** What every kind of fault says of itself. */
import type { Site } from "../site.ts";
import type { FaultStage } from "../stage.ts";

export interface InjectedFault {
  readonly targets: readonly number[];
  /** What the seed drew, for a person. */
  readonly detail: string;
  /** How long it stays before it is healed. */
  readonly holdMs: number;
  /** Ends it; what has been seen of it, for a person. Called once. */
  readonly heal: () => Promise<string | undefined>;
}

export interface FaultKind {
  readonly name: string;
  readonly group: "process" | "network" | "proxy" | "resources" | "storage" | "clock";
  /** Why this machine cannot make it; undefined if it can. */
  readonly obstacle: (site: Site) => string | undefined;
  /** Makes it. It must undo what it had begun if it throws. */
  readonly inject: (on: FaultStage) => Promise<InjectedFault>;
}

export const NO_OBSTACLE = (): undefined => undefined;
