/** KAFKA-15586: detection of unclean shutdowns. */
import { CONTROLLER_ASIDE, scenario } from "./story.ts";

const [A, B, C] = [2, 3, 4];

export const uncleanRestart = scenario(
  "unclean-restart",
  "without an fsync before each acknowledgement only a clean stop vouches for a log: a killed broker leaves the ELR",
  { ...CONTROLLER_ASIDE, configs: { "flush.messages": "10000" } },
  async (story) => {
    await story.produce("m1");
    story.kill(C);
    await story.untilIsr(A, B);
    story.cut([A], [B]);
    await story.stop(B);
    story.expectEqual("B is eligible", [story.isr, story.elr], [`${A}`, `${B}`]);
    const stopped = epochOf();
    story.start(B);
    await story.until("B is back", () => epochOf() > stopped);
    story.expectEqual("and still eligible after a clean stop", story.elr, `${B}`);
    const killed = epochOf();
    story.kill(B);
    story.start(B);
    await story.until("B is back again", () => epochOf() > killed);
    story.expectEqual("but not after it was killed", story.elr, "");

    function epochOf(): number {
      return story.image.brokers.get(B)?.epoch ?? -1;
    }
  },
);
