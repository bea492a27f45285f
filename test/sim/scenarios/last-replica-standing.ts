/** KIP-966: eligible leader replicas. */
import { CONTROLLER_ASIDE, scenario } from "./story.ts";

const [A, B, C] = [2, 3, 4];

export const lastReplicaStanding = scenario(
  "last-replica-standing",
  "the ISR shrinks to one, which dies: only who held what was committed as it left may lead",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m1");
    story.kill(C);
    await story.untilIsr(A, B);
    story.expectEqual("two in sync are enough to go on without C", story.elr, "");
    await story.produce("m2");
    story.kill(B);
    await story.untilIsr(A);
    story.expectEqual("B holds what was committed as it left", story.elr, `${B}`);
    story.losePower(A);
    await story.until("nobody leads", () => story.leader === -1);
    story.start(C);
    await story.wait(4_000);
    story.expectEqual("C lacks m2 and must not lead", story.leader, -1);
    story.start(B);
    await story.untilLeader(B);
    story.start(A);
    await story.untilAtRest();
    story.expectEqual("nothing is lost", await story.everything(), ["m1", "m2"]);
  },
);
