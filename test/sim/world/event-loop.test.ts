import { expect, test } from "vitest";
import { microtasks } from "./microtasks.ts";
import { BudgetExhausted, DEFAULT_BUDGET, SimulationFailure, World } from "./world.ts";

// The loop itself: order, microtasks between events, and that no run can go on for ever.

test("events run by time and, at one time, in the order in which they were scheduled", async () => {
  const world = new World(1);
  const ran: string[] = [];
  world.schedule(5, "late", () => ran.push("late"));
  world.schedule(1, "first", () => ran.push("first"));
  world.schedule(1, "second", () => ran.push("second"));
  world.schedule(2, "cancelled", () => ran.push("cancelled")).cancel();
  await world.runFor(4);
  expect(ran).toEqual(["first", "second"]);
  expect(world.nowMs).toBe(4);
  await world.runFor(4);
  expect(ran).toEqual(["first", "second", "late"]);
});

test("all that an event sets free has run before observers look and the next event comes", async () => {
  const world = new World(1);
  const seen: number[] = [];
  let depth = 0;
  const deeper = async (): Promise<void> => {
    for (let turn = 0; turn < 50; turn++) {
      await Promise.resolve();
      depth++;
    }
  };
  world.schedule(1, "one", () => void deeper());
  world.schedule(1, "two", () => void deeper());
  world.observers.push(() => seen.push(depth));
  await world.runFor(2);
  expect(seen).toEqual([50, 100]);
});

test("a rejection that nobody handles is known after the event that caused it", async () => {
  const world = new World(1);
  const onUnhandled = (thrown: unknown): void => world.fail("unhandled", String(thrown));
  const others = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection");
  process.on("unhandledRejection", onUnhandled);
  try {
    world.schedule(1, "rejects", () => void Promise.reject(new Error("nobody looks")));
    world.schedule(1, "never comes", () => world.fail("too late", ""));
    await expect(world.runFor(2)).rejects.toThrow(/unhandled: Error: nobody looks/);
    await microtasks();
  } finally {
    process.off("unhandledRejection", onUnhandled);
    for (const other of others) process.on("unhandledRejection", other);
  }
});

test("a failure ends the run at its event", async () => {
  const world = new World(1);
  world.schedule(1, "fails", () => world.fail("always", "did not hold"));
  world.schedule(1, "never comes", () => world.note("too far"));
  await expect(world.runFor(10)).rejects.toThrow(SimulationFailure);
  expect(world.timeline.map(({ text }) => text)).toEqual(["FAILED always: did not hold"]);
});

test("runUntil stops before the next event once its condition holds", async () => {
  const world = new World(1);
  let count = 0;
  const again = (): void => {
    count++;
    world.schedule(1, "again", again);
  };
  again();
  expect(await world.runUntil(() => count === 4, 100)).toBe(true);
  expect(world.nowMs).toBe(3);
  expect(await world.runUntil(() => count === 100, 10)).toBe(false);
});

test("a storm at one instant, too many events and too many queued bytes end as exhausted", async () => {
  const storm = new World(1);
  storm.budget = { ...DEFAULT_BUDGET, eventsAtOneInstantMax: 100 };
  const again = (): void => {
    storm.schedule(0, "again", again);
  };
  again();
  await expect(storm.runFor(10)).rejects.toThrow(BudgetExhausted);
  expect(storm.exhausted).toMatch(/100 events at one instant at 0 ms/);
  expect(storm.failure).toBeUndefined();

  const long = new World(1);
  long.budget = { ...DEFAULT_BUDGET, eventsMax: 100 };
  const tick = (): void => {
    long.schedule(1, "tick", tick);
  };
  tick();
  await expect(long.runFor(1_000)).rejects.toThrow(BudgetExhausted);
  expect(long.nowMs).toBe(100);

  const heavy = new World(1);
  heavy.budget = { ...DEFAULT_BUDGET, queuedBytesMax: 100 };
  heavy.schedule(1, "queues", () => heavy.queue(101));
  await expect(heavy.runFor(10)).rejects.toThrow(/101 bytes are queued/);
});

test("microtasks that schedule without end are stopped", async () => {
  const world = new World(1);
  world.budget = { ...DEFAULT_BUDGET, scheduledAtOnceMax: 1_000 };
  const endless = async (): Promise<void> => {
    for (;;) {
      await Promise.resolve();
      world.schedule(1, "more", () => {});
    }
  };
  world.schedule(1, "begins", () => {
    endless().catch(() => {});
  });
  await expect(world.runFor(10)).rejects.toThrow(/1001 events scheduled by one/);
});

test("the trace is that of the events, not of the text of a stack", async () => {
  const hash = async (note: string): Promise<string> => {
    const world = new World(1);
    world.schedule(1, "notes", () => world.note(note));
    await world.runFor(2);
    return world.traceHash;
  };
  expect(await hash("Error: x\n    at a:1")).toBe(await hash("Error: x\n    at b:2"));
  expect(await hash("Error: y\n    at a:1")).not.toBe(await hash("Error: x\n    at a:1"));
});
