/** acks=all means fsynced, not received; on the leader as on its followers. */
import { CONTROLLER_ASIDE, type Story, scenario } from "./story.ts";

const [A, B, C] = [2, 3, 4];
const QUICK = { readMs: 0.1, writeMs: 0.1, syncMs: 0.8 };
const SLOW = { ...QUICK, syncMs: 60 };

export const slowDisks = scenario(
  "slow-disks",
  "records arrive while the disks of others still write the ones before: none is acknowledged too early",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m1");
    await play(story, [B, C], "followers");
    await play(story, [A], "leader");
  },
);

async function play(story: Story, slow: readonly number[], who: string): Promise<void> {
  for (const id of slow) story.broker(id).node.disk.latency = SLOW;
  const sent = [1, 2, 3, 4].map((count) => `${who} ${count}`);
  for (const value of sent) {
    story.send(value, { timeoutMs: 20_000 });
    await story.wait(6);
  }
  await story.until("all are acknowledged", () =>
    sent.every((value) => story.clients.acknowledged.includes(value)),
  );
  for (const id of slow) story.broker(id).node.disk.latency = QUICK;
}
