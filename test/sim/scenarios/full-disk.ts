/** CockroachDB #32631, and LevelDB's own: after a full disk later writes succeed, and are gone. */
import { CONTROLLER_ASIDE, scenario } from "./story.ts";

const [A, B, C] = [2, 3, 4];

export const fullDisk = scenario(
  "full-disk",
  "a leader's disk is full for ten seconds; leadership moves, the cluster goes on, and nothing is lost",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m1");
    const { disk } = story.broker(A).node;
    disk.full = true;
    const refused = story.send("on a full disk");
    await story.untilLeader(B, 2_000);
    story.expect("A did not acknowledge", (await story.answer(refused)) !== "acknowledged");
    for (let count = 0; count < 10; count++) await story.produce(`meanwhile ${count}`);
    await story.wait(10_000);
    disk.full = false;
    await story.untilIsr(A, B, C);
    for (let count = 0; count < 10; count++) await story.produce(`afterwards ${count}`);
    story.kill(A, B, C);
    await story.wait(500);
    story.start(A, B, C);
    await story.untilAtRest();
    story.expectEqual("A has everything", story.logEnd(A), story.logEnd(B));
  },
);
