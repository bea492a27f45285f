/** R22: a voter that lost what it had promised to keep must not vote as who it was. */
import { loseMetadata } from "../faults/damage.ts";
import { scenario } from "./story.ts";

export const lostMetadataTail = scenario(
  "lost-metadata-tail",
  "a voter comes back without the end of its metadata log: it returns as another node, and is taken in",
  {},
  async (story) => {
    await story.produce("m1");
    await story.wait(1_000);
    story.kill(3);
    loseMetadata(story.broker(3), 4);
    await story.untilIsr(1, 2);
    story.start(3);
    await story.untilAtRest();
    story.expectEqual("it is somebody else", story.said(/new directory id/).length, 1);
    story.kill(1);
    await story.until("the others take over", () => ![1, -1].includes(story.leader));
    await story.produce("m2");
  },
);
