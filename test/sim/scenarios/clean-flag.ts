/** A log that was closed in order is not read at the next start: unless it was written since. */
import { CONTROLLER_ASIDE, scenario } from "./story.ts";

const [A, B, C] = [2, 3, 4];

export const cleanFlag = scenario(
  "clean-flag",
  "a replica is stopped in order, takes one more record and dies at once: the record is found",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m1");
    await story.stop(B);
    story.start(B);
    await story.untilAtRest();
    story.kill(C);
    await story.untilIsr(A, B);
    await story.produce("m2");
    story.kill(A, B);
    await story.until("nobody leads", () => story.leader === -1);
    story.start(B);
    await story.untilLeader(B);
    story.start(A, C);
    await story.untilAtRest();
    story.expectEqual("m2 is there", await story.everything(), ["m1", "m2"]);
  },
);
