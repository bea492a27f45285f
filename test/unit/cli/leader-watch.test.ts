import { describe, expect, it } from "vitest";
import { LeaderBook } from "../../../src/cli/leader-watch.ts";
import type { TopicDescription } from "../../../src/client/index.ts";

function topic(...leaders: readonly (readonly [number, number])[]): TopicDescription {
  return {
    name: "orders",
    id: "id",
    partitions: leaders.map(([leader, leaderEpoch], partition) => ({
      partition,
      leader,
      leaderEpoch,
      replicas: [1, 2, 3],
      isr: [1, 2, 3],
      elr: [],
      lastKnownElr: [],
      offlineReplicas: [],
    })),
  };
}

describe("LeaderBook", () => {
  it("tells of changes only, and not of what it sees first", () => {
    const book = new LeaderBook();
    expect(book.update([topic([1, 0], [2, 0])])).toEqual([]);
    expect(book.update([topic([1, 0], [2, 0])])).toEqual([]);
    expect(book.update([topic([3, 1], [2, 0])])).toEqual([
      {
        event: "leader-changed",
        topic: "orders",
        partition: 0,
        leader: 3,
        previousLeader: 1,
        leaderEpoch: 1,
      },
    ]);
  });

  it("is not misled by a broker that lags behind", () => {
    const book = new LeaderBook();
    book.update([topic([1, 4])]);
    expect(book.update([topic([2, 5])])).toHaveLength(1);
    expect(book.update([topic([1, 4])])).toEqual([]);
    expect(book.update([topic([2, 5])])).toEqual([]);
  });

  it("tells that a partition lost its leader and found one", () => {
    const book = new LeaderBook();
    book.update([topic([1, 0])]);
    expect(book.update([topic([-1, 1])])).toMatchObject([{ leader: -1, previousLeader: 1 }]);
    expect(book.update([topic([2, 2])])).toMatchObject([{ leader: 2, previousLeader: -1 }]);
  });
});
