/**
 * The metadata as every prefix of the committed log makes it, one entry at a time: brokers apply
 * many at once, and what was wrong between two of them would not be seen in their images.
 */
import { MetadataDelta } from "../../../src/metadata/delta.ts";
import { EMPTY_IMAGE, type MetadataImage } from "../../../src/metadata/image.ts";
import { decodeRecords } from "../../../src/metadata/record-codec.ts";
import type { CommittedEntry } from "./observed-quorum.ts";
import type { MetadataStep } from "./run-context.ts";

export class ObservedMetadata {
  image: MetadataImage = EMPTY_IMAGE;

  /** Undefined for an entry of Raft's own. */
  step({ index, term, kind, payload }: CommittedEntry): MetadataStep | undefined {
    if (kind !== "data") return undefined;
    const before = this.image;
    const records = decodeRecords(payload);
    const delta = new MetadataDelta(before);
    delta.replayAll(records);
    this.image = delta.apply(index, term);
    return { index, term, records, before, after: this.image };
  }
}
