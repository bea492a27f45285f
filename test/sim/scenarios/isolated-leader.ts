/** Jepsen on Kafka 0.8: an isolated leader shrank its ISR to itself and acknowledged alone. */
import { CONTROLLER_ASIDE, scenario } from "./story.ts";

const [CONTROLLER, A, B, C] = [1, 2, 3, 4];

export const isolatedLeader = scenario(
  "isolated-leader",
  "a leader that reaches neither followers nor controller acknowledges nothing, and then dies",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m1");
    story.cut([A], [CONTROLLER, B, C]);
    const first = story.send("lonely 1", { to: A, timeoutMs: 9_000 });
    await story.untilLeader(B);
    await story.produce("m2");
    await story.wait(4_000);
    const second = story.send("lonely 2", { to: A, timeoutMs: 3_000 });
    story.expect("A did not acknowledge", (await story.answer(first)) !== "acknowledged");
    story.expect("nor did it later", (await story.answer(second)) !== "acknowledged");
    story.losePower(A);
    await story.wait(500);
    story.join([A], [CONTROLLER, B, C]);
    story.start(A);
    await story.untilAtRest();
    story.expectEqual("the log is what was acknowledged", await story.everything(), ["m1", "m2"]);
  },
);
