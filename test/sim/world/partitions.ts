/**
 * Shapes of partial networks, as the links that are cut. Majorities-ring and bridge are Jepsen's:
 * every machine still sees a majority, yet no two see the same one; and two halves that only one
 * machine joins.
 */
import type { LinkName } from "./sim-links.ts";

/** Everything between `side` and the rest. One way: only what `side` says, or only what it hears. */
export function isolate(
  side: readonly string[],
  all: readonly string[],
  way: "both" | "out" | "in" = "both",
): readonly LinkName[] {
  const links: LinkName[] = [];
  for (const left of side) {
    for (const right of all) {
      if (side.includes(right)) continue;
      if (way !== "in") links.push([left, right]);
      if (way !== "out") links.push([right, left]);
    }
  }
  return links;
}

/**
 * Each machine sees just a majority. Where its neighbours cannot be shared out evenly to both sides
 * of it (three machines, seven), it hears those that follow it on the ring, and no others.
 */
export function majoritiesRing(names: readonly string[]): readonly LinkName[] {
  const size = names.length;
  const neighbours = Math.floor(size / 2);
  const even = neighbours % 2 === 0;
  const links: LinkName[] = [];
  for (const [index, name] of names.entries()) {
    for (const [other, peer] of names.entries()) {
      const after = (other - index + size) % size;
      const heard = even ? Math.min(after, size - after) <= neighbours / 2 : after <= neighbours;
      if (!heard) links.push([peer, name]);
    }
  }
  return links;
}

/** The first of the names is the bridge; the others fall into two halves that do not see each other. */
export function bridge(names: readonly string[]): readonly LinkName[] {
  const [, ...others] = names;
  const half = Math.ceil(others.length / 2);
  return isolate(others.slice(0, half), others);
}
