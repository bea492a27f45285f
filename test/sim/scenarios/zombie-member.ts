/** KAFKA-16147: a member that slept through its session comes back and commits as if nothing were. */
import { scenario } from "./story.ts";
import { GROUP_OVERRIDES, SESSION_MS, StoryGroup } from "./story-members.ts";

export const zombieMember = scenario(
  "zombie-member",
  "a member sleeps past its session, another takes its partition: what the first commits is refused",
  { overrides: GROUP_OVERRIDES },
  async (story) => {
    await story.produce("one", "two", "three");
    const group = new StoryGroup(story, "zombies");
    await group.found();
    const sleeper = group.add("sleeper");
    await group.untilStable();
    await group.commit(sleeper, 1);
    const other = group.add("other");
    await group.untilStable();
    const late = await group.commit(sleeper, 3, sleeper.generation - 1);
    story.expectEqual("an old generation is refused", late.error?.code, "ILLEGAL_GENERATION");
    sleeper.asleep = true;
    await group.goOn(SESSION_MS + 1_000);
    await group.until("the other one has everything", () => other.owned.length === 1);
    await group.commit(other, 2);
    const zombie = await group.commit(sleeper, 3);
    story.expectEqual("the zombie is refused", zombie.error?.code, "UNKNOWN_MEMBER_ID");
    story.expectEqual("what counts is the owner's", await group.committed(), 2);
    sleeper.asleep = false;
    await group.untilStable();
    story.expectEqual("there is one owner", sleeper.owned.length + other.owned.length, 1);
  },
);
