/** KIP-996: a voter that hears nobody must not depose a good leader when it returns. */
import { scenario } from "./story.ts";

export const oneWayVoter = scenario(
  "one-way-voter",
  "a voter hears nobody for two minutes, asks for votes all the time, and comes back: the leader stays",
  { brokers: 5, replicas: [4, 5], minIsr: 1 },
  async (story) => {
    const before = [story.image.term, story.controller];
    const others = [1, 2, 3, 4, 5].filter((id) => id !== 3);
    story.mute(others, [3]);
    await story.wait(120_000);
    story.unmute(others, [3]);
    await story.until("it is back", () => story.image.brokers.get(3)?.fenced === false, 30_000);
    await story.wait(5_000);
    story.expectEqual("term and leader", [story.image.term, story.controller], before);
  },
);
