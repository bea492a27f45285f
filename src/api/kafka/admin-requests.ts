/** What the handlers of administration have in common. */
import type { ItemError } from "../../metadata/commands.ts";
import { OttlaError, toOttlaError } from "../../model/errors.ts";
import { LIMITS } from "../../model/limits.ts";
import { errorNumber } from "./handler.ts";

/** An item's error as most responses have it. */
export interface ToldError {
  readonly errorCode: number;
  readonly errorMessage: string | null;
}

export function toldError(error: ItemError | null | undefined): ToldError {
  return { errorCode: errorNumber(error), errorMessage: error?.message ?? null };
}

/** How long the client lets the request take; not for ever, whatever it says. */
export function waitOf(timeoutMs: number): number {
  return Math.min(Math.max(0, timeoutMs), LIMITS.kafkaAdminWaitMs);
}

/** What a call settled to, or why it was refused. */
export async function settled<Value>(
  call: Promise<Value>,
): Promise<{ readonly value: Value } | { readonly error: ItemError }> {
  try {
    return { value: await call };
  } catch (thrown) {
    return { error: refusalOf(thrown) };
  }
}

/** A refusal as an item's error. */
export function refusalOf(thrown: unknown): ItemError {
  const { code, message, field } = toOttlaError(thrown);
  return field === undefined ? { code, message } : { code, message, field };
}

export function invalidRequest(message: string): OttlaError {
  return new OttlaError("INVALID_REQUEST", message);
}

/** Those that stand there more than once. */
export function duplicatesOf<Name extends string | number>(
  names: readonly Name[],
): ReadonlySet<Name> {
  const seen = new Set<Name>();
  const twice = new Set<Name>();
  for (const name of names) {
    if (seen.has(name)) twice.add(name);
    seen.add(name);
  }
  return twice;
}
