/** KIP-516: topics have ids, because a name may come back. */
import { CONTROLLER_ASIDE, scenario, TOPIC } from "./story.ts";

const [A, B, C] = [2, 3, 4];

export const recreatedTopic = scenario(
  "recreated-topic",
  "a topic is deleted and made anew while it is read and a replica is away: no record crosses over",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("old 1", "old 2");
    const tail = story.follow(A, 0);
    await story.until("the consumer has everything", () => tail.values.length === 2);
    story.kill(C);
    await story.untilIsr(A, B);
    const old = story.topicId;
    const stale = story.clients.prepare("of the old topic");
    const deleted = story.clients.call(1, "delete topic", (api) =>
      api.controller("delete-topics", { topics: [{ name: TOPIC }] }, 5_000),
    );
    await story.until("the topic is deleted", () => deleted.settled);
    story.clients.forget();
    await story.createTopic({ "min.insync.replicas": "2" });
    story.expect("it is another topic", story.topicId !== old);
    await story.untilLeader(A);
    await story.produce("new 1", "new 2", "new 3");
    await story.deliver(stale);
    await story.wait(1_000);
    story.expect("who read the old topic is told so", tail.error !== undefined);
    story.expectEqual("and gets nothing of the new one", tail.values, ["old 1", "old 2"]);
    story.start(C);
    await story.untilAtRest();
    story.expectEqual("the new log is the new one's", await story.everything(), [
      "new 1",
      "new 2",
      "new 3",
      "of the old topic",
    ]);
    await story.wait(2_000);
    for (const id of [A, B, C]) {
      const left = story.broker(id).node.disk.list("/data/logs");
      story.expectEqual(`broker ${id} has one log`, left.length, 1);
    }
  },
);
