import { expect, test } from "vitest";
import { createMemoryPorts } from "../../support/memory-ports.ts";
import { numbered, twoMachines } from "./two-machines.ts";

// Faults of processes and of their clocks.

test("a crash at the n-th event of a process ends it before that event runs", async () => {
  for (const n of [1, 2, 5]) {
    const { ports, world, node } = createMemoryPorts({ auto: false });
    const killed: string[] = [];
    node.onKilled = (reason) => killed.push(reason);
    let fired = 0;
    ports.timers.every(10, () => fired++);
    node.crashAt({ kind: "event", stage: "issued", n });
    await world.runFor(1_000);
    expect(fired).toBe(n - 1);
    expect(killed).toHaveLength(1);
  }
});

test("a crash as a message leaves: the process does nothing after it", async () => {
  const { left, heard, open } = await twoMachines();
  const { world, node } = left;
  const { stream } = open();
  await world.runFor(10);
  node.crashAt({ kind: "send", stage: "issued", detail: "raft", n: 3 });
  for (let number = 0; number < 5; number++) stream.send(numbered(number));
  await world.runFor(100);
  expect(node.incarnation).toBeUndefined();
  expect(heard.numbers).toEqual([0, 1, 2].slice(0, heard.numbers.length));
  expect(heard.ends).toEqual(["connection reset"]);
});

test("a crash in the next life waits for it, and goes with it", async () => {
  const memory = createMemoryPorts({ auto: false });
  const { world, node } = memory;
  node.crashAt({ kind: "event", stage: "issued", n: 2, inNextLife: true });
  memory.ports.timers.every(1, () => {});
  await world.runFor(10);
  expect(node.incarnation?.life).toBe(1);
  let fired = 0;
  memory.restart().timers.every(1, () => fired++);
  await world.runFor(10);
  expect(node.incarnation).toBeUndefined();
  expect(fired).toBe(1);
});

test("a crash point that is taken back, or whose life is over, does nothing", async () => {
  const memory = createMemoryPorts({ auto: false });
  const { world, node } = memory;
  node.crashAt({ kind: "event", stage: "issued" })();
  node.crashAt({ kind: "event", stage: "issued", n: 100 });
  memory.ports.timers.every(1, () => {});
  await world.runFor(50);
  memory.restart().timers.every(1, () => {});
  await world.runFor(500);
  expect(node.incarnation?.life).toBe(2);
});

test("a slow process runs one event after another, all of them, in order", async () => {
  const { ports, world, node } = createMemoryPorts({ auto: false });
  node.slowTimes = 1_000;
  const ran: number[] = [];
  for (let number = 0; number < 10; number++)
    ports.timers.after(number + 1, () => ran.push(number));
  await world.runFor(200);
  expect(ran.length).toBeGreaterThan(1);
  expect(ran.length).toBeLessThan(10);
  node.slowTimes = 1;
  await world.runFor(200);
  expect(ran).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test("a slow process that is paused meanwhile goes on afterwards", async () => {
  const { ports, world, node } = createMemoryPorts({ auto: false });
  node.slowTimes = 100;
  let ran = 0;
  ports.timers.every(10, () => ran++);
  await world.runFor(50);
  node.pause();
  const before = ran;
  await world.runFor(1_000);
  expect(ran).toBe(before);
  node.resume();
  await world.runFor(100);
  expect(ran).toBeGreaterThan(before);
});

test("more bytes in its queues than memory, and the operating system kills the process", async () => {
  const { left, open } = await twoMachines();
  const { world, network, node } = left;
  const killed: string[] = [];
  node.onKilled = (reason) => killed.push(reason);
  node.memoryCapBytes = 250_000;
  const { stream } = open();
  await world.runFor(10);
  network.setLink("left", "right", "hold");
  for (let number = 0; number < 5; number++) stream.send(numbered(number, 100_000));
  expect(killed).toHaveLength(1);
  expect(killed[0]).toMatch(/out of memory with 300\d{3} bytes/);
  await world.runFor(10_000);
  expect(world.queuedBytes).toBe(0);
});

test("a drifting clock is off by its drift, and timers follow it", async () => {
  for (const driftPpm of [-100_000, 100_000]) {
    const { ports, world, node } = createMemoryPorts({ auto: false });
    const monotonic = ports.clock.monotonicMs();
    const wall = ports.clock.wallMs();
    node.clock.driftPpm = driftPpm;
    let firedAtMs = 0;
    ports.timers.after(1_000, () => {
      firedAtMs = world.nowMs;
    });
    await world.runFor(10_000);
    const shown = 10_000 + driftPpm / 100;
    expect(ports.clock.monotonicMs() - monotonic).toBeCloseTo(shown, 6);
    expect(ports.clock.wallMs() - wall).toBe(shown);
    expect(firedAtMs).toBeCloseTo((1_000 * 1_000_000) / (1_000_000 + driftPpm), 2);
  }
});

test("a timer does not fire early when its clock slows down, or stands still", async () => {
  const { ports, world, node } = createMemoryPorts({ auto: false });
  const begin = ports.clock.monotonicMs();
  const fired: number[] = [];
  ports.timers.after(1_000, () => fired.push(ports.clock.monotonicMs() - begin));
  await world.runFor(500);
  node.clock.driftPpm = -100_000;
  node.clock.freeze(300);
  const frozen = ports.clock.monotonicMs();
  await world.runFor(300);
  expect(ports.clock.monotonicMs()).toBe(frozen);
  await world.runFor(500);
  expect(fired).toEqual([]);
  await world.runFor(100);
  expect(fired).toHaveLength(1);
  expect(fired[0]).toBeGreaterThanOrEqual(999.99);
});

test("a timer is not late when its clock goes on earlier than it was to, or faster", async () => {
  for (const heal of [true, false]) {
    const { ports, world, node } = createMemoryPorts({ auto: false });
    const fired: number[] = [];
    node.clock.freeze(heal ? 5_000 : 0);
    if (!heal) node.clock.driftPpm = -100_000;
    const begin = ports.clock.monotonicMs();
    ports.timers.after(1_000, () => fired.push(ports.clock.monotonicMs() - begin));
    await world.runFor(100);
    if (heal) node.clock.heal();
    else node.clock.driftPpm = 100_000;
    await world.runFor(1_100);
    expect(fired).toHaveLength(1);
    expect(fired[0]).toBeCloseTo(1_000, 1);
  }
});

test("no change of a clock makes the monotonic one fall", async () => {
  const { ports, world, node } = createMemoryPorts({ auto: false });
  let last = ports.clock.monotonicMs();
  const changes = [
    () => node.clock.freeze(500),
    () => {
      node.clock.driftPpm = 100_000;
    },
    () => node.clock.freeze(10),
    () => {
      node.clock.driftPpm = -100_000;
    },
    () => {
      node.clock.wallOffsetMs = -3_600_000;
    },
    () => node.clock.heal(),
  ];
  for (const change of changes) {
    change();
    for (let turn = 0; turn < 10; turn++) {
      const now = ports.clock.monotonicMs();
      expect(now).toBeGreaterThanOrEqual(last);
      last = now;
      await world.runFor(20);
    }
  }
});

test("NTP sets the clock while nothing runs: the next life finds another time", async () => {
  const memory = createMemoryPorts({ auto: false });
  const { node } = memory;
  const before = memory.ports.clock.wallMs();
  node.clock.setOffsetAtNextStart(-60_000);
  expect(memory.ports.clock.wallMs()).toBe(before);
  expect(memory.restart().clock.wallMs()).toBe(before - 60_000);
  expect(memory.restart().clock.wallMs()).toBe(before - 60_000);
});
