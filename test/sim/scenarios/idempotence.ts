/** KIP-98, KIP-360: what is sent again after a lost answer is written once. */

import { CONTROLLER_ASIDE, type Story, scenario } from "./story.ts";
import type { Sent } from "./story-clients.ts";

const [A, B, C] = [2, 3, 4];

export const idempotence = scenario(
  "idempotence",
  "answers are lost and batches sent again: to the next leader, after a restart, and too late",
  CONTROLLER_ASIDE,
  async (story) => {
    const producer = story.clients.producer();
    const first = story.send("p0", { producer });
    await story.answer(first);
    const flight = ["p1", "p2", "p3", "p4", "p5"].map((value) => story.send(value, { producer }));
    await story.until("all lie in A's log", () => story.logEnd(A) === 6);
    story.kill(A);
    await story.untilLeader(B);
    for (const sent of flight) await story.deliver(sent);
    for (const sent of flight) {
      story.expectEqual(`${sent.value} is known`, await again(story, sent), sent.offset);
    }
    story.expectEqual(
      "what is older than the last five is known to be a repetition",
      await again(story, first),
      "DUPLICATE_SEQUENCE_NUMBER",
    );
    story.start(A);
    await story.untilAtRest();
    for (const id of [A, B, C]) await story.stop(id);
    story.start(A, B, C);
    await story.untilAtRest();
    for (const sent of flight) {
      story.expectEqual(`${sent.value} is still known`, await again(story, sent), sent.offset);
    }
    const next = story.send("p6", { producer });
    story.expectEqual("the sequence goes on", await story.answer(next), "acknowledged");
  },
);

/** Sends the same bytes anew: the offset that is answered, or the error. */
async function again(story: Story, sent: Sent): Promise<number | string> {
  const copy = { ...sent, outcome: "waiting", offset: -1 };
  story.clients.dispatch(copy, { to: story.leader });
  const outcome = await story.answer(copy);
  return outcome === "acknowledged" ? copy.offset : outcome;
}
