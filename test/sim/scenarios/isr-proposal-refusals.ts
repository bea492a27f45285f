/** KAFKA-14154 (a proposal from the future), KIP-497 (partition epochs), KIP-903 (broker epochs). */
import { CONTROLLER_ASIDE, scenario } from "./story.ts";
import { Stranger } from "./stranger.ts";

const [CONTROLLER, A, B] = [1, 2, 3];

export const isrProposalRefusals = scenario(
  "isr-proposal-refusals",
  "a controller refuses ISR changes made in any other epoch than the one in force, and fences nobody for it",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m1");
    const stranger = new Stranger(story);
    const before = story.partition;
    const epochOf = (id: number): number => story.image.brokers.get(id)?.epoch ?? -1;
    const ask = async (
      changes: object,
      from = { brokerId: A, brokerEpoch: epochOf(A) },
      members = [A, B],
    ): Promise<unknown> => {
      const { leaderEpoch, partitionEpoch } = before;
      const newIsr = members.map((id) => ({ brokerId: id, brokerEpoch: epochOf(id) }));
      const item = { topicId: story.topicId, partition: 0, leaderEpoch, partitionEpoch, newIsr };
      const partitions = [{ ...item, ...changes }];
      const reply = await stranger.ask(CONTROLLER, "alter-partition", { ...from, partitions });
      if (typeof reply === "string") return reply;
      const body = reply as { partitions: { error: { code: string } | null }[] };
      return body.partitions[0]?.error?.code;
    };
    const { leaderEpoch, partitionEpoch } = before;
    story.expectEqual(
      "a leader epoch that this controller has not reached: another one is meant",
      await ask({ leaderEpoch: leaderEpoch + 1 }),
      "NOT_CONTROLLER",
    );
    story.expectEqual(
      "a leader epoch that is over",
      await ask({ leaderEpoch: leaderEpoch - 1 }),
      "FENCED_LEADER_EPOCH",
    );
    story.expectEqual(
      "a state that is not the present one",
      await ask({ partitionEpoch: partitionEpoch - 1 }),
      "INVALID_UPDATE_VERSION",
    );
    story.expectEqual(
      "a former life of the leader",
      await ask({}, { brokerId: A, brokerEpoch: epochOf(A) - 1 }),
      "STALE_BROKER_EPOCH",
    );
    story.expectEqual(
      "somebody who does not lead",
      await ask({}, { brokerId: B, brokerEpoch: epochOf(B) }),
      "INVALID_REQUEST",
    );
    story.expectEqual("a leader outside of it", await ask({}, undefined, [B]), "INVALID_REQUEST");
    await story.wait(1_000);
    story.expectEqual("nothing has changed", story.partition, before);
    story.expect("nobody was fenced", story.said(/^fencing a broker/).length === 0);
  },
);
