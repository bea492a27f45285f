/**
 * How a cleaned segment takes the place of those it was made from, so that a crash at any step
 * leaves either all of the old ones or the new one:
 *
 *   1. `<base>.cleaned` is written and fsynced. A crash until here: loading removes it.
 *   2. The intent is committed to the replica's state, atomically with the new summaries. From here
 *      on the cleaned segment is the log, and a crash at any later step goes on from there.
 *   3. The replaced directories move aside (`.deleted`), then `<base>.cleaned` becomes `<base>`.
 *      While `.cleaned` is there, some of them may be left; once it is gone, none is.
 *   4. The intent is removed; before that no other `.cleaned` is begun. What was moved aside goes.
 */
import type { Files } from "../ports/files.ts";
import { DELETED_SUFFIX } from "./replica-names.ts";
import type { SegmentSwap } from "./replica-states.ts";
import { segmentName } from "./segment-keys.ts";

export const CLEANED_SUFFIX = ".cleaned";

export function cleanedPath(segmentPath: string): string {
  return segmentPath + CLEANED_SUFFIX;
}

/**
 * Step 3, from whatever was done of it. The databases of all these directories are closed. Returns
 * what was moved aside, to be removed.
 */
export async function carryOutSwap(
  files: Files,
  replicaPath: string,
  { base, replaced }: SegmentSwap,
): Promise<readonly string[]> {
  const names = new Set(await files.list(replicaPath));
  const cleaned = segmentName(base) + CLEANED_SUFFIX;
  if (!names.has(cleaned)) return [];
  const aside: string[] = [];
  for (const name of replaced.map(segmentName)) {
    if (!names.has(name)) continue;
    const doomed = `${replicaPath}/${name}${DELETED_SUFFIX}`;
    await files.remove(doomed);
    await files.rename(`${replicaPath}/${name}`, doomed);
    aside.push(doomed);
  }
  await files.rename(`${replicaPath}/${cleaned}`, `${replicaPath}/${segmentName(base)}`);
  return aside;
}

/** What a crash left: finishes a swap that was committed, removes what was not. */
export async function recoverSwap(
  files: Files,
  replicaPath: string,
  swap: SegmentSwap | undefined,
): Promise<void> {
  if (swap !== undefined) await carryOutSwap(files, replicaPath, swap);
  for (const name of await files.list(replicaPath)) {
    if (name.endsWith(CLEANED_SUFFIX)) await files.remove(`${replicaPath}/${name}`);
  }
}
