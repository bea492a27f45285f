/**
 * What a reader sees goes on without gap or repetition.
 *
 * - int-poll-skip, int-nonmonotonic-poll: within the records of one poll.
 * - poll-skip, nonmonotonic-poll: between what a process expects next (behind its last record, or
 *   where `assign` or a reset put it) and the first record of the next poll. Assign with a seek, a
 *   poll whose outcome is unknown, and a crash reset what is expected.
 * - next-chain: a reader passed over an offset that another reader got: both disagree on what
 *   follows the offset before it.
 *
 * A position is passed over only if some offset in between is known to hold a record. Who reads
 * from the log's beginning may find it anywhere up to what may have been removed by then; everybody
 * else is told by a reset.
 */
import type { AnomalyName } from "../findings.ts";
import { FROM_OFFSET, FROM_RECORD, FROM_START } from "../tables.ts";
import { type KeyCheck, nameOf } from "./key-check.ts";
import { lineOfPosition } from "./values.ts";

export function checkPolls(check: KeyCheck): void {
  const { deliveries, readOffsets } = check.key;
  for (let delivery = 0; delivery < deliveries.start.length; delivery++) {
    let next = deliveries.next[delivery] as number;
    let from = deliveries.from[delivery] as number;
    const reset = deliveries.reset[delivery] as number;
    if (reset >= 0) {
      // Out of range below the log's end it can only be that the log lost what was read already.
      if (from === FROM_RECORD && reset < next) {
        wentBack(check, { delivery, within: false, next, offset: reset });
      }
      next = reset;
      from = FROM_OFFSET;
    }
    const end = deliveries.end[delivery] as number;
    let within = false;
    for (let read = deliveries.start[delivery] as number; read < end; read++) {
      const offset = readOffsets[read] as number;
      if (next >= 0 && offset < next) wentBack(check, { delivery, within, next, offset });
      else if (next >= 0 && offset > next)
        passedOver(check, { delivery, within, next, offset, from });
      next = offset + 1;
      from = FROM_RECORD;
      within = true;
    }
  }
}

interface Step {
  readonly delivery: number;
  readonly within: boolean;
  readonly next: number;
  readonly offset: number;
}

function wentBack(check: KeyCheck, step: Step): void {
  const name = step.within ? "int-nonmonotonic-poll" : "nonmonotonic-poll";
  report(check, step, name, `went back to offset ${step.offset} where ${step.next} was next`, []);
}

function passedOver(check: KeyCheck, step: Step & { readonly from: number }): void {
  const { mayBeGone, order, removals, passed, key } = check;
  const { next, offset, from, delivery, within } = step;
  const completedAt = key.deliveries.completedAt[delivery] as number;
  const low = from === FROM_START ? removals.reachAt(completedAt) : next;
  const first = order.lowerBound(Math.max(next, low));
  const last = order.lowerBound(offset) - 1;
  const missing: number[] = [];
  for (let position = first; position <= last; position++) {
    const value = order.values[position] as number;
    if (mayBeGone(value, order.offsets[position] as number)) continue;
    passed[position] = 1;
    missing.push(position);
  }
  const [one] = missing;
  if (one === undefined) return;
  const missed = `${nameOf(check, order.values[one] as number)} at offset ${order.offsets[one]}`;
  const more = missing.length > 1 ? ` and ${missing.length - 1} more` : "";
  const text = `got offset ${offset} where ${next} was next, and missed ${missed}${more}`;
  const lines = [lineOfPosition(check, one)];
  report(check, step, within ? "int-poll-skip" : "poll-skip", text, lines);
  for (const position of missing) {
    const read = order.firstRead[position] as number;
    if (read === -1) continue;
    const chain = `got offset ${offset} where ${next} was next, and another reader got ${order.offsets[position]}`;
    report(check, step, "next-chain", chain, [order.lineOfRead(read)]);
    return;
  }
}

function report(
  { key, findings, processNames }: KeyCheck,
  { delivery }: Step,
  name: AnomalyName,
  text: string,
  lines: readonly number[],
): void {
  const { process, completedAt } = key.deliveries;
  findings.add(name, () => ({
    key: key.name,
    text: `${processNames[process[delivery] as number]} ${text}`,
    lines: [completedAt[delivery] as number, previousDelivery(key.deliveries, delivery), ...lines],
  }));
}

/** The line of the poll before by the same process, -1 without one. */
function previousDelivery(
  { process, completedAt }: KeyCheck["key"]["deliveries"],
  delivery: number,
): number {
  for (let at = delivery - 1; at >= 0; at--) {
    if (process[at] === process[delivery]) return completedAt[at] as number;
  }
  return -1;
}
