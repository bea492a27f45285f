/** NATS #7564: the whole cluster loses power under load. */
import { type Story, scenario } from "./story.ts";

export const powerLossEverywhere = scenario(
  "power-loss-everywhere",
  "all machines lose power at once under load, three times: what was acknowledged is there",
  { configs: { "flush.messages": "1" } },
  async (story) => {
    await story.produce("m1");
    for (let round = 1; round <= 3; round++) await play(story, round);
  },
);

async function play(story: Story, round: number): Promise<void> {
  for (let count = 0; count < 15; count++) {
    story.send(`round ${round} record ${count}`);
    await story.wait(1);
  }
  story.losePower(1, 2, 3);
  await story.wait(500);
  story.start(1, 2, 3);
  await story.untilAtRest();
  const values = await story.everything();
  const lost = story.clients.acknowledged.filter((value) => !values.includes(value));
  story.expectEqual("nothing that was acknowledged is missing", lost, []);
}
