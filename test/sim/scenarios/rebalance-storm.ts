/** KAFKA-12495: a large group whose coordinator moves again and again does not rebalance for ever. */
import { scenario } from "./story.ts";
import { GROUP_OVERRIDES, SESSION_MS, StoryGroup } from "./story-members.ts";

const MEMBERS_COUNT = 30;
const MOVES_COUNT = 5;

export const rebalanceStorm = scenario(
  "rebalance-storm",
  "thirty members, and a coordinator that dies five times: the group stands each time, in its generation",
  { overrides: GROUP_OVERRIDES },
  async (story) => {
    const group = new StoryGroup(story, "many");
    await group.found();
    for (let index = 0; index < MEMBERS_COUNT; index++) group.add(`member-${index}`);
    await group.untilStable();
    for (let move = 0; move < MOVES_COUNT; move++) {
      const { coordinator, generation } = group;
      story.kill(coordinator);
      await group.until("another one coordinates", () => group.coordinator !== coordinator);
      await group.goOn(1_000);
      await group.untilStable(SESSION_MS + 5_000);
      const rebalances = group.generation - generation;
      story.expect("at most two rebalances", rebalances <= 2, `there were ${rebalances}`);
      story.start(coordinator);
      await group.until("the cluster is at rest", () => story.cluster.atRest, 60_000);
    }
  },
);
