/** Two answers, field by field. Lists of structures have no order: each is found by what it is about. */
import type { Shape } from "./normalise.ts";

export interface Difference {
  /** Where: fields with dots, items of lists in brackets. Empty: the answers as a whole. */
  readonly path: string;
  readonly ottla: string;
  readonly kafka: string;
}

/** By which field an item of a list is found in the other one, the first that it has. */
const IDENTITIES = [
  "apiKey",
  "name",
  "topic",
  "topicName",
  "groupId",
  "key",
  "resourceName",
  "partitionIndex",
  "partition",
  "partitionId",
  "index",
  "brokerId",
  "replicaId",
  "feature",
  "baseOffset",
  "memberId",
] as const;
const ABSENT = "absent";

type Struct = { readonly [field: string]: Shape };

export function compare(ottla: Shape, kafka: Shape, path = ""): Difference[] {
  if (Array.isArray(ottla) && Array.isArray(kafka)) return lists(ottla, kafka, path);
  if (isStruct(ottla) && isStruct(kafka)) {
    const codes = [ottla["errorCode"], kafka["errorCode"]];
    // What else differs then follows from that one was refused and the other was not.
    if (codes[0] !== undefined && codes[1] !== undefined && codes[0] !== codes[1]) {
      return compare(codes[0], codes[1], path === "" ? "errorCode" : `${path}.errorCode`);
    }
    const fields = new Set([...Object.keys(ottla), ...Object.keys(kafka)]);
    return [...fields].flatMap((field) => {
      const below = path === "" ? field : `${path}.${field}`;
      return either(ottla[field], kafka[field], below);
    });
  }
  const [left, right] = [JSON.stringify(ottla), JSON.stringify(kafka)];
  return left === right ? [] : [{ path, ottla: told(ottla), kafka: told(kafka) }];
}

function either(ottla: Shape | undefined, kafka: Shape | undefined, path: string): Difference[] {
  if (ottla === undefined) return [{ path, ottla: ABSENT, kafka: told(kafka as Shape) }];
  if (kafka === undefined) return [{ path, ottla: told(ottla), kafka: ABSENT }];
  return compare(ottla, kafka, path);
}

function lists(ottla: readonly Shape[], kafka: readonly Shape[], path: string): Difference[] {
  const [left, right] = [byIdentity(ottla), byIdentity(kafka)];
  const ids = [...new Set([...left.keys(), ...right.keys()])].sort();
  return ids.flatMap((id) => either(left.get(id), right.get(id), `${path}[${id}]`));
}

/** The second of the same identity is `id#2`: answers may well name a thing twice. */
function byIdentity(items: readonly Shape[]): ReadonlyMap<string, Shape> {
  const out = new Map<string, Shape>();
  for (const item of items) {
    const identity = identityOf(item);
    let id = identity;
    for (let count = 2; out.has(id); count++) id = `${identity}#${count}`;
    out.set(id, item);
  }
  return out;
}

function identityOf(item: Shape): string {
  if (!isStruct(item)) return typeof item === "string" ? item : JSON.stringify(item);
  for (const field of IDENTITIES) {
    const value = item[field];
    if (value === undefined || value === "" || value === null) continue;
    const text = String(value);
    // Topics are named by their ids in the latest versions, and one resource has several types.
    return "resourceType" in item ? `${item["resourceType"]}:${text}` : text;
  }
  const { topicId } = item;
  return typeof topicId === "string" ? topicId : "";
}

function isStruct(value: Shape): value is Struct {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const TOLD_CHARACTERS = 60;

function told(value: Shape): string {
  if (Array.isArray(value)) return value.length === 0 ? "[]" : `${value.length} items`;
  if (isStruct(value)) {
    const { errorCode } = value;
    return errorCode === undefined ? "present" : `present, error ${String(errorCode)}`;
  }
  const text = typeof value === "string" && value !== "" ? value : JSON.stringify(value);
  return text.length > TOLD_CHARACTERS ? `${text.slice(0, TOLD_CHARACTERS)}...` : text;
}
