import { expect, test } from "vitest";
import type {
  AppendRequest,
  AppendResponse,
  RaftEntry,
  SnapshotRequest,
  VoteRequest,
  VoteResponse,
} from "../../../src/raft/messages.ts";
import { electionSafety } from "./r1-election-safety.ts";
import { voteOnce } from "./r2-vote-once.ts";
import { voteDurability } from "./r3-vote-durability.ts";
import { ackDurability } from "./r4-ack-durability.ts";
import { termMonotone } from "./r5-term-monotone.ts";
import { raftLogMatching } from "./r6-log-matching.ts";
import { stateMachineSafety } from "./r7-state-machine-safety.ts";
import { leaderCompleteness } from "./r8-leader-completeness.ts";
import { leaderAppendOnly } from "./r9-leader-append-only.ts";
import { commitRule } from "./r10-commit-rule.ts";
import { commitMonotone } from "./r12-commit-monotone.ts";
import { voterChanges } from "./r13-voter-changes.ts";
import { removedVoter } from "./r14-removed-voter.ts";
import { checkQuorum } from "./r15-check-quorum.ts";
import { preVoteHarmless } from "./r16-pre-vote.ts";
import { snapshots } from "./r17-snapshots.ts";
import { storageHonesty } from "./r22-storage-honesty.ts";
import { config, entry, noOp, play, raftNode, type Stage, VOTERS } from "./stage.ts";

// Each statement about the quorum is broken once on purpose, and once almost: an invariant that
// cannot fail proves nothing, and one that fails at what is lawful proves less.

const envelope = (from: number, to: number, term: number) => ({
  from: raftNode(from),
  to: raftNode(to),
  term,
});

const append = (
  from: number,
  to: number,
  term: number,
  entries: readonly RaftEntry[] = [],
): AppendRequest => ({
  type: "append-request",
  ...envelope(from, to, term),
  previousIndex: (entries[0]?.index ?? 1) - 1,
  previousTerm: 0,
  entries,
  commitIndex: 0,
});

const appended = (from: number, to: number, term: number, matchIndex: number): AppendResponse => ({
  type: "append-response",
  ...envelope(from, to, term),
  success: true,
  matchIndex,
  conflictTerm: 0,
  previousIndex: 0,
});

const ask = (from: number, to: number, term: number, preVote = false): VoteRequest => ({
  type: "vote-request",
  ...envelope(from, to, term),
  preVote,
  transfer: false,
  lastIndex: 0,
  lastTerm: 0,
});

const vote = (from: number, to: number, term: number, preVote = false): VoteResponse => ({
  type: "vote-response",
  ...envelope(from, to, term),
  preVote,
  granted: true,
});

const piece = (from: number, to: number, index: number, bytes: string): SnapshotRequest => ({
  type: "snapshot-request",
  ...envelope(from, to, 1),
  head: { index, term: 1, voters: VOTERS, sizeBytes: bytes.length },
  offset: 0,
  bytes: new TextEncoder().encode(bytes),
});

/** Broker 1 has its entries on disk and has applied them. */
async function applied(stage: Stage, id: number, entries: readonly RaftEntry[]): Promise<void> {
  await stage.entries(id, entries);
  const last = entries.at(-1)?.index ?? 0;
  await stage.status(id, { commitIndex: last, appliedIndex: last, lastIndex: last });
}

test("R1: two leaders of one term", async () => {
  const story = (second: number) => async (stage: Stage) => {
    await stage.send(1, append(1, 2, 3));
    await stage.send(2, append(2, 3, second));
  };
  expect(await play(electionSafety, story(3))).toMatch(/^R1/);
  expect(await play(electionSafety, story(4))).toBeUndefined();
});

test("R2: two votes in one term", async () => {
  const story = (second: number) => async (stage: Stage) => {
    await stage.send(1, vote(1, 2, 3));
    stage.crash(1);
    await stage.life(1);
    await stage.send(1, vote(1, 3, second));
  };
  expect(await play(voteOnce, story(3))).toMatch(/^R2/);
  expect(await play(voteOnce, story(4))).toBeUndefined();
});

