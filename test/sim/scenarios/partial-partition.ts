/** Cloudflare, November 2020: a link between two of the voters fails, and leaders alternate for hours. */
import { scenario } from "./story.ts";

export const partialPartition = scenario(
  "partial-partition",
  "two of five voters lose their link to the leader only: it stays; then it is deaf: another one leads at once",
  { brokers: 5, voters: 5, replicas: [2, 3], minIsr: 1 },
  async (story) => {
    const before = [story.image.term, story.controller];
    const [leader, others] = [1, [2, 3, 4, 5]];
    story.expectEqual("broker 1 is the controller", story.controller, leader);
    story.cut([leader], [4, 5]);
    await story.wait(20_000);
    story.join([leader], [4, 5]);
    await story.wait(5_000);
    story.expectEqual("term and leader", [story.image.term, story.controller], before);
    // It speaks and hears no answer: its heartbeats must not keep others from leading for ever.
    story.mute(others, [leader]);
    const isLed = (): boolean => others.includes(story.broker(2).running?.api.controllerId() ?? -1);
    await story.wait(1_900);
    const resigned = story.said(/no longer the active controller/).map(({ node }) => node);
    story.expectEqual("it gives up by itself", resigned, [story.cluster.nodeOf(leader)]);
    await story.until("another one leads", isLed, 5_000);
    await story.wait(3_000);
    const changed = [story.image.term, story.controller];
    story.unmute(others, [leader]);
    await story.wait(10_000);
    story.expectEqual(
      "and stays",
      [story.image.term, story.broker(2).running?.api.controllerId()],
      [changed[0], story.broker(3).running?.api.controllerId()],
    );
  },
);
