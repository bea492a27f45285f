/** KAFKA-9144 and its family, KIP-854: producers that a log forgets, and those that it must not. */
import { CONTROLLER_ASIDE, scenario } from "./story.ts";

const [A, B] = [2, 3];

export const idleProducer = scenario(
  "idle-producer",
  "an idle producer is forgotten and told so, across a change of leaders; a busy one is not",
  {
    ...CONTROLLER_ASIDE,
    overrides: { producerIdExpirationMs: 10_000, retentionCheckIntervalMs: 1_000 },
  },
  async (story) => {
    const idle = story.clients.producer();
    const busy = story.clients.producer();
    const send = async (value: string, producer: typeof idle): Promise<string> =>
      story.answer(story.send(value, { producer }));
    story.expectEqual("the first is taken", await send("idle 1", idle), "acknowledged");
    for (let count = 1; count <= 3; count++) {
      story.expectEqual("busy goes on", await send(`busy ${count}`, busy), "acknowledged");
      await story.wait(4_000);
      if (count > 1) continue;
      story.kill(A);
      await story.untilLeader(B);
    }
    story.expectEqual("it is forgotten", await send("idle 2", idle), "UNKNOWN_PRODUCER_ID");
    const anew = { ...story.clients.producer() };
    story.expectEqual("and begins anew", await send("idle 2 again", anew), "acknowledged");
    story.expectEqual("busy is known", await send("busy 4", busy), "acknowledged");
    story.start(A);
    await story.untilAtRest();
    story.expectEqual("everywhere", await send("busy 5", busy), "acknowledged");
  },
);
