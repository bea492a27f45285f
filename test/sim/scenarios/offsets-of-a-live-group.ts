/** KAFKA-8069: clocks that jump do not make the offsets of a group that lives expire. */
import { scenario } from "./story.ts";
import { GROUP_OVERRIDES, StoryGroup } from "./story-members.ts";

const EIGHT_DAYS_MS = 8 * 86_400_000;

export const offsetsOfALiveGroup = scenario(
  "offsets-of-a-live-group",
  "clocks jump by eight days and back while a group lives: what it has committed stays",
  { overrides: GROUP_OVERRIDES },
  async (story) => {
    await story.produce("one", "two", "three");
    const group = new StoryGroup(story, "living");
    await group.found();
    const member = group.add("member");
    await group.untilStable();
    await group.commit(member, 2);
    for (const offsetMs of [EIGHT_DAYS_MS, -EIGHT_DAYS_MS, 0]) {
      for (const { node } of story.cluster.brokers) node.wallOffsetMs = offsetMs;
      await group.goOn(2_000);
      story.expectEqual("the offset is there", await group.committed(), 2);
    }
    await group.untilStable();
  },
);
