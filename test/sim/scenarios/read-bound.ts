/** KAFKA-9835: a read races with the high watermark and must not pass it. */
import { CONTROLLER_ASIDE, scenario } from "./story.ts";

const [A, B, C] = [2, 3, 4];

export const readBound = scenario(
  "read-bound",
  "consumers get nothing at or above the high watermark, whatever the log holds, before and after a truncation",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m1");
    story.cut([A], [B, C]);
    const open = story.send("uncommitted", { timeoutMs: 1_000 });
    await story.until("A has it", () => story.logEnd(A) === 2);
    const { values, highWatermark } = await story.read({ from: A });
    story.expectEqual("a read ends where the ISR does", values, ["m1"]);
    story.expectEqual("and says so", highWatermark, 1);
    story.expectEqual(
      "there is nothing behind it",
      (await story.read({ from: A, offset: 1 })).values,
      [],
    );
    story.expect("it is not acknowledged", (await story.answer(open)) !== "acknowledged");
    story.pause(A);
    await story.untilLeader(B);
    story.join([A], [B, C]);
    await story.produce("m2");
    story.resume(A);
    const stale = await story.read({ from: A });
    story.expect(
      "A serves nothing uncommitted as it wakes up",
      !stale.values.includes("uncommitted"),
    );
    await story.untilAtRest();
    story.expectEqual("it is gone", await story.everything(), ["m1", "m2"]);
  },
);
