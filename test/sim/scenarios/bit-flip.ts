/** NATS #7549: a minority's flipped bits must neither be believed nor cost what the others have. */
import { flipMetadata, flipRecord } from "../faults/damage.ts";
import { scenario } from "./story.ts";

const [A, B, C] = [1, 3, 2];

export const bitFlip = scenario(
  "bit-flip",
  "a bit flips in a replica's log and in its metadata log; it is rebuilt from the others, and then leads",
  { replicas: [A, B, C] },
  async (story) => {
    await story.produce("m1", "m2", "m3", "m4");
    await story.wait(2_000);
    story.kill(B);
    await story.untilIsr(A, C);
    flipRecord(story.broker(B), 1);
    flipMetadata(story.broker(B));
    story.start(B);
    await story.untilAtRest();
    story.expect("the log was set aside", story.said(/replica quarantined/).length === 1);
    story.expect("so was the metadata log", story.said(/lost its tail/).length === 1);
    story.kill(A);
    await story.untilLeader(B);
    const { values } = await story.read({ from: B });
    story.expect(
      "B has nothing that was not written",
      values.every((value) => /^m[1-4]$/.test(value)),
    );
    story.start(A);
    await story.untilAtRest();
    story.expectEqual("B has everything", await story.everything(), ["m1", "m2", "m3", "m4"]);
  },
);
