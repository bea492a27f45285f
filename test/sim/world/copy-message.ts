/**
 * A message on its way from one process to another: a deep copy, so that no two brokers share
 * bytes (leaders patch batches in place), and about how large it is.
 */
export interface CopiedMessage {
  readonly message: unknown;
  readonly sizeBytes: number;
}

export function copyMessage(message: unknown): CopiedMessage {
  const sized = { bytes: 0 };
  return { message: copy(message, sized), sizeBytes: sized.bytes };
}

function copy(value: unknown, sized: { bytes: number }): unknown {
  switch (typeof value) {
    case "number":
    case "boolean":
    case "undefined":
    case "bigint":
      sized.bytes += 4;
      return value;
    case "string":
      sized.bytes += value.length + 2;
      return value;
    case "object":
      return value === null ? copyNull(sized) : copyObject(value, sized);
    default:
      throw new TypeError(`a ${typeof value} cannot be sent to another process`);
  }
}

function copyNull(sized: { bytes: number }): null {
  sized.bytes += 4;
  return null;
}

function copyObject(value: object, sized: { bytes: number }): unknown {
  if (value instanceof Uint8Array) {
    sized.bytes += value.length + 4;
    return value.slice();
  }
  sized.bytes += 2;
  if (Array.isArray(value)) {
    const items = new Array<unknown>(value.length);
    for (let index = 0; index < value.length; index++) items[index] = copy(value[index], sized);
    return items;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new TypeError(`a ${value.constructor.name} cannot be sent to another process`);
  }
  const out: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    sized.bytes += 2;
    out[key] = copy((value as Record<string, unknown>)[key], sized);
  }
  return out;
}

/** What JSON carries, as the controller channel's bodies travel. */
export function copyThroughJson(message: unknown): CopiedMessage {
  const json = JSON.stringify(message);
  return { message: JSON.parse(json), sizeBytes: json.length };
}
