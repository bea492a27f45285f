/** NATS #7556: a damaged snapshot was taken for the truth, and what it lacked was deleted. */
import { flipSnapshots } from "../faults/damage.ts";
import { scenario, TOPIC } from "./story.ts";

export const corruptedSnapshot = scenario(
  "corrupted-snapshot",
  "a voter finds its snapshot of the metadata damaged: it is sent a sound one, and no topic goes",
  { snapshotBytes: 600 },
  async (story) => {
    await story.produce("m1");
    story.kill(3);
    await story.untilIsr(1, 2);
    flipSnapshots(story.broker(3), TOPIC);
    story.start(3);
    await story.untilAtRest();
    story.expectEqual("it was noticed", story.said(/damaged and was passed over/).length, 1);
    story.expectEqual("the topic is there", await story.everything(), ["m1"]);
  },
);
