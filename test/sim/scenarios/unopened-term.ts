/** Redpanda #5090; Raft, section 8: what a new leader finds in its log may not be committed yet. */
import type { ControllerDown } from "../../../src/metadata/session-messages.ts";
import type { RaftStreamMessage } from "../../../src/raft/messages.ts";
import type { SentMessage } from "../world/sim-network.ts";
import { scenario } from "./story.ts";

const ASKER = 4;

export const unopenedTerm = scenario(
  "unopened-term",
  "a new controller whose first entry is not committed decides and answers nothing",
  { brokers: 5, replicas: [4, 5], minIsr: 1 },
  async (story) => {
    const active: string[] = [];
    story.cluster.network.onSend.push(({ channel, from, message }) => {
      const down = message as ControllerDown;
      if (channel === "controller" && down.type === "status" && down.active) {
        active.push(from.node.name);
      }
    });
    story.kill(story.controller);
    active.length = 0;
    const { from, to } = await story.untilSent("there is a new leader", isNoOp);
    const leader = Number(from.node.name.slice("broker-".length));
    const other = [1, 2, 3].filter((id) => id !== leader && id !== 1);
    story.expect("one other voter is left", other.length === 1, to);
    story.mute(other, [leader]);
    const asked = story.clients.call(ASKER, "init producer id", (api) => api.initProducerId());
    const described = story.clients.call(ASKER, "describe quorum", (api) => api.describeQuorum());
    await story.wait(900);
    story.expectEqual("nobody says that it is the active controller", active, []);
    story.expect("nobody answers", !described.settled);
    story.unmute(other, [leader]);
    await story.until("both are answered", () => asked.settled && described.settled);
    story.expectEqual(
      "and not with an error",
      [asked.error, described.error],
      [undefined, undefined],
    );
  },
);

function isNoOp({ channel, message }: SentMessage): boolean {
  const sent = message as RaftStreamMessage;
  if (channel !== "raft" || sent.type !== "append-request") return false;
  return sent.entries.some(({ kind }) => kind === "no-op");
}
