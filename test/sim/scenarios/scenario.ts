/**
 * A fixed story of the simulator: one way in which logs like this one were broken, played step by
 * step on a cluster. `scenarios/all.ts` lists them; `npm run sim -- --scenario NAME` plays one.
 */
import type { SimulationResult } from "../simulation.ts";

export interface Scenario {
  /** Of the command line, in kebab-case; unique. */
  readonly name: string;
  /** One line for people: what happens and what must hold. */
  readonly title: string;
  /** Plays it from its own fixed seed; a broken promise is in the result, never thrown. */
  run(): Promise<SimulationResult>;
}