test("R3: a vote that is not durable", async () => {
  const story = (votedFor: number, sync: boolean) => async (stage: Stage) => {
    await stage.hardState(1, { term: 3, votedFor: raftNode(votedFor) }, sync);
    await stage.send(1, vote(1, 2, 3));
  };
  expect(await play(voteDurability, story(2, false))).toMatch(/^R3/);
  expect(await play(voteDurability, story(3, true))).toMatch(/^R3/);
  expect(await play(voteDurability, story(2, true))).toBeUndefined();
  const termAhead = (term: number) => async (stage: Stage) => {
    await stage.hardState(1, { term: 3 });
    await stage.send(1, ask(1, 2, term, true));
  };
  expect(await play(voteDurability, termAhead(4))).toMatch(/^R3/);
  expect(await play(voteDurability, termAhead(3))).toBeUndefined();
});

test("R4: an acknowledged entry that is not durable, or another one", async () => {
  const story = (stored: RaftEntry, sync: boolean) => async (stage: Stage) => {
    await stage.send(1, append(1, 2, 2, [noOp(1, 2)]));
    await stage.entries(2, [stored], sync);
    await stage.send(2, appended(2, 1, 2, 1));
  };
  expect(await play(ackDurability, story(noOp(1, 2), false))).toMatch(/^R4/);
  expect(await play(ackDurability, story(noOp(1, 1), true))).toMatch(/^R4/);
  expect(await play(ackDurability, story(noOp(1, 2), true))).toBeUndefined();
  const beyond = async (stage: Stage) => {
    await stage.entries(2, [noOp(1, 2)]);
    await stage.send(2, appended(2, 1, 2, 2));
  };
  expect(await play(ackDurability, beyond)).toMatch(/^R4/);
});

test("R5: a term that falls", async () => {
  const said = (second: number) => async (stage: Stage) => {
    await stage.status(1, { term: 3 });
    await stage.send(1, ask(1, 2, 3));
    stage.crash(1);
    await stage.life(1);
    await stage.send(1, ask(1, 2, second));
  };
  expect(await play(termMonotone, said(2))).toMatch(/^R5/);
  expect(await play(termMonotone, said(3))).toBeUndefined();
  const held = (second: number) => async (stage: Stage) => {
    await stage.status(1, { term: 3, commitIndex: 1 });
    await stage.status(1, { term: second, commitIndex: 2 });
  };
  expect(await play(termMonotone, held(2))).toMatch(/^R5/);
  expect(await play(termMonotone, held(4))).toBeUndefined();
  const stored = (second: number) => async (stage: Stage) => {
    await stage.hardState(1, { term: 3 });
    await stage.hardState(1, { term: second });
  };
  expect(await play(termMonotone, stored(2))).toMatch(/^R5/);
  expect(await play(termMonotone, stored(3))).toBeUndefined();
});

test("R6: one place in two logs with different contents or predecessors", async () => {
  const story = (other: readonly RaftEntry[]) => async (stage: Stage) => {
    await stage.entries(1, [noOp(1, 1), entry(2, 2, "a")]);
    await stage.entries(2, other);
  };
  expect(await play(raftLogMatching, story([noOp(1, 1), entry(2, 2, "b")]))).toMatch(/^R6/);
  expect(await play(raftLogMatching, story([noOp(1, 2), entry(2, 2, "a")]))).toMatch(/^R6/);
  expect(await play(raftLogMatching, story([noOp(1, 1), entry(2, 3, "b")]))).toBeUndefined();
  const told = async (stage: Stage) => {
    await stage.send(1, append(1, 2, 2, [entry(1, 2, "a")]));
    await stage.entries(2, [entry(1, 2, "b")]);
  };
  expect(await play(raftLogMatching, told)).toMatch(/^R6/);
});

