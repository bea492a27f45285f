/** The asymmetric sibling of `isolated-leader`: the controller is still reached. */
import { CONTROLLER_ASIDE, scenario } from "./story.ts";

const [A, B, C] = [2, 3, 4];

export const leaderWithoutFollowers = scenario(
  "leader-without-followers",
  "a leader reaches only the controller: it shrinks the ISR, and acks=all waits or is refused",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m1");
    story.cut([A], [B, C]);
    const before = story.send("before", { timeoutMs: 9_000 });
    await story.untilIsr(A);
    const [eligible] = story.partition.elr;
    story.expect("who left last holds what is committed", eligible === B || eligible === C);
    const after = story.send("after");
    story.expectEqual("refused at once", await story.answer(after, 500), "NOT_ENOUGH_REPLICAS");
    story.expectEqual("and not appended", story.logEnd(A), 2);
    story.expectEqual(
      "what was appended before is not acknowledged",
      await story.answer(before),
      "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
    );
    story.kill(A);
    await story.untilLeader(eligible ?? B);
    story.join([A], [B, C]);
    await story.produce("m2");
    story.start(A);
    await story.untilAtRest();
    story.expectEqual("the log is what was acknowledged", await story.everything(), ["m1", "m2"]);
  },
);
