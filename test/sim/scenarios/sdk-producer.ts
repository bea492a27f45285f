/** What the SDK promises of retries: each record once, in the order of its sends, whoever leads. */
import { Producer } from "../../../src/client/producer.ts";
import { SimTransport } from "../clients/sim-transport.ts";
import { bootstrapServers } from "../cluster/cluster-config.ts";
import { SimNode } from "../world/sim-node.ts";
import { createIncarnation } from "../world/sim-ports.ts";
import { CONTROLLER_ASIDE, type Story, scenario, TOPIC } from "./story.ts";

const [A, B, C] = [2, 3, 4];
const CLIENT = "client";

export const sdkProducer = scenario(
  "sdk-producer",
  "a producer has five batches under way as one leader dies, and as the answers of the next are lost",
  CONTROLLER_ASIDE,
  async (story) => {
    const producer = producerOf(story);
    const sent: string[] = [];
    const failed: string[] = [];
    const burst = async (count: number): Promise<void> => {
      for (let one = 0; one < count; one++) {
        const value = `sdk ${sent.length}`;
        sent.push(value);
        producer.send({ topic: TOPIC, value }).then(
          () => story.clients.acknowledged.push(value),
          (thrown: unknown) => failed.push(`${value}: ${String(thrown)}`),
        );
        await story.wait(2);
      }
    };
    await burst(15);
    story.kill(A);
    await burst(15);
    await story.untilLeader(B);
    await burst(5);
    const { network } = story.cluster;
    network.setLink(story.cluster.nodeOf(B), CLIENT, "hold");
    await burst(15);
    await story.wait(50);
    // What B has answered never arrives.
    story.losePower(B);
    story.start(A);
    await story.untilLeader(C);
    await burst(10);
    const settled = (): boolean => story.clients.acknowledged.length + failed.length >= sent.length;
    await story.until("everything has its outcome", settled, 60_000);
    story.expectEqual("nothing failed", failed, []);
    story.start(B);
    await story.untilAtRest();
    story.expectEqual("each once, in order", await story.everything(), sent);
  },
);

function producerOf(story: Story): Producer<string, string> {
  const { world, cluster } = story;
  const node = new SimNode({ world, name: CLIENT, prng: world.prng.fork(CLIENT) });
  cluster.network.attach(node);
  const { clock, codecs, random, timers, network } = createIncarnation(node, cluster.network).ports;
  const transport = new SimTransport({ network, timers });
  return new Producer({
    bootstrapServers: bootstrapServers(cluster.shape),
    environment: { clock, timers, random, codecs, transport },
    acks: "all",
    enableIdempotence: true,
    maxInFlightRequests: 5,
    lingerMs: 0,
    batchSize: 1_024,
  });
}
