/**
 * A broker dies at each named step of a cleaning (`src/storage/segment-swap.ts`): as the cleaned
 * segment is written, synced, committed to, as directories move, and as the rest is removed. P20
 * looks at what the next start makes of it.
 */
import type { CrashAt } from "../world/crash-points.ts";
import { type Story, type StoryShape, scenario } from "./story.ts";

const COMPACTED: StoryShape = {
  configs: {
    "cleanup.policy": "compact",
    "internal.segment.bytes": "700",
    "min.cleanable.dirty.ratio": "0",
    "delete.retention.ms": "0",
  },
  overrides: { properties: new Map([["log.cleaner.backoff.ms", "50"]]) },
};
const KEYS_COUNT = 3;
const ROUND_RECORDS = 12;

const STEPS: readonly Pick<CrashAt, "kind" | "stage" | "detail" | "n">[] = [
  { kind: "write", stage: "completed", detail: ".cleaned" },
  { kind: "sync", stage: "issued", detail: ".cleaned" },
  { kind: "sync", stage: "completed", detail: ".cleaned" },
  { kind: "store-close", stage: "completed", detail: ".cleaned" },
  { kind: "rename", stage: "issued", detail: "/logs/orders" },
  { kind: "rename", stage: "completed", detail: "/logs/orders" },
  { kind: "rename", stage: "issued", detail: "/logs/orders", n: 2 },
  { kind: "rename", stage: "completed", detail: "/logs/orders", n: 2 },
  { kind: "rename", stage: "completed", detail: "/logs/orders", n: 3 },
  { kind: "remove", stage: "issued", detail: ".deleted" },
  { kind: "remove", stage: "completed", detail: ".deleted" },
];

export const crashAmidACleaning = scenario(
  "crash-amid-a-cleaning",
  "a broker dies at each step of a cleaning: the last value of each key is there, at its offset",
  COMPACTED,
  async (story) => {
    const writer = new KeyedWriter(story);
    for (const [index, point] of STEPS.entries()) {
      const victim = story.replicas[index % story.replicas.length] as number;
      const { node } = story.broker(victim);
      const how = index % 2 === 0 ? "power loss" : "crash";
      let died = false;
      const then = (): void => {
        died = true;
        if (how === "crash") story.kill(victim);
        else story.losePower(victim);
      };
      const disarm = node.crashAt({ ...point, then });
      for (let round = 0; round < 10 && !died; round++) {
        await writer.round();
        await story.wait(150);
      }
      disarm();
      story.expect("it died there", died, JSON.stringify(point));
      const epoch = story.image.brokers.get(victim)?.epoch;
      story.start(victim);
      const isBack = (): boolean => story.image.brokers.get(victim)?.epoch !== epoch;
      await story.until("it is registered anew", isBack, 30_000);
      await story.untilAtRest();
    }
    await writer.round();
    await story.wait(500);
  },
);

export const cleaningBelowHighWatermark = scenario(
  "cleaning-below-the-high-watermark",
  "a leader without followers takes what nobody else has: its cleaner leaves it alone",
  COMPACTED,
  async (story) => {
    const writer = new KeyedWriter(story);
    await writer.round();
    const { leader } = story;
    const others = story.replicas.filter((id) => id !== leader);
    story.cut([leader], others);
    for (let count = 0; count < ROUND_RECORDS; count++) writer.send(1);
    await story.wait(1_000);
    await story.until("another one leads", () => story.leader !== leader);
    story.join([leader], others);
    await story.untilAtRest();
    await writer.round();
  },
);

class KeyedWriter {
  readonly #story: Story;
  #count = 0;

  constructor(story: Story) {
    this.#story = story;
  }

  /** Records of the same few keys; what they replace need not be read again. */
  async round(): Promise<void> {
    const { clients } = this.#story;
    const sent = Array.from({ length: ROUND_RECORDS }, () => this.send(-1));
    const isOver = (): boolean => sent.every(({ outcome }) => outcome !== "waiting");
    await this.#story.until("a round is answered", isOver, 20_000);
    clients.forget();
  }

  send(acks: 1 | -1) {
    const { clients, leader } = this.#story;
    const key = `key ${this.#count % KEYS_COUNT}`;
    const sent = clients.prepare(`${this.#count++}`.padEnd(60), {
      acks,
      key,
      producer: { producerId: -1, producerEpoch: -1, sequence: -1 },
    });
    clients.dispatch(sent, { to: leader });
    return sent;
  }
}
