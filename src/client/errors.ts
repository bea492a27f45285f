/** Errors as they come over the wire, as the one error class. */
import { isErrorCode, OttlaError } from "../model/errors.ts";
import type { ErrorMessage } from "./messages.ts";

/** A code that this version does not know is an UNKNOWN_SERVER_ERROR that says so. */
export function errorFrom(error: ErrorMessage, prefix = ""): OttlaError {
  const details = error.field === "" ? {} : { field: error.field };
  if (isErrorCode(error.code)) {
    return new OttlaError(error.code, `${prefix}${error.message}`, details);
  }
  return new OttlaError(
    "UNKNOWN_SERVER_ERROR",
    `${prefix}${error.code}: ${error.message}`,
    details,
  );
}

export function throwIf(error: ErrorMessage | null, prefix = ""): void {
  if (error !== null) throw errorFrom(error, prefix);
}

/** Failures of the way to a broker, not of the request: another broker may well answer. */
export function isUnreachable(error: OttlaError): boolean {
  return (
    error.code === "NETWORK_EXCEPTION" ||
    error.code === "REQUEST_TIMED_OUT" ||
    error.code === "SHUTTING_DOWN" ||
    error.code === "BROKER_NOT_AVAILABLE"
  );
}

export function closedError(what: string): OttlaError {
  return new OttlaError("CLOSED", `the ${what} is closed`);
}

export function abortedError(signal: AbortSignal): OttlaError {
  return new OttlaError("ABORTED", "the caller's signal aborted", { cause: signal.reason });
}
