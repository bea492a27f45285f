/** All dashboards; `test/tidy/dashboards.test.ts` writes their files. */
import { CLUSTER_DASHBOARD } from "./cluster.ts";
import { CONSUMERS_DASHBOARD } from "./consumers.ts";
import { CONTROLLER_DASHBOARD } from "./controller.ts";
import type { Dashboard } from "./panels.ts";
import { RUNTIME_DASHBOARD } from "./runtime.ts";
import { TOPICS_DASHBOARD } from "./topics.ts";

export const DASHBOARDS: readonly Dashboard[] = [
  CLUSTER_DASHBOARD,
  TOPICS_DASHBOARD,
  CONSUMERS_DASHBOARD,
  CONTROLLER_DASHBOARD,
  RUNTIME_DASHBOARD,
];
