/**
 * Records as bytes: UTF-8 JSON, an array of `[type, version, fields]`, the fields in the order that
 * stands here, so that equal records are equal bytes on every node. What comes from the log was
 * written by an Ottla; a type or version that this one does not know comes from a newer one, and
 * going on without understanding it would make images differ: that is an assertion, not an error.
 */
import { assert } from "../base/assert.ts";
import { text, utf8 } from "../base/bytes.ts";
import type { MetadataRecord } from "./records.ts";

/** Highest `metadata.version` that this code understands, and what a new cluster begins with. */
export const METADATA_VERSION = 1;

type RecordType = MetadataRecord["type"];
type FieldsOf<Type extends RecordType> = Exclude<
  keyof Extract<MetadataRecord, { readonly type: Type }>,
  "type"
>;

interface Layout<Type extends RecordType> {
  readonly version: number;
  readonly required: readonly FieldsOf<Type>[];
  readonly optional?: readonly FieldsOf<Type>[];
}

const PARTITION_FIELDS = [
  "replicas",
  "directories",
  "isr",
  "elr",
  "lastKnownLeader",
  "adding",
  "removing",
  "leader",
] as const;

const LAYOUTS: { readonly [Type in RecordType]: Layout<Type> } = {
  "feature-level": { version: 1, required: ["name", "level"] },
  cluster: { version: 1, required: ["clusterId"] },
  "register-broker": {
    version: 1,
    required: [
      "brokerId",
      "brokerEpoch",
      "incarnationId",
      "endpoints",
      "rack",
      "directories",
      "features",
    ],
  },
  "broker-change": {
    version: 1,
    required: ["brokerId", "brokerEpoch"],
    optional: ["fenced", "inControlledShutdown"],
  },
  "unregister-broker": { version: 1, required: ["brokerId"] },
  topic: { version: 1, required: ["topicId", "name"] },
  "remove-topic": { version: 1, required: ["topicId"] },
  partition: {
    version: 1,
    required: ["topicId", "partition", ...PARTITION_FIELDS, "leaderEpoch", "partitionEpoch"],
    optional: ["lastKnownLeaderLost"],
  },
  "partition-change": {
    version: 1,
    required: ["topicId", "partition"],
    optional: [...PARTITION_FIELDS, "lastKnownLeaderLost", "unclean"],
  },
  config: { version: 1, required: ["resource", "name", "key", "value"] },
  "producer-ids": { version: 1, required: ["brokerId", "brokerEpoch", "nextProducerId"] },
  counters: { version: 1, required: ["lastBrokerEpoch", "uncleanElectionsCount"] },
};

export function encodeRecords(records: readonly MetadataRecord[]): Uint8Array {
  return utf8(`[${records.map(encodeRecord).join(",\n")}]`);
}

/**
 * The records in as few entries as `limitBytes` allows. A cut is made only where the log may end:
 * never between a topic and its partitions and configuration. Whoever decides puts records in an
 * order that leaves a lawful image after each of them otherwise.
 */
export function encodeInEntries(
  records: readonly MetadataRecord[],
  limitBytes: number,
): readonly Uint8Array[] {
  const entries: Uint8Array[] = [];
  let open: string[] = [];
  let openLength = 0;
  let group: string[] = [];
  let groupLength = 0;
  const close = (): void => {
    if (open.length > 0) entries.push(utf8(`[${open.join(",\n")}]`));
    open = [];
    openLength = 0;
  };
  const closeGroup = (): void => {
    if (openLength + groupLength > limitBytes) close();
    open.push(...group);
    openLength += groupLength;
    group = [];
    groupLength = 0;
  };
  for (const record of records) {
    if (record.type !== "partition" && record.type !== "config") closeGroup();
    const encoded = encodeRecord(record);
    group.push(encoded);
    // A character takes at most three bytes of UTF-8; two more join it to the next.
    groupLength += (isAscii(encoded) ? 1 : 3) * encoded.length + 2;
  }
  closeGroup();
  close();
  return entries;
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 127) return false;
  return true;
}

function encodeRecord(record: MetadataRecord): string {
  const { version, required, optional } = layoutOf(record.type);
  const from = record as unknown as Record<string, unknown>;
  const fields: Record<string, unknown> = {};
  for (const field of required) {
    assert(from[field] !== undefined, `a ${record.type} record without ${field}`);
    fields[field] = from[field];
  }
  for (const field of optional ?? []) {
    if (from[field] !== undefined) fields[field] = from[field];
  }
  return JSON.stringify([record.type, version, fields]);
}

function layoutOf(type: RecordType): {
  readonly version: number;
  readonly required: readonly string[];
  readonly optional?: readonly string[];
} {
  return LAYOUTS[type];
}

/** Throws AssertionError for what this code does not understand. */
export function decodeRecords(bytes: Uint8Array): readonly MetadataRecord[] {
  const parsed = parseJson(bytes);
  assert(Array.isArray(parsed), "an entry of the metadata log is not a list of records");
  return parsed.map(decodeRecord);
}

function parseJson(bytes: Uint8Array): unknown {
  const json = text(bytes);
  try {
    return JSON.parse(json);
  } catch {
    assert(false, `an entry of the metadata log is not JSON: ${json.slice(0, 80)}`);
  }
}

function decodeRecord(item: unknown): MetadataRecord {
  assert(Array.isArray(item) && item.length === 3, "a metadata record is [type, version, fields]");
  const [type, version, fields] = item as [unknown, unknown, unknown];
  assert(
    typeof type === "string" && Object.hasOwn(LAYOUTS, type),
    `unknown metadata record ${String(type)}: a newer Ottla wrote it`,
  );
  const layout = layoutOf(type as RecordType);
  assert(
    version === layout.version,
    `metadata record ${type} has version ${String(version)}; this Ottla reads ${layout.version}`,
  );
  assert(typeof fields === "object" && fields !== null, `a ${type} record has no fields`);
  const known = new Set<string>([...layout.required, ...(layout.optional ?? [])]);
  for (const field of layout.required) {
    assert(Object.hasOwn(fields, field), `a ${type} record without ${field}`);
  }
  for (const field of Object.keys(fields)) {
    assert(known.has(field), `a ${type} record has an unknown field ${field}`);
  }
  return { type, ...fields } as unknown as MetadataRecord;
}