test("R7: two images at one index, and two entries applied there", async () => {
  const images = (second: number) => async (stage: Stage) => {
    stage.knows(1, { ...stage.image, index: 5, nextProducerId: 1 });
    await stage.at(1);
    stage.knows(2, { ...stage.image, index: 5, nextProducerId: second });
    await stage.at(2);
  };
  expect(await play(stateMachineSafety, images(2))).toMatch(/^R7/);
  expect(await play(stateMachineSafety, images(1))).toBeUndefined();
  const back = (second: number) => async (stage: Stage) => {
    stage.knows(1, { ...stage.image, index: 5 });
    await stage.at(1);
    stage.knows(1, { ...stage.image, index: second });
    await stage.at(1);
  };
  expect(await play(stateMachineSafety, back(4))).toMatch(/^R7/);
  expect(await play(stateMachineSafety, back(6))).toBeUndefined();
  const entries = (other: RaftEntry) => async (stage: Stage) => {
    await applied(stage, 1, [noOp(1, 1), entry(2, 1, "a")]);
    await applied(stage, 2, [noOp(1, 1), other]);
  };
  expect(await play(commitMonotone, entries(entry(2, 1, "b")))).toMatch(/^R7/);
  expect(await play(commitMonotone, entries(entry(2, 2, "a")))).toMatch(/^R7/);
  expect(await play(commitMonotone, entries(entry(2, 1, "a")))).toBeUndefined();
});

test("R8: a leader without what is committed", async () => {
  const story = (log: readonly RaftEntry[]) => async (stage: Stage) => {
    await applied(stage, 1, [noOp(1, 1), entry(2, 1)]);
    await stage.entries(2, log);
    await stage.send(2, append(2, 3, 2));
  };
  expect(await play(leaderCompleteness, story([noOp(1, 1)]))).toMatch(/^R8/);
  expect(await play(leaderCompleteness, story([noOp(1, 1), noOp(2, 2)]))).toMatch(/^R8/);
  expect(await play(leaderCompleteness, story([noOp(1, 1), entry(2, 1)]))).toBeUndefined();
});

test("R9: a leader that overwrites its own entry", async () => {
  const story = (term: number) => async (stage: Stage) => {
    await stage.hardState(1, { term: 2 });
    await stage.entries(1, [noOp(1, 2), entry(2, 2, "a")]);
    await stage.send(1, append(1, 2, 2, [entry(2, 2, "a")]));
    await stage.hardState(1, { term });
    await stage.entries(1, [entry(2, term, "b")]);
  };
  expect(await play(leaderAppendOnly, story(2))).toMatch(/^R9/);
  expect(await play(leaderAppendOnly, story(3))).toBeUndefined();
});

test("R10: a commit without a durable majority, or of an earlier term", async () => {
  const story = (second: RaftEntry, sync: boolean) => async (stage: Stage) => {
    for (const { id } of VOTERS) stage.mark(id, {});
    await stage.entries(1, [noOp(1, 1), second]);
    await stage.entries(2, [noOp(1, 1), second], sync);
    await stage.status(1, { role: "leader", term: 2, commitIndex: 0, lastIndex: 2 });
    await stage.status(1, { commitIndex: 2 });
  };
  expect(await play(commitRule, story(entry(2, 2), false))).toMatch(/^R10/);
  expect(await play(commitRule, story(entry(2, 1), true))).toMatch(/^R10/);
  expect(await play(commitRule, story(entry(2, 2), true))).toBeUndefined();
});

test("R11: what was committed leaves the disks of the majority", async () => {
  const story = (losers: readonly number[]) => async (stage: Stage) => {
    for (const { id } of VOTERS) {
      stage.mark(id, {});
      await stage.entries(id, [noOp(1, 1), entry(2, 1)]);
    }
    await stage.status(1, { role: "leader", term: 1, lastIndex: 2 });
    await stage.status(1, { commitIndex: 2, appliedIndex: 2 });
    for (const id of losers) await stage.dropEntry(id, 2);
  };
  expect(await play(commitRule, story([2, 3]))).toMatch(/^R11/);
  expect(await play(commitRule, story([3]))).toBeUndefined();
});

test("R12: a commit index that falls, and applying ahead of it", async () => {
  const story = (commitIndex: number, appliedIndex: number) => async (stage: Stage) => {
    await applied(stage, 1, [noOp(1, 1), entry(2, 1), entry(3, 1)]);
    await stage.status(1, { commitIndex, appliedIndex });
  };
  expect(await play(commitMonotone, story(2, 2))).toMatch(/^R12/);
  expect(await play(commitMonotone, story(3, 4))).toMatch(/^R12/);
  expect(await play(commitMonotone, story(4, 3))).toBeUndefined();
});

