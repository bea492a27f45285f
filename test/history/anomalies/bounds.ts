/**
 * Where a log begins and ends, as brokers say it.
 *
 * - stale-end: `listOffsets` latest, or the end of the final read, is not above an offset that was
 *   known to be committed before it was asked for.
 * - lost-prefix: the log is said to begin above anything that may have been removed.
 * - below-log-start: after `deleteRecords` was acknowledged, a poll gave a record from below, or
 *   `listOffsets` earliest still answered an offset below.
 */
import type { FinalRead, ListedOffset } from "../tables.ts";
import type { KeyCheck } from "./key-check.ts";

export function checkBounds(check: KeyCheck): void {
  for (const listed of check.key.listed) {
    if (listed.which === "latest") checkEnd(check, listed);
    else checkStart(check, listed);
  }
  if (check.final !== undefined) checkFinalEnd(check, check.final);
  checkDeliveries(check);
  checkDeletions(check);
}

function checkEnd({ key, findings }: KeyCheck, listed: ListedOffset): void {
  const { offset, knownBefore, knownBeforeAt, invokedAt, completedAt } = listed;
  if (offset > knownBefore) return;
  findings.add("stale-end", () => ({
    key: key.name,
    text: `the end was given as ${offset}, but offset ${knownBefore} was known before`,
    lines: [knownBeforeAt, invokedAt, completedAt],
  }));
}

function checkFinalEnd({ key, findings, removals }: KeyCheck, final: FinalRead): void {
  const end = final.ends.get(key.name) as number;
  const known = final.knownBefore.get(key.name);
  if (removals.topicDeleted || known === undefined || end > known.offset) return;
  findings.add("stale-end", () => ({
    key: key.name,
    text: `the final read found the end at ${end}, but offset ${known.offset} was known before`,
    lines: [known.at, final.invokedAt, final.completedAt],
  }));
}

function checkStart(check: KeyCheck, { offset, invokedAt, completedAt }: ListedOffset): void {
  startsAt(check, offset, [invokedAt, completedAt]);
  const { key, findings, removals } = check;
  const promised = removals.promisedBefore(invokedAt);
  if (offset >= promised) return;
  if (check.staleLeaders) {
    check.allowed.staleReads++;
    return;
  }
  findings.add("below-log-start", () => ({
    key: key.name,
    text: `the start was given as ${offset} after records below ${promised} were deleted`,
    lines: [removals.lineOfPromise(invokedAt), invokedAt, completedAt],
  }));
}

/** Somebody was told, by the last of `lines`, that the log starts at `offset`. */
function startsAt(
  { key, findings, removals }: KeyCheck,
  offset: number,
  lines: readonly number[],
): void {
  const reach = removals.reachAt(lines.at(-1) as number);
  if (offset <= reach) return;
  findings.add("lost-prefix", () => ({
    key: key.name,
    text: `the log is said to start at ${offset}, but nothing from ${reach} on was to be removed`,
    lines,
  }));
}

function checkDeliveries(check: KeyCheck): void {
  const { key, findings, removals, processNames } = check;
  const { deliveries, readOffsets } = key;
  for (let delivery = 0; delivery < deliveries.start.length; delivery++) {
    const completedAt = deliveries.completedAt[delivery] as number;
    const invokedAt = deliveries.invokedAt[delivery] as number;
    const reset = deliveries.reset[delivery] as number;
    if (reset >= 0) startsAt(check, reset, [completedAt]);
    // What was fetched ahead was fetched after the reader was placed there, at any rate.
    const ahead = deliveries.ahead[delivery] === true;
    const since = ahead ? (deliveries.assignedAt[delivery] as number) : invokedAt;
    const promised = removals.promisedBefore(since);
    if (promised === 0) continue;
    const end = deliveries.end[delivery] as number;
    for (let read = deliveries.start[delivery] as number; read < end; read++) {
      const offset = readOffsets[read] as number;
      if (offset >= promised) continue;
      if (check.staleLeaders) {
        check.allowed.staleReads++;
        continue;
      }
      findings.add("below-log-start", () => ({
        key: key.name,
        text: `${processNames[deliveries.process[delivery] as number]} got offset ${offset} after records below ${promised} were deleted`,
        lines: [removals.lineOfPromise(since), since, completedAt],
      }));
    }
  }
}

/** What an acknowledged deletion says of the log's start is judged as any other such answer. */
function checkDeletions(check: KeyCheck): void {
  for (const { completedAt, invokedAt, lowWatermark, before } of check.key.deletions) {
    if (lowWatermark < 0) continue;
    startsAt(check, lowWatermark, [invokedAt, completedAt]);
    if (lowWatermark < before) {
      check.findings.add("below-log-start", () => ({
        key: check.key.name,
        text: `records below ${before} were to be deleted, but the log is said to start at ${lowWatermark}`,
        lines: [invokedAt, completedAt],
      }));
    }
  }
}
