/** Wall clocks jump; elections, sessions and retention must not. */
import { scenario } from "./story.ts";

const HOUR_MS = 3_600_000;

export const clockJump = scenario(
  "clock-jump",
  "the controller's clock jumps an hour ahead, another broker's an hour back, and both return",
  {
    configs: { "retention.ms": String(2 * HOUR_MS) },
    overrides: { retentionCheckIntervalMs: 1_000 },
  },
  async (story) => {
    await story.produce("m1", "m2");
    const before = [story.image.term, story.partition];
    const jumps: readonly (readonly [number, number])[] = [
      [1, HOUR_MS],
      [2, -HOUR_MS],
      [1, 0],
      [2, 0],
    ];
    for (const [id, offsetMs] of jumps) {
      story.broker(id).node.wallOffsetMs = offsetMs;
      story.world.note(`broker ${id}: clock is off by ${offsetMs} ms`);
      await story.wait(5_000);
      await story.produce(`broker ${id} at ${offsetMs}`);
    }
    story.expectEqual("no election, nobody fenced", [story.image.term, story.partition], before);
    const { values } = await story.read();
    story.expectEqual("nothing was deleted", values.length, 2 + jumps.length);
  },
);
