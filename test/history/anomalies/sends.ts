/**
 * Where an acknowledged send landed. Judged are sends with acks=all: with less, a leader alone may
 * have acknowledged what the next leader overwrites.
 *
 * - ack-too-old: the offset is not above the largest that anyone knew to be committed before the
 *   send was invoked.
 * - nonmonotonic-send: the offsets of one process's idempotent sends do not rise in the order in
 *   which it sent them.
 */
import { isCommitted } from "../key-order.ts";
import { type KeyCheck, nameOf } from "./key-check.ts";

export function checkSends(check: KeyCheck): void {
  const { key, findings, allowed, processNames } = check;
  const { sent } = key;
  /** By process, its acknowledged value with the largest offset, of those sent so far. */
  const lastOf = new Map<number, number>();
  for (const value of inOrderOfInvoke(check)) {
    if (!isCommitted(key, value)) continue;
    const offset = sent.offset[value] as number;
    const known = sent.knownBefore[value] as number;
    if (offset <= known) {
      findings.add("ack-too-old", () => ({
        key: key.name,
        text: `${nameOf(check, value)} was acknowledged at offset ${offset}, but ${known} was known before it was sent`,
        lines: [
          sent.knownBeforeAt[value] as number,
          sent.invokedAt[value] as number,
          sent.completedAt[value] as number,
        ],
      }));
    }
    const process = sent.process[value] as number;
    const last = lastOf.get(process);
    if (last === undefined || offset > (sent.offset[last] as number)) {
      lastOf.set(process, value);
      continue;
    }
    if (sent.idempotent[value] !== true || sent.idempotent[last] !== true) {
      allowed.reorderedSends++;
      continue;
    }
    findings.add("nonmonotonic-send", () => ({
      key: key.name,
      text: `${processNames[process]} sent ${nameOf(check, last)} before ${nameOf(check, value)}, which landed at the offsets ${sent.offset[last]} and ${offset}`,
      lines: [last, value].flatMap((each) => [
        sent.invokedAt[each] as number,
        sent.completedAt[each] as number,
      ]),
    }));
  }
}

/** Values are numbered as they were first met; one that was read before it was sent is out of order. */
function inOrderOfInvoke({ key }: KeyCheck): Iterable<number> {
  const { sent, unsent } = key;
  const values = Array.from({ length: sent.count }, (_, value) => value);
  if (unsent.length === 0) return values;
  return values.sort(
    (left, right) => (sent.invokedAt[left] as number) - (sent.invokedAt[right] as number),
  );
}
