/**
 * What a controller that has just become active puts right: its predecessor may have died between
 * the entries of one change, or have gone by other properties.
 */
import type { MetadataImage } from "../image.ts";
import { changePartitions, electableIn } from "../partition-change.ts";
import type { MetadataRecord } from "../records.ts";

/** None: everything follows from what stands in the image. */
export function decideReconcile(
  image: MetadataImage,
  properties: ReadonlyMap<string, string>,
): readonly MetadataRecord[] {
  const electable = electableIn(image);
  return changePartitions(image, {
    electable,
    properties,
    goalOf: (state) => ({ isr: state.isr.filter((id) => electable(id) !== "no") }),
  });
}
