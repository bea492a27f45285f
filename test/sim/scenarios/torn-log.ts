/** KAFKA-3919, KAFKA-3955: a log whose end has a hole must not keep its broker from starting. */
import { tearTail } from "../faults/damage.ts";
import { CONTROLLER_ASIDE, scenario } from "./story.ts";

const [A, B, C] = [2, 3, 4];

export const tornLog = scenario(
  "torn-log",
  "behind what a replica had vouched for its log has a hole and a batch: it is cut off there, and may lead",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m1");
    story.kill(C);
    await story.untilIsr(A, B);
    await story.produce("m2");
    story.kill(B);
    await story.untilIsr(A);
    tearTail(story.broker(B), 3);
    story.kill(A);
    await story.until("nobody leads", () => story.leader === -1);
    story.start(B);
    await story.untilLeader(B);
    story.expectEqual("B goes on where it is sound", story.logEnd(B), 2);
    story.start(A, C);
    await story.untilIsr(A, B, C);
    await story.produce("m3");
    await story.untilAtRest();
    story.expectEqual("nothing else is there", await story.everything(), ["m1", "m2", "m3"]);
  },
);
