/** Errors of the one table, as numbers of Kafka's protocol. */
import type { ItemError } from "../../metadata/commands.ts";
import { ERRORS, type ErrorCode } from "../../model/errors.ts";

/**
 * What Ottla's own errors are called here. Kafka's clients know nothing of them, and give up at
 * UNKNOWN_SERVER_ERROR where trying again would help; each is told as the one of Kafka's that makes
 * them do what is right.
 */
const STAND_INS: Partial<Record<ErrorCode, ErrorCode>> = {
  NO_QUORUM: "REQUEST_TIMED_OUT",
  SHUTTING_DOWN: "BROKER_NOT_AVAILABLE",
  DISK_FULL: "KAFKA_STORAGE_ERROR",
  INVALID_ARGUMENT: "INVALID_REQUEST",
};

/** 0 without an error. */
export function errorNumber(error: ErrorCode | Pick<ItemError, "code"> | null | undefined): number {
  if (error === null || error === undefined) return 0;
  const code = typeof error === "string" ? error : error.code;
  return ERRORS[STAND_INS[code] ?? code].kafka;
}
