/** NATS #7567: a node that lost its tail must not be elected while those that have it are away. */
import { loseTail } from "../faults/damage.ts";
import { CONTROLLER_ASIDE, scenario } from "./story.ts";

const [A, B, C] = [2, 3, 4];

export const lostTail = scenario(
  "lost-tail",
  "the only eligible replica comes back without its tail, which it had vouched for: nobody leads until another is back",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m1");
    story.kill(C);
    await story.untilIsr(A, B);
    await story.produce("m2", "m3");
    await story.wait(2_000);
    story.kill(B);
    await story.untilIsr(A);
    story.losePower(A);
    await story.until("nobody leads", () => story.leader === -1);
    story.expect("B is eligible", story.partition.elr.includes(B));
    loseTail(story.broker(B), 1);
    story.start(B);
    await story.wait(5_000);
    story.expectEqual("B must not lead", story.leader, -1);
    story.expect("B is not eligible any more", !story.partition.elr.includes(B));
    story.start(A);
    await story.untilLeader(A);
    await story.untilIsr(A, B);
    story.start(C);
    await story.untilAtRest();
    story.expectEqual("nothing is lost", await story.everything(), ["m1", "m2", "m3"]);
  },
);
