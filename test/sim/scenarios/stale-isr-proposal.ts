/** KIP-903, KAFKA-14139. */
import type { ControllerUp } from "../../../src/metadata/session-messages.ts";
import { CONTROLLER_ASIDE, type Story, scenario } from "./story.ts";

const [CONTROLLER, A, B, C] = [1, 2, 3, 4];

export const staleIsrProposal = scenario(
  "stale-isr-proposal",
  "a follower begins another life while its leader's proposal to take the former one in is under way",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m1");
    await playOnce(story, () => {});
    await story.untilAtRest();
    await playOnce(story, () => story.wipe(B));
    story.join([A, C], [B]);
    await story.untilIsr(A, B, C);
    story.expectEqual("B has everything again", story.logEnd(B), story.logEnd(A));
  },
);

async function playOnce(story: Story, meanwhile: () => void): Promise<void> {
  story.kill(B);
  await story.untilIsr(A, C);
  await story.produce(`without B ${story.logEnd(A)}`);
  const old = epochOf(story);
  story.start(B);
  await story.untilSent("the leader wants B in the ISR", ({ from, channel, message }) => {
    const up = message as ControllerUp;
    const isProposal = channel === "controller" && up.type === "request";
    return isProposal && up.name === "alter-partition" && from.node.name === `broker-${A}`;
  });
  story.mute([A], [CONTROLLER]);
  const life = epochOf(story);
  story.expect("the proposal names B's life after the first crash", life > old);
  story.kill(B);
  meanwhile();
  story.cut([A, C], [B]);
  story.start(B);
  await story.until("B lives another life", () => epochOf(story) > life && !isFenced(story), 1_900);
  story.unmute([A], [CONTROLLER]);
  await story.wait(300);
  story.expectEqual("the proposal was refused", story.isr, `${A},${C}`);
  story.join([A, C], [B]);
}

function epochOf(story: Story): number {
  return story.image.brokers.get(B)?.epoch ?? -1;
}

function isFenced(story: Story): boolean {
  return story.image.brokers.get(B)?.fenced === true;
}
