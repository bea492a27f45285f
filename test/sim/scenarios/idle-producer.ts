/** KAFKA-9144 and its family, KIP-854: producers that a log forgets, and those that it must not. */
import { CONTROLLER_ASIDE, type Story, scenario } from "./story.ts";

const [A, B] = [2, 3];
const HOURS_MS = 3_600_000;

export const idleProducer = scenario(
  "idle-producer",
  "a producer idle for more than a day is forgotten and told so, across a change of leaders; a busy one is not",
  { ...CONTROLLER_ASIDE, overrides: { retentionCheckIntervalMs: 1_000 } },
  async (story) => {
    const idle = story.clients.producer();
    const busy = story.clients.producer();
    const send = async (value: string, producer: typeof idle): Promise<string> =>
      story.answer(story.send(value, { producer }));
    story.expectEqual("the first is taken", await send("idle 1", idle), "acknowledged");
    story.expectEqual("and the other's", await send("busy 1", busy), "acknowledged");
    await beLater(story, 13);
    story.kill(A);
    await story.untilLeader(B);
    story.expectEqual("busy goes on", await send("busy 2", busy), "acknowledged");
    await beLater(story, 26);
    story.expectEqual("idle is forgotten", await send("idle 2", idle), "UNKNOWN_PRODUCER_ID");
    const anew = story.clients.producer();
    story.expectEqual("and begins anew", await send("idle 2 again", anew), "acknowledged");
    story.expectEqual("busy is known", await send("busy 3", busy), "acknowledged");
    story.start(A);
    await story.untilAtRest();
    story.expectEqual("everywhere", await send("busy 4", busy), "acknowledged");
    await beLater(story, 0);
  },
);

/** By every clock so many hours have passed since the story began; retention has looked since. */
async function beLater(story: Story, hours: number): Promise<void> {
  for (const { node } of story.cluster.brokers) node.wallOffsetMs = hours * HOURS_MS;
  story.clients.wallOffsetMs = hours * HOURS_MS;
  await story.wait(2_500);
}
