/** KIP-455: a partition moves to other brokers while it is written to, and whoever may die dies. */
import type { BrokerId } from "../../../src/model/ids.ts";
import { type Story, scenario, TOPIC } from "./story.ts";

const [CONTROLLER, A, B, C, D, E] = [1, 2, 3, 4, 5, 6];
const SHAPE = { brokers: 6, voters: 1, replicas: [A, B, C] } as const;

async function reassign(story: Story, replicas: readonly BrokerId[] | null): Promise<string> {
  const request = {
    partitions: [{ topic: TOPIC, partition: 0, replicas }],
    allowReplicationFactorChange: true,
  };
  const call = story.clients.call(CONTROLLER, "reassign", (api) =>
    api.controller("reassign-partitions", request, 5_000),
  );
  await story.until("the controller has answered", () => call.settled);
  return call.value?.partitions[0]?.error?.code ?? "begun";
}

async function untilMoved(story: Story, ...replicas: readonly BrokerId[]): Promise<void> {
  const wanted = replicas.join(",");
  await story.until(`the replicas are ${wanted}`, () => {
    const { partition } = story;
    return partition.replicas.join(",") === wanted && partition.adding.length === 0;
  });
  // The process may be dead for now; what lies on its disk goes once it is back.
  await story.until("the others have no log of it", () =>
    [A, B, C, D, E].every(
      (id) => replicas.includes(id) || story.broker(id).node.disk.list("/data/logs").length === 0,
    ),
  );
}

export const reassignmentUnderDeaths = scenario(
  "reassignment-under-deaths",
  "a partition moves while its leader, a new replica and the controller die; it moves back to brokers that had it",
  SHAPE,
  async (story) => {
    await story.produce("m1", "m2");
    story.cut([A, B, C], [D, E]);
    story.expectEqual("it begins", await reassign(story, [D, E, C]), "begun");
    await story.produce("while nobody copies");
    story.expectEqual("all five hold it", story.partition.replicas.join(","), "5,6,4,2,3");
    story.join([A, B, C], [D]);
    await story.until("D is in sync", () => story.partition.isr.includes(D));
    await story.produce("while one has copied");
    story.expectEqual("it goes on", story.partition.removing.join(","), `${A},${B}`);
    story.losePower(A);
    await story.until("another leads", () => story.leader !== A && story.leader > 0);
    await story.produce("after the leader died");
    story.kill(CONTROLLER);
    story.start(CONTROLLER);
    story.kill(D);
    await story.until("D is out of sync", () => !story.partition.isr.includes(D));
    story.start(D);
    story.join([B, C], [E]);
    story.start(A);
    await untilMoved(story, D, E, C);
    await story.produce("at its new place");
    const { leader } = story;
    story.losePower(leader);
    await story.until("another leads there", () => ![leader, -1].includes(story.leader));
    await story.produce("without the first of it");
    story.start(leader);
    await story.untilAtRest();
    story.join([A, B, C], [D, E]);
    story.expectEqual("back it goes", await reassign(story, [A, B, C]), "begun");
    await untilMoved(story, A, B, C);
    story.expectEqual("nothing is lost", await story.everything(), [
      "m1",
      "m2",
      "while nobody copies",
      "while one has copied",
      "after the leader died",
      "at its new place",
      "without the first of it",
    ]);
  },
);

export const reassignmentGivenUp = scenario(
  "reassignment-given-up",
  "a reassignment is given up, and what was copied is not counted on any more; not while it must be",
  SHAPE,
  async (story) => {
    await story.produce("m1");
    story.cut([A, B, C], [E]);
    await reassign(story, [D, E]);
    await story.until("D is in sync", () => story.partition.isr.includes(D));
    story.kill(B, C);
    await story.until("A and D alone", () => story.isr === `${D},${A}`);
    await story.produce("on A and D");
    story.expectEqual(
      "A alone would hold what two acknowledged",
      await reassign(story, null),
      "INVALID_REPLICA_ASSIGNMENT",
    );
    story.start(B);
    await story.until("B is back", () => story.partition.isr.includes(B));
    story.expectEqual("now it can be given up", await reassign(story, null), "begun");
    story.expectEqual("it is gone", await reassign(story, null), "NO_REASSIGNMENT_IN_PROGRESS");
    story.start(C);
    await untilMoved(story, A, B, C);
    story.expectEqual("nothing is lost", await story.everything(), ["m1", "on A and D"]);
  },
);
