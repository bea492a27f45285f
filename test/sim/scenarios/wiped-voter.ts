/** Found by the simulation itself: the quorum was a voter short although every replica was in sync. */
import { scenario } from "./story.ts";

export const wipedVoter = scenario(
  "wiped-voter",
  "a voter comes back with an empty disk; once all replicas are in sync any other broker may die",
  {},
  async (story) => {
    await story.produce("m1", "m2");
    for (const [wiped, dies] of [
      [3, 1],
      [1, 2],
    ] as const) {
      story.kill(wiped);
      story.wipe(wiped);
      await story.until("it is missed", () => !story.partition.isr.includes(wiped));
      story.start(wiped);
      await story.untilAtRest();
      story.kill(dies);
      await story.until("the others take over", () => ![dies, -1].includes(story.leader));
      await story.until("and take it out", () => !story.partition.isr.includes(dies));
      await story.produce(`without ${dies}`);
      story.start(dies);
      await story.untilAtRest();
    }
  },
);
