/**
 * One leader, two followers, told step by step what happens: the high watermark moves only by what
 * every member of the maximal ISR has fsynced, and the ISR proposal follows lag, streams and tails.
 */
import { describe, expect, it } from "vitest";
import type { PartitionState } from "../../../src/metadata/records.ts";
import { PartitionLeader } from "../../../src/replica/partition-leader.ts";

const LAG_MS = 10_000;
const BROKEN_MS = 2_000;

function stateOf(overrides: Partial<PartitionState> = {}): PartitionState {
  return {
    replicas: [1, 2, 3],
    directories: ["", "", ""],
    isr: [1, 2, 3],
    elr: [],
    lastKnownLeader: -1,
    adding: [],
    removing: [],
    leader: 1,
    leaderEpoch: 5,
    partitionEpoch: 10,
    ...overrides,
  };
}

function leaderOf(overrides: { state?: PartitionState; minIsr?: number; end?: number } = {}) {
  const end = overrides.end ?? 100;
  return new PartitionLeader({
    self: 1,
    leaderEpoch: 5,
    state: overrides.state ?? stateOf(),
    minIsr: overrides.minIsr ?? 2,
    logEndOffset: end,
    durableEndOffset: end,
    highWatermark: Math.min(90, end),
    nowMs: 0,
    lagTimeMaxMs: LAG_MS,
    brokenStreamMs: BROKEN_MS,
  });
}

function connect(leader: PartitionLeader, id: number, end: number, nowMs = 0): void {
  leader.onStreamStarted(id, { brokerEpoch: id * 10, fetchOffset: end }, nowMs);
  leader.onProgress(id, { durableEnd: end, logStartOffset: 0 }, nowMs);
}

const allEligible = (id: number) => id * 10;

describe("high watermark", () => {
  it("waits for the durable end of every ISR member", () => {
    const leader = leaderOf();
    leader.onAppend(200, 0);
    leader.onOwnDurable(200);
    expect(leader.highWatermark).toBe(90);
    connect(leader, 2, 150);
    expect(leader.highWatermark).toBe(90);
    connect(leader, 3, 120);
    expect(leader.highWatermark).toBe(120);
    expect(leader.onProgress(3, { durableEnd: 200, logStartOffset: 0 }, 1)).toBe(true);
    expect(leader.highWatermark).toBe(150);
  });

  it("counts the leader itself only once its own write is durable", () => {
    const leader = leaderOf();
    leader.onAppend(200, 0);
    connect(leader, 2, 200);
    connect(leader, 3, 200);
    expect(leader.highWatermark).toBe(100);
    expect(leader.onOwnDurable(200)).toBe(true);
    expect(leader.highWatermark).toBe(200);
  });

  it("stands still while the committed ISR is below min.insync.replicas", () => {
    const leader = leaderOf({ state: stateOf({ isr: [1] }) });
    leader.onAppend(200, 0);
    leader.onOwnDurable(200);
    expect(leader.underMinIsr).toBe(true);
    expect(leader.highWatermark).toBe(90);
    connect(leader, 2, 200);
    const raised = leader.onMetadata(stateOf({ isr: [1, 2], partitionEpoch: 11 }), 2, 5);
    expect(raised).toBe(true);
    expect(leader.highWatermark).toBe(200);
  });

  it("waits for a member that is only proposed, since the controller may elect it already", () => {
    const leader = leaderOf({ state: stateOf({ isr: [1, 2] }) });
    connect(leader, 2, 100);
    connect(leader, 3, 100);
    expect(leader.proposeIsr(1, allEligible)?.map((m) => m.brokerId)).toEqual([1, 2, 3]);
    leader.onAppend(200, 2);
    leader.onOwnDurable(200);
    leader.onProgress(2, { durableEnd: 200, logStartOffset: 0 }, 3);
    expect(leader.highWatermark).toBe(100);
    leader.onProposalLost();
    expect(leader.maximalIsr).toContain(3);
    expect(leader.highWatermark).toBe(100);
    leader.onMetadata(stateOf({ isr: [1, 2], partitionEpoch: 11 }), 2, 4);
    expect(leader.highWatermark).toBe(200);
  });

  it("ignores a follower that claims more than the leader has", () => {
    const leader = leaderOf();
    connect(leader, 2, 100);
    connect(leader, 3, 500);
    expect(leader.highWatermark).toBe(90);
  });

  it("is settled once it reaches what the log held when the epoch began", () => {
    const leader = leaderOf();
    expect(leader.settled).toBe(false);
    connect(leader, 2, 100);
    connect(leader, 3, 100);
    expect(leader.settled).toBe(true);
  });
});

