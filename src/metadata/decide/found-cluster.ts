/** The first records of a cluster. */
import { resolveConfig } from "../../model/config-values.ts";
import type { ClusterId } from "../../model/ids.ts";
import { MIN_INSYNC_REPLICAS } from "../image-configs.ts";
import { METADATA_VERSION } from "../record-codec.ts";
import type { MetadataRecord } from "../records.ts";

/** `min.insync.replicas` is written down because it must not differ between brokers. */
export function decideFoundCluster(
  clusterId: ClusterId,
  properties: ReadonlyMap<string, string>,
): readonly MetadataRecord[] {
  return [
    { type: "feature-level", name: "metadata.version", level: METADATA_VERSION },
    { type: "cluster", clusterId },
    {
      type: "config",
      resource: "broker",
      name: "",
      key: MIN_INSYNC_REPLICAS,
      value: resolveConfig("broker", MIN_INSYNC_REPLICAS, { properties }).value,
    },
  ];
}
