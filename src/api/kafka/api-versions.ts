/** ApiVersions: what this door answers, and in which versions. */
import { APIS, advertisedRange } from "../../kafka-wire/api-keys.ts";
import type { ResponseInputs } from "../../kafka-wire/messages.ts";
import type { DoorHandler } from "./door-handler.ts";
import { errorNumber } from "./wire-errors.ts";

const SOFTWARE_NAME = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/;
/** KIP-511 came with version 3. */
const NAMES_SOFTWARE = 3;

/** To one that asks in a version which is not known here (KIP-511). */
export function apiVersionsRefusal(): ResponseInputs["ApiVersions"] {
  const { lowest, highest } = advertisedRange("ApiVersions");
  const apiKey = { apiKey: APIS.ApiVersions.key, minVersion: lowest, maxVersion: highest };
  return { errorCode: errorNumber("UNSUPPORTED_VERSION"), apiKeys: [apiKey] };
}

/**
 * Neither supported nor finalized features: metadata.version is not Kafka's own, and without
 * transaction.version the Java producer stays with the older flow of transactions (KIP-890).
 */
export const apiVersions: DoorHandler<"ApiVersions"> = (request, context) => {
  const { clientSoftwareName: name, clientSoftwareVersion: version } = request;
  if (context.version >= NAMES_SOFTWARE) {
    if (!SOFTWARE_NAME.test(name) || !SOFTWARE_NAME.test(version)) {
      return { errorCode: errorNumber("INVALID_REQUEST"), apiKeys: [] };
    }
    context.connection.clientSoftware = `${name} ${version}`;
  }
  const apiKeys = context.door.served.map((api) => {
    const { lowest, highest } = advertisedRange(api);
    return { apiKey: APIS[api].key, minVersion: lowest, maxVersion: highest };
  });
  return { errorCode: 0, apiKeys };
};
