/** KAFKA-9835's neighbour: retention must not take what is not committed. */
import { CONTROLLER_ASIDE, scenario, TOPIC } from "./story.ts";

const [A, B, C] = [2, 3, 4];
const LARGE = "x".repeat(400_000);

export const retentionBelowHighWatermark = scenario(
  "retention-below-high-watermark",
  "records expire while followers are away: nothing at or above the high watermark is deleted",
  {
    ...CONTROLLER_ASIDE,
    configs: { "retention.ms": "2000", "segment.bytes": "1048576" },
    overrides: { retentionCheckIntervalMs: 1_000 },
  },
  async (story) => {
    story.cut([A], [B, C]);
    for (let count = 0; count < 8; count++) {
      const sent = story.send(`${count} ${LARGE}`, { acks: 1 });
      await story.answer(sent);
    }
    await story.untilIsr(A);
    await story.wait(4_000);
    story.expectEqual("A has all of it", story.log(A)?.startOffset, 0);
    // Kept from here on, so that what was committed can be compared to the end.
    const operations = [{ key: "retention.ms", operation: "set", value: "-1" }] as const;
    const resources = [{ resource: "topic", name: TOPIC, operations }] as const;
    const kept = story.clients.call(1, "alter configs", (api) =>
      api.controller("alter-configs", { resources, validateOnly: false }, 5_000),
    );
    await story.until("nothing expires any more", () => kept.settled);
    await story.wait(1_000);
    story.join([A], [B, C]);
    await story.untilIsr(A, B, C);
    story.expectEqual("B has all of it, too", story.log(B)?.startOffset, 0);
  },
);
