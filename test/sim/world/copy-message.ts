/**
 * A message on its way from one process to another: a deep copy, so that no two brokers share
 * bytes (leaders patch batches in place), and about how large it is.
 */
export interface CopiedMessage {
  readonly message: unknown;
  readonly sizeBytes: number;
}

export function copyMessage(message: unknown): CopiedMessage {
  let sizeBytes = 0;
  const copy = (value: unknown): unknown => {
    if (typeof value === "string") {
      sizeBytes += value.length + 2;
      return value;
    }
    if (value === null || typeof value !== "object") {
      if (typeof value === "function" || typeof value === "symbol") {
        throw new TypeError(`a ${typeof value} cannot be sent to another process`);
      }
      sizeBytes += 4;
      return value;
    }
    if (value instanceof Uint8Array) {
      sizeBytes += value.length + 4;
      return value.slice();
    }
    if (Array.isArray(value)) {
      sizeBytes += 2;
      return value.map(copy);
    }
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) {
      throw new TypeError(`a ${value.constructor.name} cannot be sent to another process`);
    }
    const out: Record<string, unknown> = {};
    for (const [key, item] of Object.entries(value)) {
      sizeBytes += 2;
      out[key] = copy(item);
    }
    return out;
  };
  const copied = copy(message);
  return { message: copied, sizeBytes };
}

/** What JSON carries, as the controller channel's bodies travel. */
export function copyThroughJson(message: unknown): CopiedMessage {
  const json = JSON.stringify(message);
  return { message: JSON.parse(json), sizeBytes: json.length };
}
