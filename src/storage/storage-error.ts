import { AssertionError } from "../base/assert.ts";
import { type ErrorCode, OttlaError, toOttlaError } from "../model/errors.ts";
import type { Offset } from "../model/ids.ts";

const KEPT: ReadonlySet<ErrorCode> = new Set([
  "KAFKA_STORAGE_ERROR",
  "CORRUPT_MESSAGE",
  "DISK_FULL",
  "DIRECTORY_DAMAGED",
  "DIRECTORY_LOCKED",
  "CLOSED",
]);

/**
 * Any failure of a storage operation as an error whose code says what the disk did; what the table
 * has no row for is a KAFKA_STORAGE_ERROR.
 */
export function storageError(thrown: unknown, where: string): OttlaError {
  const error = toOttlaError(thrown);
  const code = KEPT.has(error.code) ? error.code : "KAFKA_STORAGE_ERROR";
  return new OttlaError(code, `${where}: ${error.message}`, { cause: thrown });
}

/** What says nothing about the disk: an offset out of range, a log that is closed already. */
export function isRefusal(error: unknown): boolean {
  if (error instanceof AssertionError) return true;
  const { code } = toOttlaError(error);
  return code === "OFFSET_OUT_OF_RANGE" || code === "CLOSED";
}

export function outOfRange(offset: Offset, start: Offset, end: Offset): OttlaError {
  return new OttlaError("OFFSET_OUT_OF_RANGE", `offset ${offset}, allowed are ${start} to ${end}`);
}
