/** hashicorp/raft #503, etcd #15247: a process whose disk hangs looks alive to the network. */
import { CONTROLLER_ASIDE, scenario } from "./story.ts";

const [A, B] = [2, 3];

export const hungDisk = scenario(
  "hung-disk",
  "a leader's disk hangs while its heartbeats go on: it hands over within five seconds",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m1");
    story.broker(A).node.disk.hang(20_000);
    const waits = story.send("m2", { timeoutMs: 1_500 });
    await story.untilLeader(B, 5_000);
    story.expect("A did not acknowledge", (await story.answer(waits)) !== "acknowledged");
    await story.produce("m3");
    await story.wait(20_000);
    await story.untilAtRest();
  },
);
