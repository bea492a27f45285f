/** Errors as this door tells them: inside a response, or as the status that ends a call. */
import { Buffer } from "node:buffer";
import { Metadata, type ServiceError, type StatusObject } from "@grpc/grpc-js";
import type { ottla } from "../../gen/ottla.js";
import type { ItemError } from "../../metadata/commands.ts";
import { ERRORS, GRPC_STATUS, OttlaError, toOttlaError } from "../../model/errors.ts";
import type { Logger } from "../../ports/logger.ts";

/** Metadata of a failed call: the code of the error table, and the field at fault if there is one. */
const ERROR_CODE_KEY = "ottla-error-code";
const ERROR_FIELD_KEY = "ottla-error-field";

/** Trailers share one block of headers, whose size clients limit. */
const DETAILS_CHARACTERS = 2_000;
const FIELD_CHARACTERS = 200;
const HEADER_VALUE = /^[ -~]*$/;

export type Status = Pick<StatusObject, "code" | "details" | "metadata">;

export function errorMessage(
  error: ItemError | null | undefined,
): ottla.v1.Error.$Properties | null {
  if (error === null || error === undefined) return null;
  const { code, message, field } = error;
  return { code, message, field: field ?? "", retriable: ERRORS[code].retriable };
}

/** What nobody planned for is logged whole, and told without its insides. */
export function statusOf(thrown: unknown, logger: Logger): Status {
  const error = toOttlaError(thrown);
  const { code, field } = error;
  if (code === "UNKNOWN_SERVER_ERROR") logger.error("a request failed", { error: thrown });
  const message =
    code === "UNKNOWN_SERVER_ERROR" ? "the broker failed; its log has the cause" : error.message;
  const metadata = new Metadata();
  metadata.set(ERROR_CODE_KEY, code);
  if (field !== undefined && field.length <= FIELD_CHARACTERS && HEADER_VALUE.test(field)) {
    metadata.set(ERROR_FIELD_KEY, field);
  }
  return { code: GRPC_STATUS[ERRORS[code].grpc], details: wellFormed(message), metadata };
}

/** As grpc-js takes it from a handler. */
export function serviceError(status: Status): ServiceError {
  return Object.assign(new Error(status.details), status);
}

/** Half a surrogate pair would make the percent-encoding of the header throw. */
function wellFormed(text: string): string {
  return Buffer.from(text.slice(0, DETAILS_CHARACTERS), "utf8").toString("utf8");
}

export function invalid(field: string, value: unknown, allowed: string): OttlaError {
  return new OttlaError("INVALID_REQUEST", `${field} is ${shown(value)}; ${allowed}`, { field });
}

const SHOWN_CHARACTERS = 100;

function shown(value: unknown): string {
  if (typeof value !== "string") return String(value);
  const cut = value.length > SHOWN_CHARACTERS;
  return JSON.stringify(cut ? `${value.slice(0, SHOWN_CHARACTERS)}...` : value);
}
