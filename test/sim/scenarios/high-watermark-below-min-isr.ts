/** KAFKA-15583. */
import { CONTROLLER_ASIDE, scenario } from "./story.ts";

const [A, B, C] = [2, 3, 4];

export const highWatermarkBelowMinIsr = scenario(
  "high-watermark-below-min-isr",
  "below min.insync.replicas the high watermark stands still, and a leader from the ELR retracts nothing",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m1");
    story.kill(B, C);
    await story.untilIsr(A);
    const [eligible = B] = story.partition.elr;
    const lone = story.send("lone", { acks: 1 });
    story.expectEqual("acks=1 is served", await story.answer(lone), "acknowledged");
    await story.wait(2_000);
    const { values, highWatermark } = await story.read();
    story.expectEqual("consumers do not see it", values, ["m1"]);
    story.expectEqual("for it is not committed", highWatermark, 1);
    story.kill(A);
    await story.until("nobody leads", () => story.leader === -1);
    story.start(eligible);
    await story.untilLeader(eligible);
    story.start(A, B, C);
    await story.untilAtRest();
    story.expectEqual("what was read is still there", await story.everything(), ["m1"]);
  },
);
