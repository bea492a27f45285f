/** What a request may hold, looked at before a broker sees it. Each throws INVALID_REQUEST. */
import { OttlaError } from "../../model/errors.ts";
import { LIMITS } from "../../model/limits.ts";
import { invalid } from "./status.ts";

export function checkNumber(
  field: string,
  value: number | null | undefined,
  least: number,
): number {
  const number = value ?? 0;
  if (Number.isSafeInteger(number) && number >= least) return number;
  throw invalid(field, number, `it must be an integer from ${least} to ${Number.MAX_SAFE_INTEGER}`);
}

/** Names that could be no topic's are unknown ones; only their size is a concern here. */
export function checkName(field: string, value: string | null | undefined): string {
  const name = value ?? "";
  if (name !== "" && name.length <= LIMITS.topicNameCharacters) return name;
  throw invalid(field, name, `it must have 1 to ${LIMITS.topicNameCharacters} characters`);
}

export function checkCount<Item>(
  field: string,
  items: readonly Item[] | null | undefined,
  most: number = LIMITS.topicsPerRequestCount,
): readonly Item[] {
  const list = items ?? [];
  if (list.length <= most) return list;
  throw new OttlaError(
    "LIMIT_EXCEEDED",
    `${field} has ${list.length} entries; one request takes at most ${most}`,
    { field },
  );
}
