/**
 * R15, check-quorum: a leader that has no contact with a majority for an election timeout, by its
 * own clock, is no longer leader. Source: Ongaro 2014, section 6.2.
 *
 * Its own clock stands still while the process does: a stalled event loop is not a death. So time
 * counts in which it speaks, at most one tick for each gap in which it cannot have lived. Contact
 * is an answer that was delivered to it, not what it believes.
 */
import { majorityCount } from "../../../src/raft/quorum.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";

const TICK_MS = 50;
/** The driver takes a gap like this for a stall. */
const STALL_MS = 250;
/** What ticks and heartbeats add to an election timeout. */
const ROUNDING_MS = 500;

interface Leading {
  readonly term: number;
  readonly life: number;
  /** Own time, and what its clock showed then. */
  livedMs: number;
  atMs: number;
  /** By the voter's machine. */
  readonly heardMs: Map<string, number>;
}

export function checkQuorum(context: RunContext): Invariant {
  const leading = new Map<string, Leading>();
  const limitMs = context.electionTimeoutMs + ROUNDING_MS;

  const clockMs = (node: string): number =>
    context.lifeOf(node)?.node.clock.monotonicMs ?? context.world.nowMs;

  function live(node: string, leader: Leading): void {
    const gapMs = clockMs(node) - leader.atMs;
    leader.atMs += gapMs;
    leader.livedMs += gapMs < STALL_MS ? gapMs : TICK_MS;
  }

  return {
    onRaftSent({ node, life, message }) {
      if (message.type !== "append-request") return;
      const { term } = message;
      let leader = leading.get(node);
      if (leader?.term !== term || leader.life !== life) {
        leader = { term, life, livedMs: 0, atMs: clockMs(node), heardMs: new Map() };
        leading.set(node, leader);
      }
      live(node, leader);
      const status = context.quorumOf(node);
      if (status?.role !== "leader" || status.term !== term) return;
      let active = 0;
      for (const { id } of status.voters) {
        const heardMs = leader.heardMs.get(context.nodeOf(id)) ?? 0;
        const isSelf = id === status.self.id;
        if (isSelf || leader.livedMs - heardMs <= limitMs) active++;
      }
      if (active >= majorityCount(status.voters.length)) return;
      context.fail(
        "R15 a leader without a majority resigns",
        `${node} leads term ${term} and has heard ${active} of ${status.voters.length} voters in ${limitMs} ms of its own time`,
      );
    },
    onRaftDelivered({ node, life, message }) {
      const leader = leading.get(node);
      const { type, term } = message;
      // A question is no answer: who asks for the log has not heard this leader.
      const answers = type === "append-response" || type === "snapshot-response";
      if (!answers || leader?.life !== life || leader.term !== term) return;
      leader.heardMs.set(context.nodeOf(message.from.id), leader.livedMs);
    },
  };
}