describe("ISR proposal", () => {
  it("takes out a follower whose stream is gone for longer than the bound, not before", () => {
    const leader = leaderOf();
    connect(leader, 2, 100);
    connect(leader, 3, 100);
    leader.onStreamBroken(3, 1_000);
    expect(leader.proposeIsr(1_000 + BROKEN_MS, allEligible)).toBeUndefined();
    expect(leader.proposeIsr(1_001 + BROKEN_MS, allEligible)).toEqual([
      { brokerId: 1, brokerEpoch: 10 },
      { brokerId: 2, brokerEpoch: 20 },
    ]);
  });

  it("takes out a follower that stays behind for replica.lag.time.max.ms", () => {
    const leader = leaderOf();
    connect(leader, 2, 100);
    connect(leader, 3, 100);
    leader.onAppend(200, 50_000);
    leader.onProgress(2, { durableEnd: 200, logStartOffset: 0 }, 50_001);
    expect(leader.proposeIsr(50_000 + LAG_MS, allEligible)).toBeUndefined();
    const members = leader.proposeIsr(50_001 + LAG_MS, allEligible);
    expect(members?.map((member) => member.brokerId)).toEqual([1, 2]);
  });

  it("keeps a follower that is never level but always reaches the end of a moment ago", () => {
    const leader = leaderOf();
    connect(leader, 2, 100);
    connect(leader, 3, 100);
    for (let step = 1; step <= 50; step++) {
      leader.onAppend(100 + step * 10, step * 1_000);
      leader.onProgress(2, { durableEnd: 100 + step * 10, logStartOffset: 0 }, step * 1_000 + 1);
      leader.onProgress(
        3,
        { durableEnd: 100 + step * 10 - 10, logStartOffset: 0 },
        step * 1_000 + 1,
      );
      expect(leader.proposeIsr(step * 1_000 + 2, allEligible)).toBeUndefined();
    }
  });

  it("admits a follower only in its registered life and durable up to the epoch's start", () => {
    const leader = leaderOf({ state: stateOf({ isr: [1, 2] }) });
    connect(leader, 2, 100);
    connect(leader, 3, 99);
    expect(leader.proposeIsr(1, allEligible)).toBeUndefined();
    leader.onProgress(3, { durableEnd: 100, logStartOffset: 0 }, 1);
    expect(leader.proposeIsr(1, (id) => (id === 3 ? 31 : id * 10))).toBeUndefined();
    expect(leader.proposeIsr(1, allEligible)?.map((m) => m.brokerId)).toEqual([1, 2, 3]);
    expect(leader.proposeIsr(1, allEligible)).toBeUndefined();
    leader.onProposalRefused();
    expect(leader.maximalIsr).toEqual([1, 2]);
  });

  it("takes out a follower that came back with less than it had fsynced", () => {
    const leader = leaderOf();
    connect(leader, 2, 100);
    connect(leader, 3, 100);
    leader.onStreamStarted(3, { brokerEpoch: 30, fetchOffset: 40 }, 5);
    expect(leader.proposeIsr(6, allEligible)?.map((m) => m.brokerId)).toEqual([1, 2]);
    leader.onProposalRefused();
    leader.onProgress(3, { durableEnd: 100, logStartOffset: 0 }, 7);
    expect(leader.proposeIsr(8, allEligible)).toBeUndefined();
  });

  it("takes out a member that is not eligible any more, and proposes nothing if the leader is not", () => {
    const leader = leaderOf();
    connect(leader, 2, 100);
    connect(leader, 3, 100);
    expect(leader.proposeIsr(1, (id) => (id === 1 ? undefined : id * 10))).toBeUndefined();
    const members = leader.proposeIsr(1, (id) => (id === 2 ? undefined : id * 10));
    expect(members?.map((member) => member.brokerId)).toEqual([1, 3]);
  });
});
