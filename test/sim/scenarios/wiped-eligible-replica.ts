/** KIP-966 with a new disk: who was eligible and lost everything is not eligible any more. */
import { CONTROLLER_ASIDE, scenario } from "./story.ts";

const [A, B, C] = [2, 3, 4];

export const wipedEligibleReplica = scenario(
  "wiped-eligible-replica",
  "the only live member of the ELR comes back with an empty disk: nobody leads until another one is back",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m1");
    story.kill(C);
    await story.untilIsr(A, B);
    await story.produce("m2");
    story.kill(B);
    await story.untilIsr(A);
    story.kill(A);
    await story.until("nobody leads", () => story.leader === -1);
    story.wipe(B);
    story.start(B);
    await story.wait(5_000);
    story.expectEqual("B must not lead", story.leader, -1);
    story.start(A);
    await story.untilLeader(A);
    story.start(C);
    await story.untilAtRest();
    story.expectEqual("nothing is lost", await story.everything(), ["m1", "m2"]);
  },
);
