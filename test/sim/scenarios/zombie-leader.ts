/** KIP-320, KAFKA-6880. */
import { CONTROLLER_ASIDE, scenario } from "./story.ts";

const [A, B] = [2, 3];

export const zombieLeader = scenario(
  "zombie-leader",
  "a leader sleeps through the election of its successor, and wakes up to requests",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m1");
    const old = story.partition.leaderEpoch;
    story.pause(A);
    await story.untilLeader(B);
    const epoch = story.partition.leaderEpoch;
    const fenced = await story.read({ from: B, epoch: old });
    story.expectEqual("who knows an older epoch is told so", fenced.error, "FENCED_LEADER_EPOCH");
    const early = await story.read({ from: B, epoch: epoch + 1 });
    story.expectEqual("who knows a newer one, too", early.error, "UNKNOWN_LEADER_EPOCH");
    await story.produce("m2");
    const zombie = story.send("zombie", { to: A });
    await story.wait(100);
    story.resume(A);
    story.expect("A acknowledges nothing", (await story.answer(zombie)) !== "acknowledged");
    await story.untilAtRest();
    const { values, error } = await story.read({ from: B, epoch: story.partition.leaderEpoch });
    story.expectEqual("who knows the epoch is served", error, undefined);
    story.expectEqual("the log is what B acknowledged", values, ["m1", "m2"]);
  },
);
