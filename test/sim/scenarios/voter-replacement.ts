/** KIP-853, and Ongaro's bug of 2015: a voter is replaced while leaders die at each step of it. */
import type { RaftStreamMessage } from "../../../src/raft/messages.ts";
import type { SentMessage } from "../world/sim-network.ts";
import { type Story, scenario } from "./story.ts";

export const voterReplacement = scenario(
  "voter-replacement",
  "a voter with a new disk is taken in again, while the leader dies at each step, or is itself replaced",
  {},
  async (story) => {
    await story.produce("m1");
    await replace(story, 3, 1);
    await replace(story, 2, 2);
    const leader = story.controller;
    story.kill(leader);
    story.wipe(leader);
    await story.wait(1_000);
    story.start(leader);
    await story.untilAtRest();
    await story.produce("m2");
  },
);

/** The leader dies as it sends the voter set number `step` of the replacement. */
async function replace(story: Story, id: number, step: number): Promise<void> {
  story.kill(id);
  story.wipe(id);
  await story.until("it is missed", () => !story.partition.isr.includes(id));
  story.start(id);
  const seen = new Set<number>();
  const { from } = await story.untilSent(`voter set ${step} is sent`, (sent) => {
    for (const index of voterSetsOf(sent)) seen.add(index);
    return seen.size >= step;
  });
  const leader = Number(from.node.name.slice("broker-".length));
  story.kill(leader);
  await story.wait(500);
  story.start(leader);
  await story.untilAtRest();
}

function voterSetsOf({ channel, message }: SentMessage): readonly number[] {
  const sent = message as RaftStreamMessage;
  if (channel !== "raft" || sent.type !== "append-request") return [];
  return sent.entries
    .filter(({ kind, index }) => kind === "config" && index > 1)
    .map((e) => e.index);
}
