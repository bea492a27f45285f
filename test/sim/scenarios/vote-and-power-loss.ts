/** Databend #1051: a vote that a power failure takes back is given twice. */
import { NONE } from "../../../src/model/ids.ts";
import type { RaftStreamMessage } from "../../../src/raft/messages.ts";
import { scenario } from "./story.ts";

export const voteAndPowerLoss = scenario(
  "vote-and-power-loss",
  "voters lose power as their votes leave, again and again: no vote is forgotten, no identity lost",
  { brokers: 5, replicas: [4, 5], minIsr: 1 },
  async (story) => {
    for (let round = 1; round <= 6; round++) {
      await story.until("there is a controller", () => story.controller !== NONE);
      const leader = story.controller;
      story.kill(leader);
      const { from, to } = await story.untilSent("a vote is given", ({ channel, message }) => {
        const sent = message as RaftStreamMessage;
        return channel === "raft" && sent.type === "vote-response" && sent.granted && !sent.preVote;
      });
      const ids = [from.node.name, to].map((name) => Number(name.slice("broker-".length)));
      story.losePower(...ids);
      await story.wait(300);
      story.start(leader, ...ids);
      await story.untilAtRest();
    }
    story.expectEqual("all are who they were", story.said(/new directory id/).length, 0);
  },
);
