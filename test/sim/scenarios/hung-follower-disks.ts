/** acks=all means fsynced, not received. */
import { CONTROLLER_ASIDE, scenario } from "./story.ts";

const [A, B, C] = [2, 3, 4];

export const hungFollowerDisks = scenario(
  "hung-follower-disks",
  "the followers have received a record and their disks hang: it is not acknowledged before they go on",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m1");
    for (const id of [B, C]) story.broker(id).node.disk.hang(1_500);
    const waits = story.send("m2", { timeoutMs: 20_000 });
    await story.wait(1_000);
    story.expectEqual("A has it", story.logEnd(A), 2);
    story.expectEqual("it is not acknowledged", waits.outcome, "waiting");
    story.expectEqual("then it is", await story.answer(waits), "acknowledged");
    // And the leader itself counts by its own fsync.
    story.broker(A).node.disk.hang(1_500);
    const again = story.send("m3", { timeoutMs: 20_000 });
    await story.wait(1_000);
    story.expectEqual("m3 is not acknowledged", again.outcome, "waiting");
    story.expectEqual("then it is, too", await story.answer(again), "acknowledged");
  },
);
