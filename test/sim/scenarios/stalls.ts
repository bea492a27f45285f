/** An event loop that stands still is not a death: timers fire before the sockets are read. */
import { type Story, scenario } from "./story.ts";

export const stalls = scenario(
  "stalls",
  "a leader and controller stalls for half a second again and again: nothing changes; five seconds cost one change",
  { brokers: 4, replicas: [1, 2, 3] },
  async (story) => {
    await story.produce("m1");
    const before = [story.image.term, story.partition.leaderEpoch];
    for (let round = 0; round < 8; round++) {
      await stall(story, [1], 500);
      await stall(story, [1, 2, 3], 200);
      await story.wait(1_300);
    }
    story.expectEqual(
      "nobody was accused",
      [story.image.term, story.partition.leaderEpoch],
      before,
    );
    await stall(story, [1], 5_000);
    await story.wait(3_000);
    story.expectEqual("one change of leaders", story.partition.leaderEpoch, (before[1] ?? 0) + 1);
    story.expectEqual("one of controllers", story.image.term, (before[0] ?? 0) + 1);
    await story.produce("m2");
  },
);

export async function stall(story: Story, ids: readonly number[], ms: number): Promise<void> {
  for (const id of ids) story.pause(id);
  await story.wait(ms);
  for (const id of ids) story.resume(id);
}