test("R13: a new voter set before its time, or by two steps", async () => {
  const story =
    (commitIndex: number, voters: readonly number[], opened = 2) =>
    async (stage: Stage) => {
      await stage.entries(1, [config(1, 1, VOTERS), noOp(2, 2)]);
      await stage.status(1, { role: "leader", term: 2, commitIndex, lastIndex: 2 });
      await stage.send(1, append(1, 2, 2, [noOp(opened, 2)]));
      await stage.send(1, append(1, 2, 2, [config(3, 2, voters.map(raftNode))]));
    };
  expect(await play(voterChanges, story(0, [1, 2]))).toMatch(/^R13/);
  expect(await play(voterChanges, story(1, [1, 2]))).toMatch(/^R13/);
  expect(await play(voterChanges, story(2, [1]))).toMatch(/^R13/);
  expect(await play(voterChanges, story(2, [1, 2]))).toBeUndefined();
});

test("R14: a node outside its voter set that asks for votes, or leads", async () => {
  const asks = (voters: readonly number[]) => async (stage: Stage) => {
    await stage.entries(3, [config(1, 1, voters.map(raftNode))]);
    await stage.send(3, ask(3, 1, 2));
  };
  expect(await play(removedVoter, asks([1, 2]))).toMatch(/^R14/);
  expect(await play(removedVoter, asks([1, 2, 3]))).toBeUndefined();
  const leads = (commitIndex: number) => async (stage: Stage) => {
    const voters = [1, 2].map(raftNode);
    await stage.entries(3, [config(1, 1, VOTERS), config(2, 1, voters)]);
    await stage.status(3, { role: "leader", term: 1, voters, commitIndex });
  };
  expect(await play(removedVoter, leads(2))).toMatch(/^R14/);
  expect(await play(removedVoter, leads(1))).toBeUndefined();
});

test("R15: a leader that hears nobody", async () => {
  const story = (heard: boolean) => async (stage: Stage) => {
    await stage.status(1, { role: "leader", term: 2 });
    for (let beat = 0; beat < 12; beat++) {
      await stage.at(1, () => {}, 190);
      await stage.send(1, append(1, 2, 2));
      if (heard) await stage.deliver(1, appended(2, 1, 2, 0));
    }
  };
  expect(await play(checkQuorum, story(false))).toMatch(/^R15/);
  expect(await play(checkQuorum, story(true))).toBeUndefined();
  // It is asked for the log, by a voter that does not hear it.
  const asked = async (stage: Stage) => {
    await stage.status(1, { role: "leader", term: 2 });
    for (let beat = 0; beat < 12; beat++) {
      await stage.at(1, () => {}, 190);
      await stage.send(1, append(1, 2, 2));
      const question = { ...envelope(2, 1, 2), lastIndex: 0, lastTerm: 0 };
      await stage.deliver(1, { type: "observe-request", ...question });
    }
  };
  expect(await play(checkQuorum, asked)).toMatch(/^R15/);
  // The process stood still for as long: its own clock did too.
  const stalled = async (stage: Stage) => {
    await stage.status(1, { role: "leader", term: 2 });
    for (let beat = 0; beat < 12; beat++) {
      await stage.at(1, () => {}, 600);
      await stage.send(1, append(1, 2, 2));
    }
  };
  expect(await play(checkQuorum, stalled)).toBeUndefined();
});

test("R16: a pre-vote that changes something, or is granted beside a live leader", async () => {
  const moved = (term: number) => async (stage: Stage) => {
    await stage.status(1, { term: 2 });
    await stage.deliver(1, ask(2, 1, 3, true), () => stage.setStatus(1, { term }));
  };
  expect(await play(preVoteHarmless, moved(3))).toMatch(/^R16/);
  expect(await play(preVoteHarmless, moved(2))).toBeUndefined();
  const granted = (afterMs: number) => async (stage: Stage) => {
    await stage.status(1, { leaderId: 3 });
    await stage.deliver(1, append(3, 1, 2));
    await stage.at(1, () => {}, afterMs);
    await stage.deliver(1, ask(2, 1, 3, true));
    await stage.send(1, vote(1, 2, 2, true));
  };
  expect(await play(preVoteHarmless, granted(50))).toMatch(/^R16/);
  expect(await play(preVoteHarmless, granted(1_500))).toBeUndefined();
  const byLeader = async (stage: Stage) => {
    await stage.status(1, { role: "leader", term: 2 });
    await stage.deliver(1, ask(2, 1, 3, true));
    await stage.send(1, vote(1, 2, 2, true));
  };
  expect(await play(preVoteHarmless, byLeader)).toMatch(/^R16/);
});

