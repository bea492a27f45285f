/** The same of the metadata log: commits go on without its leader's disk, but it cannot apply them. */
import { NONE } from "../../../src/model/ids.ts";
import { scenario } from "./story.ts";

const QUORUM = [1, 2, 3];

export const hungController = scenario(
  "hung-controller",
  "the active controller's disk hangs: another voter takes over, and requests are answered",
  { brokers: 5, voters: QUORUM.length, replicas: [4, 5], minIsr: 1 },
  async (story) => {
    const old = story.controller;
    story.broker(old).node.disk.hang(20_000);
    const partitionsCount = NONE;
    const replicationFactor = NONE;
    const topic = { name: "second", partitionsCount, replicationFactor, configs: {} };
    const topics = [{ ...topic, assignment: [[4, 5]] }];
    const called = story.clients.call(4, "create topic", (api) =>
      api.controller("create-topics", { topics, validateOnly: false }, 15_000),
    );
    await story.until("somebody answers", () => called.settled, 8_000);
    const error = called.value?.topics[0]?.error?.code;
    story.expect(
      "the topic exists",
      error === undefined || error === "TOPIC_ALREADY_EXISTS",
      error,
    );
    story.expect("another voter is the controller", story.controller !== old);
    await story.wait(20_000);
  },
);
