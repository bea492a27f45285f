/** KIP-101 case 1, KAFKA-1211. */
import { CONTROLLER_ASIDE, scenario, TOPIC } from "./story.ts";

const [A, B] = [2, 3];

export const highWatermarkTruncation = scenario(
  "high-watermark-truncation",
  "a follower that has not heard of the newest high watermark leads after a restart, and loses nothing",
  { ...CONTROLLER_ASIDE, replicas: [A, B] },
  async (story) => {
    await story.produce("m1");
    await story.wait(2_000);
    const m2 = story.send("m2");
    await story.answer(m2);
    // High watermarks without data travel a little later: B holds m2, and knows of m1.
    story.kill(B);
    await story.untilIsr(A);
    story.cut([A], [B]);
    story.start(B);
    await story.wait(1_000);
    story.kill(A);
    await story.untilLeader(B);
    const { values } = await story.read();
    story.expectEqual(
      "the new leader serves nothing that it does not know to be committed",
      values,
      ["m1"],
    );
    const latest = story.clients.call(B, "list offsets", (api) =>
      api.listOffsets([{ topic: TOPIC, partition: 0, timestamp: -1 }]),
    );
    await story.until("offsets are listed", () => latest.settled);
    story.expectEqual(
      "nor does it say where the log ends",
      latest.value?.[0]?.error?.code,
      "OFFSET_NOT_AVAILABLE",
    );
    story.join([A], [B]);
    story.start(A);
    await story.untilAtRest();
    story.expectEqual("m2 is there", await story.everything(), ["m1", "m2"]);
  },
);