test("R17: two snapshots of one index", async () => {
  const sent = (other: string) => async (stage: Stage) => {
    await stage.send(1, piece(1, 2, 5, "abc"));
    await stage.send(3, piece(3, 2, 5, other));
  };
  expect(await play(snapshots, sent("abd"))).toMatch(/^R17/);
  expect(await play(snapshots, sent("abcd"))).toMatch(/^R17/);
  expect(await play(snapshots, sent("abc"))).toBeUndefined();
  const stored = (other: string) => async (stage: Stage) => {
    for (const [id, content] of [
      [1, "abc"],
      [2, other],
    ] as const) {
      stage.snapshot(id, 2, 1, content);
      await stage.base(id, 2, 1);
      await stage.status(id, { commitIndex: 2 });
    }
  };
  expect(await play(snapshots, stored("abd"))).toMatch(/^R17/);
  expect(await play(snapshots, stored("abc"))).toBeUndefined();
});

test("R18: a log that begins earlier again, or keeps what its snapshot stands for", async () => {
  const story = (second: number) => async (stage: Stage) => {
    stage.snapshot(1, 9, 1, "abc");
    await stage.base(1, 5, 1);
    await stage.base(1, second, 1);
  };
  expect(await play(snapshots, story(4))).toMatch(/^R18/);
  expect(await play(snapshots, story(6))).toBeUndefined();
  const left = (base: number) => async (stage: Stage) => {
    stage.snapshot(1, 9, 1, "abc");
    await stage.entries(1, [entry(5, 1)]);
    await stage.base(1, base, 1);
  };
  expect(await play(snapshots, left(5))).toMatch(/^R18/);
  expect(await play(snapshots, left(4))).toBeUndefined();
  const behind = (commitIndex: number) => async (stage: Stage) => {
    stage.snapshot(1, 9, 1, "abc");
    await stage.base(1, 5, 1);
    await stage.status(1, { commitIndex });
  };
  expect(await play(snapshots, behind(4))).toMatch(/^R18/);
  expect(await play(snapshots, behind(5))).toBeUndefined();
});

test("R19: entries removed that no snapshot holds", async () => {
  const story = (snapshot: number) => async (stage: Stage) => {
    stage.snapshot(1, snapshot, 1, "abc");
    await stage.base(1, 5, 1);
  };
  expect(await play(snapshots, story(4))).toMatch(/^R19/);
  expect(await play(snapshots, story(5))).toBeUndefined();
});

test("R22: a voter that lost its tail and goes on as if it had not", async () => {
  const story = (lastIndex: number, directoryId: string) => async (stage: Stage) => {
    await stage.hardState(1, { term: 2 });
    await stage.entries(1, [noOp(1, 1), entry(2, 2)]);
    stage.mark(1, { term: 2, lastIndex });
    stage.crash(1);
    await stage.life(1);
    await stage.send(1, { ...appended(1, 2, 2, 2), from: { id: 1, directoryId } });
  };
  expect(await play(storageHonesty, story(3, "d1"))).toMatch(/^R22/);
  expect(await play(storageHonesty, story(3, "another"))).toBeUndefined();
  expect(await play(storageHonesty, story(2, "d1"))).toBeUndefined();
  const forgotten = (votedFor: number) => async (stage: Stage) => {
    await stage.hardState(1, { term: 2, votedFor: raftNode(votedFor) });
    stage.mark(1, { term: 2, votedFor: raftNode(2) });
    stage.crash(1);
    await stage.life(1);
    await stage.send(1, vote(1, 3, 2));
  };
  expect(await play(storageHonesty, forgotten(3))).toMatch(/^R22/);
  expect(await play(storageHonesty, forgotten(2))).toBeUndefined();
});
