/** The judge itself was asleep: what looks like everybody's silence was its own. */
import { stall } from "./stalls.ts";
import { CONTROLLER_ASIDE, scenario } from "./story.ts";

const CONTROLLER = 1;

export const stalledController = scenario(
  "stalled-controller",
  "the only controller stalls for three seconds, more than a session timeout: nobody is taken for dead",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m1");
    const before = story.partition;
    for (let round = 0; round < 6; round++) {
      // Shorter than the keepalive of the network: a stall, not a partition.
      await stall(story, [CONTROLLER], 1_950);
      await story.wait(2_000);
    }
    story.expectEqual("nobody was fenced", story.said(/^fencing a broker/).length, 0);
    story.expectEqual("nothing has changed", story.partition, before);
  },
);
