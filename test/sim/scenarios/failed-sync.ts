/** fsyncgate: an fsync that failed must not be taken for one that succeeds the next time. */
import { CONTROLLER_ASIDE, scenario } from "./story.ts";

const [A, B, C] = [2, 3, 4];

export const failedSync = scenario(
  "failed-sync",
  "a leader's fsync fails once: it answers with an error, hands over, and verifies before it goes on",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m1");
    story.broker(A).node.disk.arm("sync-error");
    const sent = story.send("m2");
    const outcome = await story.answer(sent);
    story.expect("the disk's error is told", outcome !== "acknowledged", outcome);
    await story.untilLeader(B);
    await story.produce("m3");
    await story.untilIsr(A, B, C);
    await story.deliver(sent);
    await story.untilAtRest();
    const { values } = await story.read();
    story.expectEqual("everything once", [...values].sort(), ["m1", "m2", "m3"]);
    story.expectEqual("A has it, too", story.logEnd(A), story.logEnd(B));
  },
);
