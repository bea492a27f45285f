/**
 * What the leader of a group notes in the assignments that it gives, where Kafka leaves room for an
 * assignor's own. A static member that comes back is given its old part, and the group goes on as it
 * was (KIP-345, 814): so a leader that comes back knows neither how many partitions it divided, nor
 * does anybody know that what a member was to give up has been given up, by dying.
 */
import { FieldReader, FieldWriter } from "../../group/fields.ts";

export interface LeaderNotes {
  /** Partitions were withheld until their owners give them up and join again. */
  readonly partial: boolean;
  /** Of the topics divided; only in the leader's own assignment. */
  readonly counts: ReadonlyMap<string, number>;
}

/** Tells these from what other assignors write there. */
const MARK = 0x07a1;
const NO_NOTES: LeaderNotes = { partial: false, counts: new Map() };

export function encodeNotes({ counts, partial }: LeaderNotes): Uint8Array {
  const writer = new FieldWriter().int16(MARK).int16(partial ? 1 : 0);
  return writer
    .array([...counts], ([topic, count]) => {
      writer.string(topic).int32(count);
    })
    .finish();
}

/** No notes if they are none. */
export function decodeNotes(bytes: Uint8Array | null): LeaderNotes {
  if (bytes === null || bytes.length < 4) return NO_NOTES;
  try {
    const reader = new FieldReader(bytes);
    if (reader.int16() !== MARK) return NO_NOTES;
    const partial = reader.int16() === 1;
    const counts = reader.array(() => [reader.string(), reader.int32()] as const);
    return { partial, counts: new Map(counts) };
  } catch (error) {
    if (error instanceof RangeError) return NO_NOTES;
    throw error;
  }
}
