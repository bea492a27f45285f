/** Hidden failures of the ISR (KIP-497, KIP-841): what the leader asked for, and what is in force. */
import type { ControllerUp } from "../../../src/metadata/session-messages.ts";
import type { SentMessage } from "../world/sim-network.ts";
import { CONTROLLER_ASIDE, type Story, scenario } from "./story.ts";

const [CONTROLLER, A, B, C] = [1, 2, 3, 4];

export const isrChangeUnderWay = scenario(
  "isr-change-under-way",
  "while an ISR change is under way the high watermark waits for the old members and for the new ones",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m1");
    await shrink(story);
    await grow(story);
    await story.untilIsr(A, B, C);
  },
);

async function shrink(story: Story): Promise<void> {
  story.cut([A], [C]);
  await story.untilSent("A wants C out of the ISR", isProposal);
  story.mute([A], [CONTROLLER]);
  const waits = story.send("while it shrinks", { timeoutMs: 20_000 });
  await story.wait(1_000);
  story.expectEqual("C is in the ISR and must have it", waits.outcome, "waiting");
  story.unmute([A], [CONTROLLER]);
  await story.untilIsr(A, B);
  story.expectEqual("A and B are enough now", await story.answer(waits), "acknowledged");
}

async function grow(story: Story): Promise<void> {
  story.join([A], [C]);
  await story.untilSent("A wants C back in the ISR", isProposal);
  story.mute([CONTROLLER], [A]);
  await story.until("the controller has taken C in", () => story.isr === `${A},${B},${C}`);
  story.cut([A], [C]);
  const waits = story.send("while it grows", { timeoutMs: 20_000 });
  await story.wait(1_000);
  story.expectEqual("C may be elected and must have it", waits.outcome, "waiting");
  story.unmute([CONTROLLER], [A]);
  story.join([A], [C]);
  story.expectEqual("C has it now", await story.answer(waits, 20_000), "acknowledged");
}

function isProposal({ from, channel, message }: SentMessage): boolean {
  if (channel !== "controller" || from.node.name !== `broker-${A}`) return false;
  const up = message as ControllerUp;
  return up.type === "request" && up.name === "alter-partition";
}
