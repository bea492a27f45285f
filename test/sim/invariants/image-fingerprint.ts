/** All of an image as text, the same for equal images however their maps came to be. */
import type { MetadataImage } from "../../../src/metadata/image.ts";

export function imageFingerprint(image: MetadataImage): string {
  let text = "";
  for (const [name, value] of Object.entries(image)) text += `${name}:${partFingerprint(value)},`;
  return text;
}

function partFingerprint(part: unknown): string {
  if (typeof part !== "object" || part === null) return String(part);
  // Where the quorum runs alone there is nothing else.
  return part instanceof Map && part.size === 0 ? "[]" : JSON.stringify(part, sorted);
}

function sorted(_key: string, value: unknown): unknown {
  return value instanceof Map
    ? [...value].sort(([left], [right]) => (String(left) < String(right) ? -1 : 1))
    : value;
}
