/** R21: an id that two producers have makes one's records pass for repetitions of the other's. */
import { NONE } from "../../../src/model/ids.ts";
import { scenario } from "./story.ts";

const ROUNDS_COUNT = 3;

export const producerIdBlocks = scenario(
  "producer-id-blocks",
  "brokers give out producer ids across restarts and changes of the controller: none is given twice",
  {},
  async (story) => {
    const ids: number[] = [];
    const take = async (brokerId: number): Promise<void> => {
      const called = story.clients.call(brokerId, "init producer id", (api) =>
        api.initProducerId(),
      );
      await story.until("there is a producer id", () => called.settled);
      if (called.value !== undefined) ids.push(called.value.producerId);
    };
    for (let round = 0; round < ROUNDS_COUNT; round++) {
      for (const id of [1, 2, 3]) await take(id);
      await story.until("there is a controller", () => story.controller !== NONE);
      const dies = story.controller;
      story.kill(dies);
      for (const id of [1, 2, 3]) if (id !== dies) await take(id);
      story.start(dies);
      await story.untilAtRest();
    }
    story.expect("ids were given", ids.length > 3 * ROUNDS_COUNT, `${ids.length};`);
    story.expectEqual("none twice", new Set(ids).size, ids.length);
  },
);
