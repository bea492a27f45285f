import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { placeReplicas } from "../../../src/metadata/placement.ts";

function spread(counts: ReadonlyMap<unknown, number>): number {
  return Math.max(...counts.values()) - Math.min(...counts.values());
}

describe("placement", () => {
  it("spreads leaders and replicas evenly, and the load of a dead leader over the others", () => {
    const brokers = [1, 2, 3, 4].map((id) => ({ id, rack: null, live: true }));
    const placed = placeReplicas({ brokers, partitionsCount: 24, replicationFactor: 3, seed: 5 });
    const leaders = new Map<number, number>();
    const replicas = new Map<number, number>();
    const seconds = new Map<string, number>();
    for (const ids of placed) {
      leaders.set(ids[0] as number, (leaders.get(ids[0] as number) ?? 0) + 1);
      for (const id of ids) replicas.set(id, (replicas.get(id) ?? 0) + 1);
      const pair = `${ids[0]} ${ids[1]}`;
      seconds.set(pair, (seconds.get(pair) ?? 0) + 1);
    }
    expect([...leaders.values()]).toEqual([6, 6, 6, 6]);
    expect(spread(replicas)).toBeLessThanOrEqual(1);
    // Each broker has all three others standing second behind it.
    expect(seconds.size).toBe(12);
  });

  it("puts replicas on as many racks as there are, distinct, led by a live broker", () => {
    const broker = fc.record({
      rack: fc.constantFrom("a", "b", "c", null),
      live: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(broker, { minLength: 1, maxLength: 9 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        (drawn, wanted, seed) => {
          const brokers = drawn.map((each, index) => ({ ...each, id: index + 1 }));
          const live = brokers.filter((each) => each.live);
          fc.pre(live.length > 0);
          const replicationFactor = Math.min(wanted, brokers.length);
          const request = { brokers, partitionsCount: 7, replicationFactor, seed };
          const placed = placeReplicas(request);
          expect(placeReplicas(request)).toEqual(placed);
          const usable = live.length >= replicationFactor ? live : brokers;
          const racksCount = new Set(usable.map(({ rack }) => rack)).size;
          for (const ids of placed) {
            expect(new Set(ids).size).toBe(replicationFactor);
            const chosen = ids.map((id) => usable.find((each) => each.id === id));
            expect(new Set(chosen.map((each) => each?.rack)).size).toBe(
              Math.min(replicationFactor, racksCount),
            );
            expect(chosen[0]?.live).toBe(true);
          }
        },
      ),
    );
  });
});
