import { OttlaError } from "./errors.ts";

/** Throws INVALID_CONFIG with the key, its value and what is allowed. */
export function refuse(key: string, value: string | undefined, allowed: string): never {
  const given = value === undefined ? "missing" : JSON.stringify(value);
  throw new OttlaError("INVALID_CONFIG", `${key} is ${given}; allowed is ${allowed}`, {
    field: key,
  });
}
