/** KIP-966, KAFKA-9876: who is in sync holds what is committed, on disk. */
import { CONTROLLER_ASIDE, scenario } from "./story.ts";

const [A, B, C] = [2, 3, 4];

export const joinWhileBehind = scenario(
  "join-while-behind",
  "a follower returns and its disk hangs before it has caught up: it stays out of the ISR until it has",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m1");
    story.kill(B);
    await story.untilIsr(A, C);
    await story.produce("m2");
    story.start(B);
    await story.untilFetching(B);
    story.broker(B).node.disk.hang(1_500);
    await story.wait(1_000);
    story.expectEqual("B lacks m2 and stays out", story.isr, `${A},${C}`);
    await story.untilIsr(A, B, C);
    story.expectEqual("B has m2", story.logEnd(B), 2);
  },
);
