/** What this door answers; ApiVersions names these and no others. */
import { clusterHandlers } from "./cluster-handlers.ts";
import type { DoorHandlers } from "./door-handler.ts";
import { fetchHandlers } from "./fetch-handlers.ts";
import { offsetHandlers } from "./offset-handlers.ts";
import { produceHandlers } from "./produce-handlers.ts";

export const HANDLERS: DoorHandlers = {
  ...clusterHandlers,
  ...produceHandlers,
  ...fetchHandlers,
  ...offsetHandlers,
};
