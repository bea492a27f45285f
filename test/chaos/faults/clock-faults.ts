/** The wall clock of one broker, or of all in different ways, is wrong; and comes right again. */
import { someVictim } from "../stage.ts";
import type { FaultKind } from "./fault-kind.ts";

const HOLD_MS = [3_000, 12_000] as const;
const OFFSETS_S = [-86_400, -3_600, -60, -5, 5, 60, 3_600, 86_400] as const;

export const CLOCK_FAULTS: readonly FaultKind[] = [
  {
    name: "clock-offset",
    group: "clock",
    obstacle: ({ noShim }) => noShim,
    inject: async (on) => {
      const { cluster, prng } = on;
      const targets = prng.chance(1, 3) ? cluster.ids : [someVictim(on)];
      const holdMs = prng.between(...HOLD_MS);
      const told = targets.map((id) => {
        const seconds = prng.pick(OFFSETS_S);
        cluster.shim(id).set("wallOffsetMs", seconds * 1_000);
        return `${seconds} s on broker ${id}`;
      });
      return {
        targets,
        detail: told.join(", "),
        holdMs,
        heal: async () => {
          for (const id of targets) cluster.shim(id).set("wallOffsetMs", 0);
          return undefined;
        },
      };
    },
  },
];
