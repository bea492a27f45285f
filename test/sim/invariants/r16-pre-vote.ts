/**
 * R16, pre-votes are harmless: a request for one changes neither term nor stored state of whoever
 * gets it, and a node that leads, or has just heard from a leader over a connection that still
 * stands, does not grant it. Source: Ongaro 2014, section 9.6.
 */
import type { HardState } from "../../../src/raft/state.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";

const STATEMENT = "R16 pre-votes are harmless";
/** Of an election timeout: well below the lease, which is that less a heartbeat. */
const JUST_HEARD = 0.4;

interface Asked {
  readonly node: string;
  readonly life: number;
  readonly term: number | undefined;
  readonly hardState: HardState | undefined;
}

export function preVoteHarmless(context: RunContext): Invariant {
  const justHeardMs = JUST_HEARD * context.electionTimeoutMs;
  /** Of the event that runs. */
  let asked: Asked | undefined;
  /** By machine, the machine of the leader that it heard, and when. */
  const heard = new Map<string, { readonly leader: string; readonly atMs: number }>();
  /** Requests that may be granted and were not, by who was asked and who asks. */
  const open = new Map<string, number>();

  function isShielded(node: string): boolean {
    const status = context.quorumOf(node);
    if (status?.role === "leader") return true;
    const last = heard.get(node);
    // It may have begun to campaign, and not have said so yet.
    if (last === undefined || status === undefined) return false;
    if (context.nodeOf(status.leaderId) !== last.leader) return false;
    return context.world.nowMs - last.atMs < justHeardMs;
  }

  return {
    onLife({ node }) {
      heard.delete(node.name);
      for (const key of [...open.keys()]) if (key.startsWith(`${node.name} `)) open.delete(key);
    },
    onStreamEnd({ incarnation, peer, channel }) {
      const { name } = incarnation.node;
      if (channel === "raft" && heard.get(name)?.leader === peer) heard.delete(name);
    },
    onRaftDelivered({ node, life, message }) {
      const { type, from } = message;
      if (type === "append-request" || type === "snapshot-request") {
        if (message.term >= (context.quorumOf(node)?.term ?? context.quorum.log(node).term)) {
          heard.set(node, { leader: context.nodeOf(from.id), atMs: context.world.nowMs });
        }
      } else if (type === "vote-request" && message.preVote) {
        const { hardState } = context.quorum.log(node);
        asked = { node, life, term: context.quorumOf(node)?.term, hardState };
        if (isShielded(node)) return;
        const key = `${node} ${from.id}`;
        open.set(key, (open.get(key) ?? 0) + 1);
        // Terms move, leaders are handed over or forgotten: whoever was heard counts no more.
      } else if (type !== "append-response" && type !== "observe-request") heard.delete(node);
    },
    onRaftSent({ node, message }) {
      if (message.type === "vote-request") heard.delete(node);
      // Answers overtake one another where some wait for the disk: only a grant uses a request up.
      if (message.type !== "vote-response" || !message.preVote || !message.granted) return;
      const key = `${node} ${message.to.id}`;
      const count = open.get(key) ?? 0;
      if (count > 0) open.set(key, count - 1);
      else {
        context.fail(
          STATEMENT,
          `${node} grants broker ${message.to.id} a pre-vote of term ${message.term}, although it hears its leader or leads`,
        );
      }
    },
    afterEvent() {
      if (asked === undefined) return;
      const { node, life, term, hardState } = asked;
      asked = undefined;
      if (context.lifeOf(node)?.life !== life) return;
      const now = context.quorumOf(node)?.term;
      if (
        context.quorum.log(node).hardState === hardState &&
        (now === term || term === undefined)
      ) {
        return;
      }
      context.fail(STATEMENT, `${node} went from term ${term} to ${now} when it was asked`);
    },
  };
}
