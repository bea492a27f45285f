/** KIP-98: what a log cut off it must not take for written. */
import { CONTROLLER_ASIDE, scenario } from "./story.ts";

const [CONTROLLER, A, B, C] = [1, 2, 3, 4];

export const retryAfterTruncation = scenario(
  "retry-after-truncation",
  "a leader cuts off a batch that nobody else has, leads again, and is sent the batch once more",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m1");
    story.cut([A], [CONTROLLER, B, C]);
    const sent = story.send("m2");
    await story.until("A alone has m2", () => story.logEnd(A) === 2);
    await story.untilLeader(B);
    await story.produce("n2");
    story.join([A], [CONTROLLER, B, C]);
    await story.untilIsr(A, B, C);
    story.expectEqual("A has cut m2 off", story.log(A)?.at(1)?.crc, story.log(B)?.at(1)?.crc);
    story.kill(B);
    await story.untilLeader(A);
    await story.deliver(sent);
    story.expectEqual("m2 is written anew", sent.offset, 2);
    story.start(B);
    await story.untilAtRest();
    story.expectEqual("once", await story.everything(), ["m1", "n2", "m2"]);
  },
);
