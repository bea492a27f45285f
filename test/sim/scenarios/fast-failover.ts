/** KIP-279, KAFKA-6361. */
import { CONTROLLER_ASIDE, scenario } from "./story.ts";

const [A, B, C] = [2, 3, 4];

export const fastFailover = scenario(
  "fast-failover",
  "two leaders in a row write what nobody else has; the third is asked about epochs it never knew",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m1");
    // Everybody has written down that m1 is committed.
    await story.wait(2_000);
    story.cut([A], [B, C]);
    story.cut([B], [C]);
    story.send("a1", { to: A, acks: 1 });
    await story.until("A alone has a1", () => story.logEnd(A) === 2);
    story.kill(A);
    await story.untilLeader(B);
    const b1 = story.send("b1", { to: B, acks: 1 });
    await story.answer(b1);
    story.send("b2", { to: B, acks: 1 });
    await story.until("B alone has b1 and b2", () => story.logEnd(B) === 3);
    story.kill(B);
    await story.untilLeader(C);
    const c1 = story.send("c1", { to: C, acks: 1 });
    story.expectEqual("C takes c1", await story.answer(c1), "acknowledged");
    story.join([A], [B, C]);
    story.join([B], [C]);
    story.start(A, B);
    await story.untilAtRest();
    story.expectEqual("C's log is everybody's", await story.everything(), ["m1", "c1"]);
  },
);
