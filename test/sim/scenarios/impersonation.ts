/** CVE-2018-1288: a client that says it is a replica moved the high watermark. */
import type { FetchProgress } from "../../../src/replica/messages.ts";
import { CONTROLLER_ASIDE, type Story, scenario } from "./story.ts";
import { Stranger } from "./stranger.ts";

const [A, B, C] = [2, 3, 4];

export const impersonation = scenario(
  "impersonation",
  "who is no replica moves no high watermark: not by reading at the clients' door, nor as a former life or of another cluster",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m1");
    story.cut([A], [B, C]);
    const waits = story.send("m2", { timeoutMs: 20_000 });
    // The followers' own streams have broken, and they are still in the ISR.
    await story.wait(3_300);
    story.expectEqual("all are in the ISR", story.isr, `${A},${B},${C}`);
    const end = await story.read({ offset: 2 });
    story.expectEqual("reading at the end of the log says nothing of a replica", end.values, []);
    const stranger = new Stranger(story);
    const { clusterId = "" } = story.image;
    for (const id of [B, C]) {
      const epoch = story.image.brokers.get(id)?.epoch ?? -1;
      for (const [cluster, brokerEpoch] of [
        [clusterId, epoch - 1],
        ["another", epoch],
      ] as const) {
        const stream = stranger.follow(A);
        stream.say({ type: "hello", brokerId: id, brokerEpoch, clusterId: cluster });
        stream.say({ type: "start", partitions: [startOf(story)] });
        stream.say({ type: "progress", partitions: [PROGRESS], creditBytes: 0 });
        await story.until("the stranger is sent away", () => stream.ended, 500);
      }
    }
    story.expectEqual("m2 is not acknowledged", waits.outcome, "waiting");
    story.expectEqual("the high watermark is where it was", (await story.read()).highWatermark, 1);
    story.join([A], [B, C]);
    story.expectEqual("with B and C it is", await story.answer(waits, 20_000), "acknowledged");
  },
);

const PROGRESS: FetchProgress = { handle: 1, receivedEnd: 2, durableEnd: 2, logStartOffset: 0 };

function startOf(story: Story) {
  const { topicId, partition } = story;
  const { leaderEpoch } = partition;
  const at = { fetchOffset: 2, lastFetchedEpoch: leaderEpoch, logStartOffset: 0 };
  return { handle: 1, topicId, partition: 0, leaderEpoch, ...at };
}
