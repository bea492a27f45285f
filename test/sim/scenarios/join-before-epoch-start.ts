/** KIP-207, KAFKA-7128: a new leader's high watermark lags what its predecessor committed. */
import { CONTROLLER_ASIDE, scenario } from "./story.ts";

const [A, B, C] = [2, 3, 4];

export const joinBeforeEpochStart = scenario(
  "join-before-epoch-start",
  "a follower has all below the new leader's high watermark, but not what was committed: it must not join the ISR",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m1");
    await story.wait(2_000);
    story.kill(C);
    await story.untilIsr(A, B);
    const m2 = story.send("m2");
    await story.answer(m2);
    // B holds m2 and has not heard that it is committed.
    story.kill(A, B);
    await story.until("nobody leads", () => story.leader === -1);
    const [eligible = B] = story.partition.elr;
    story.start(eligible);
    await story.untilLeader(eligible);
    story.start(C);
    await story.untilFetching(C);
    story.broker(C).node.disk.hang(1_500);
    await story.wait(1_000);
    story.expectEqual("C lacks m2 and stays out", story.isr, `${eligible}`);
    await story.until("C has m2", () => story.logEnd(C) === 2);
    story.start(A, B);
    await story.untilAtRest();
    story.expectEqual("m2 is there", await story.everything(), ["m1", "m2"]);
  },
);
