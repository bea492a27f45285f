/** KAFKA-9672: a dead broker in the ISR; and two processes that say they are the same one. */
import { CONTROLLER_ASIDE, scenario } from "./story.ts";
import { Stranger } from "./stranger.ts";

const [CONTROLLER, A, B, C] = [1, 2, 3, 4];

export const rebornBroker = scenario(
  "reborn-broker",
  "a second process of a living broker is turned away; a broker that dies and comes back is another life",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m1");
    const registration = story.image.brokers.get(B);
    const twin = {
      brokerId: B,
      incarnationId: "dHdpbiBvZiBicm9rZXIgMw",
      clusterId: story.image.clusterId,
      endpoints: registration?.endpoints,
      rack: null,
      directories: registration?.directories,
      features: registration?.features,
      cleanShutdownEpoch: -1,
      lostReplicas: [],
    };
    const stranger = new Stranger(story);
    const answer = await stranger.ask(CONTROLLER, "register-broker", twin);
    story.expectEqual("the twin is refused", answer, "DUPLICATE_BROKER_REGISTRATION");
    await story.wait(1_000);
    story.expectEqual("B lives on", story.image.brokers.get(B), registration);
    story.kill(B);
    story.start(B);
    const epoch = registration?.epoch ?? -1;
    await story.until("B is registered anew", () => epochOf() > epoch);
    story.expectEqual("out of the ISR until it has caught up", story.isr, `${A},${C}`);
    await story.untilIsr(A, B, C);

    function epochOf(): number {
      return story.image.brokers.get(B)?.epoch ?? -1;
    }
  },
);
