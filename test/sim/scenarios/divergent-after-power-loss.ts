/** KIP-101 case 2. */
import { CONTROLLER_ASIDE, scenario } from "./story.ts";

const [A, B, C] = [2, 3, 4];

export const divergentAfterPowerLoss = scenario(
  "divergent-after-power-loss",
  "all replicas lose power while only the leader has the newest record; another one leads first",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m0");
    await story.wait(2_000);
    // That m1 is committed A knows, and has not written down.
    await story.produce("m1");
    story.cut([A], [B, C]);
    const m2 = story.send("m2");
    await story.until("A alone has m2", () => story.logEnd(A) === 3);
    story.losePower(A, B, C);
    await story.until("nobody leads", () => story.leader === -1);
    story.join([A], [B, C]);
    story.start(B, C);
    await story.until("B or C leads", () => story.leader === B || story.leader === C);
    await story.produce("n2");
    story.expect("m2 was not acknowledged", m2.outcome !== "acknowledged");
    story.start(A);
    await story.untilAtRest();
    story.expectEqual("A has cut m2 off", await story.everything(), ["m0", "m1", "n2"]);
  },
);
