/** The APIs of Kafka's protocol that Ottla has a codec for, and what follows from key and version. */
import { APIS, type ApiName } from "../gen/kafka/messages.ts";

export { APIS, type ApiName };

export interface VersionRange {
  readonly lowest: number;
  readonly highest: number;
}

export const API_NAMES: readonly ApiName[] = Object.keys(APIS) as ApiName[];

const BY_KEY: ReadonlyMap<number, ApiName> = new Map(
  API_NAMES.map((name) => [APIS[name].key, name]),
);

export function apiOfKey(key: number): ApiName | undefined {
  return BY_KEY.get(key);
}

export function hasVersion(api: ApiName, version: number): boolean {
  return version >= APIS[api].lowest && version <= APIS[api].highest;
}

/** KIP-482: whether sizes are compact and structures end with tagged fields. */
export function isFlexible(api: ApiName, version: number): boolean {
  return version >= APIS[api].flexible;
}

/**
 * What ApiVersions says of an API: Kafka 4.3's range. Produce begins at 0 though 0 to 2 are refused:
 * librdkafka before 2.11.1 looks for those versions by name, and without them sends uncompressed
 * batches, or none at all (KAFKA-18659).
 */
export function advertisedRange(api: ApiName): VersionRange {
  const { lowest, highest } = APIS[api];
  return { lowest: api === "Produce" ? 0 : lowest, highest };
}
