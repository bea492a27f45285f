/** Every drill, by its name. */
import { ALERT_DRILL } from "./alert-drill.ts";
import type { Drill } from "./drill.ts";
import { FALSE_ALARM_DRILL } from "./false-alarm-drill.ts";
import { GAP_DRILLS } from "./gap-drills.ts";
import { RECOVERY_DRILLS } from "./recovery-drills.ts";

export const DRILLS: readonly Drill[] = [
  ...GAP_DRILLS,
  ...RECOVERY_DRILLS,
  FALSE_ALARM_DRILL,
  ALERT_DRILL,
];

export function drillNamed(name: string): Drill | undefined {
  return DRILLS.find((each) => each.name === name);
}
