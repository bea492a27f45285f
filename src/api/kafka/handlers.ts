/** What this door answers; ApiVersions names these and no others. */
import { clusterAdminHandlers } from "./cluster-admin-handlers.ts";
import { clusterHandlers } from "./cluster-handlers.ts";
import { committedOffsetHandlers } from "./committed-offset-handlers.ts";
import { configHandlers } from "./config-handlers.ts";
import type { DoorHandlers } from "./door-handler.ts";
import { fetchHandlers } from "./fetch-handlers.ts";
import { groupAdminHandlers } from "./group-admin-handlers.ts";
import { groupHandlers } from "./group-handlers.ts";
import { offsetHandlers } from "./offset-handlers.ts";
import { produceHandlers } from "./produce-handlers.ts";
import { reassignmentHandlers } from "./reassignment-handlers.ts";
import { topicHandlers } from "./topic-handlers.ts";

export const HANDLERS: DoorHandlers = {
  ...clusterHandlers,
  ...produceHandlers,
  ...fetchHandlers,
  ...offsetHandlers,
  ...groupHandlers,
  ...committedOffsetHandlers,
  ...groupAdminHandlers,
  ...topicHandlers,
  ...configHandlers,
  ...clusterAdminHandlers,
  ...reassignmentHandlers,
};
