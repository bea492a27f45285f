/** All of an image as text, the same for equal images however their maps came to be. */
import type { MetadataImage } from "../../../src/metadata/image.ts";

export function imageFingerprint(image: MetadataImage): string {
  return JSON.stringify(image, (_key, value: unknown) =>
    value instanceof Map
      ? [...value].sort(([left], [right]) => (String(left) < String(right) ? -1 : 1))
      : value,
  );
}
