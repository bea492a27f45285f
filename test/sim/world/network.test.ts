import { expect, test } from "vitest";
import { Prng } from "../../../src/base/prng.ts";
import { bridge, isolate, majoritiesRing } from "./partitions.ts";
import { drawDelayMs } from "./sim-links.ts";
import { numbered, twoMachines } from "./two-machines.ts";

// Each fault of the network does what its name says, and nothing that a real stream cannot suffer.

const RIGHT_WAY = [["left", "right"]] as const;

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, number) => number);
}

test("delays have the mean that was asked for, and a slow tail", () => {
  const prng = new Prng(3);
  const draws = upTo(100_000).map(() => drawDelayMs(prng, { minMs: 1, meanMs: 10, tailOneIn: 0 }));
  const mean = draws.reduce((sum, drawn) => sum + drawn, 0) / draws.length;
  expect(mean).toBeGreaterThan(10.7);
  expect(mean).toBeLessThan(11.2);
  expect(Math.min(...draws)).toBeGreaterThanOrEqual(1);
  const tailed = upTo(100_000).map(() =>
    drawDelayMs(prng, { minMs: 0, meanMs: 10, tailOneIn: 1_000 }),
  );
  const slow = tailed.filter((drawn) => drawn > 100).length;
  expect(slow).toBeGreaterThan(30);
  expect(slow).toBeLessThan(200);
});

test("a link has its own delay, and the other direction keeps its", async () => {
  const { left, heard, open } = await twoMachines({ answers: true });
  const { world, network } = left;
  const { stream, answers } = open();
  await world.runFor(10);
  network.setQuality(RIGHT_WAY, { minMs: 500, meanMs: 0 });
  stream.send(numbered(1));
  await world.runFor(499);
  expect(heard.numbers).toEqual([]);
  await world.runFor(5);
  expect(heard.numbers).toEqual([1]);
  await world.runFor(20);
  expect(answers).toEqual([1]);
});

test("what a slow network has under way is there soon after it has healed", async () => {
  const { left, heard, open } = await twoMachines();
  const { world, network } = left;
  const { stream } = open();
  await world.runFor(10);
  network.setQuality(RIGHT_WAY, { minMs: 30_000, meanMs: 0 });
  for (const number of [1, 2, 3]) stream.send(numbered(number));
  await world.runFor(1_000);
  expect(heard.numbers).toEqual([]);
  network.healAll();
  stream.send(numbered(4));
  await world.runFor(100);
  expect(heard.numbers).toEqual([1, 2, 3, 4]);
});

test("bandwidth is shared by the streams of a link, pushes back, and a better one applies at once", async () => {
  const { left, heard, open } = await twoMachines();
  const { world, network } = left;
  const streams = [open().stream, open().stream];
  await world.runFor(10);
  network.setQuality(RIGHT_WAY, { minMs: 0, meanMs: 0, bytesPerSecond: 1_000_000 });
  let drained = 0;
  for (const stream of streams) {
    stream.onDrain = () => drained++;
    expect(
      upTo(12)
        .map((number) => stream.send(numbered(number, 100_000)))
        .at(-1),
    ).toBe(false);
  }
  await world.runFor(1_000);
  // 100 kB each: ten a second in sum, though two streams want to send.
  expect(heard.numbers.length).toBeGreaterThanOrEqual(8);
  expect(heard.numbers.length).toBeLessThanOrEqual(10);
  expect(drained).toBe(0);
  network.setQuality(RIGHT_WAY, undefined);
  await world.runFor(20);
  expect(heard.numbers.length).toBe(24);
  expect(drained).toBe(2);
  expect(world.queuedBytes).toBe(0);
});

test("a peer that takes nothing is given up once too much is queued for it", async () => {
  const { left, open } = await twoMachines();
  const { world, network } = left;
  network.queueBytesMax = 500_000;
  const { stream, ends } = open();
  await world.runFor(10);
  network.setLink("left", "right", "hold");
  for (const number of upTo(10)) stream.send(numbered(number, 100_000));
  expect(ends).toHaveLength(1);
  expect(ends[0]).toMatch(/bytes wait for a peer/);
  await world.runFor(10_000);
  expect(world.queuedBytes).toBe(0);
});

test("a clog delivers everything at once when it ends, in order", async () => {
  const { left, heard, open } = await twoMachines();
  const { world, network } = left;
  const { stream, ends } = open();
  await world.runFor(10);
  network.clog(RIGHT_WAY, 1_000);
  for (const number of upTo(20)) {
    stream.send(numbered(number));
    await world.runFor(10);
  }
  expect(heard.numbers).toEqual([]);
  await world.runFor(801);
  expect(heard.numbers).toEqual(upTo(20));
  expect(new Set(heard.atMs).size).toBe(1);
  expect(ends).toEqual([]);
});

test("cuts overlap: a link opens with the last of them", async () => {
  const { left } = await twoMachines();
  const { network } = left;
  const first = network.cut(RIGHT_WAY, "hold");
  const second = network.cut(RIGHT_WAY, "reset");
  expect(network.linkState("left", "right")).toBe("reset");
  second();
  expect(network.linkState("left", "right")).toBe("hold");
  first();
  expect(network.linkState("left", "right")).toBe("open");
  expect(network.linkState("right", "left")).toBe("open");
});

test("two short holds are not one long one", async () => {
  const { left, open } = await twoMachines();
  const { world, network } = left;
  const { ends } = open();
  await world.runFor(10);
  for (let times = 0; times < 6; times++) {
    network.clog(RIGHT_WAY, 1_500);
    await world.runFor(1_600);
  }
  expect(ends).toEqual([]);
  network.clog(RIGHT_WAY, 5_000);
  await world.runFor(5_000);
  expect(ends).toEqual(["keepalive timed out"]);
});

test("shapes: isolated, a ring of majorities, a bridge", () => {
  const five = ["a", "b", "c", "d", "e"];
  expect(isolate(["a"], five)).toHaveLength(8);
  expect(isolate(["a"], five, "out").every(([from]) => from === "a")).toBe(true);
  for (const names of [five.slice(0, 3), five, [...five, "f", "g"]]) {
    const cut = majoritiesRing(names);
    const views = names.map((name) => {
      const unheard = cut.filter(([, to]) => to === name).map(([from]) => from);
      return names.filter((other) => !unheard.includes(other)).join("");
    });
    const majority = Math.floor(names.length / 2) + 1;
    expect(views.map((view) => view.length)).toEqual(names.map(() => majority));
    expect(new Set(views).size).toBe(names.length);
  }
  const joined = bridge(five);
  expect(joined.flat()).not.toContain("a");
  expect(joined).toHaveLength(8);
});

test("half open: one side is gone, the other sends into the void until it notices", async () => {
  const { left, heard, open } = await twoMachines();
  const { world, network } = left;
  const { stream, ends } = open();
  stream.send(numbered(0));
  await world.runFor(10);
  network.halfOpen("right", "left", 30_000);
  for (let number = 1; number < 10; number++) stream.send(numbered(number));
  await world.runFor(29_000);
  expect(heard.ends).toEqual(["connection lost"]);
  expect(heard.numbers).toEqual([0]);
  expect(ends).toEqual([]);
  await world.runFor(1_100);
  expect(ends).toEqual(["keepalive timed out"]);
  expect(network.connectionsCount).toBe(0);
});

test("a reset delivers a prefix, of every length over the seeds", async () => {
  const lengths = new Set<number>();
  for (let seed = 1; seed <= 60; seed++) {
    const { left, heard, open } = await twoMachines({ seed });
    const { world, network } = left;
    const { stream, ends } = open();
    await world.runFor(10);
    network.setQuality(RIGHT_WAY, { minMs: 50, meanMs: 0 });
    for (const number of upTo(5)) stream.send(numbered(number));
    network.resetConnections("left", "right");
    await world.runFor(200);
    expect(heard.numbers).toEqual(upTo(heard.numbers.length));
    expect(ends).toHaveLength(1);
    expect(heard.ends).toHaveLength(1);
    lengths.add(heard.numbers.length);
  }
  expect([...lengths].sort()).toEqual(upTo(6));
});

test("an answer is lost with its connection after the request was taken", async () => {
  const { left, heard, open } = await twoMachines({ answers: true });
  const { world, network } = left;
  network.onMessage({ from: "left", nth: 2, action: { type: "reset-after" } });
  const first = open();
  for (const number of [1, 2, 3]) first.stream.send(numbered(number));
  await world.runFor(100);
  expect(heard.numbers).toEqual([1, 2]);
  expect(first.answers.length).toBeLessThanOrEqual(1);
  expect(first.ends).toEqual(["connection reset"]);
  // What a sender does that cannot know: the request comes twice, on two streams.
  const second = open();
  second.stream.send(numbered(2));
  await world.runFor(100);
  expect(heard.numbers).toEqual([1, 2, 2]);
  expect(second.answers).toEqual([2]);
});

test("a request is lost with its connection, and with what followed it", async () => {
  const { left, heard, open } = await twoMachines();
  const { world, network } = left;
  network.onMessage({ messageType: "hello", nth: 2, action: { type: "reset-before" } });
  const { stream, ends } = open();
  for (const number of [1, 2, 3]) stream.send(numbered(number));
  await world.runFor(100);
  expect(heard.numbers).toEqual([1]);
  expect(ends).toEqual(["connection reset"]);
});

test("behind a proxy a request comes minutes after its sender gave the stream up, then its end", async () => {
  const { left, heard, open } = await twoMachines({ answers: true });
  const { world, network } = left;
  const old = open();
  await world.runFor(10);
  network.onMessage({ nth: 2, action: { type: "hold", holdMs: 120_000, through: "proxy" } });
  for (const number of [1, 2, 3]) old.stream.send(numbered(number));
  await world.runFor(10_000);
  expect(heard.numbers).toEqual([1]);
  expect(old.ends).toEqual(["keepalive timed out"]);
  const next = open();
  next.stream.send(numbered(4));
  await world.runFor(60_000);
  expect(heard.ends).toEqual([]);
  expect(heard.numbers).toEqual([1, 4]);
  await world.runFor(60_000);
  expect(heard.numbers.slice(0, 3)).toEqual([1, 4, 2]);
  expect(heard.ends).toEqual(["connection reset"]);
  expect(next.ends).toEqual([]);
  expect(world.queuedBytes).toBe(0);
});

test("without a proxy only a frozen receiver reads old requests, and only when it goes on", async () => {
  for (const frozen of [true, false]) {
    const { left, right, heard, open } = await twoMachines();
    const { world, network } = left;
    const { stream } = open();
    await world.runFor(10);
    network.onMessage({ nth: 1, action: { type: "hold", holdMs: 10_000, through: "socket" } });
    stream.send(numbered(1));
    await world.runFor(20);
    if (frozen) right.node.pause();
    await world.runFor(30_000);
    expect(heard.numbers).toEqual([]);
    right.node.resume();
    await world.runFor(100);
    expect(heard.numbers).toEqual(frozen ? [1] : []);
    expect(heard.ends).toHaveLength(1);
  }
});

test("a paused process reads what lay in its sockets before their end, or loses it", async () => {
  const read = new Set<string>();
  for (let seed = 1; seed <= 20; seed++) {
    const { left, right, heard, open } = await twoMachines({ seed });
    const { world, network } = left;
    const { stream, ends } = open();
    await world.runFor(10);
    right.node.pause();
    network.nodePaused(right.node);
    for (const number of upTo(3)) stream.send(numbered(number));
    await world.runFor(20_000);
    expect(ends).toEqual(["keepalive timed out"]);
    expect(heard.numbers).toEqual([]);
    right.node.resume();
    await world.runFor(10);
    read.add(heard.numbers.join());
    expect(heard.ends).toHaveLength(1);
  }
  expect(read).toContain("0,1,2");
  expect(read.size).toBeGreaterThan(1);
});

test("a lossy link breaks connections and leaves no hole", async () => {
  const { left, heard, open } = await twoMachines();
  const { world, network } = left;
  network.setQuality(RIGHT_WAY, { minMs: 0.1, meanMs: 0.1, resetOneIn: 10 });
  let streams = 0;
  for (let from = 0; from < 200; from += 20) {
    const { stream } = open();
    streams++;
    for (const number of upTo(20)) stream.send(numbered(from + number));
    await world.runFor(100);
  }
  expect(heard.ends.length).toBeGreaterThan(5);
  expect(heard.ends.length).toBeLessThanOrEqual(streams);
  for (const [index, number] of heard.numbers.entries()) {
    const before = heard.numbers[index - 1];
    expect(number % 20 === 0 || number - 1 === before).toBe(true);
  }
});

test("streams of a link overtake each other, unless the link is ordered", async () => {
  const courses = new Map<boolean, boolean>();
  for (const ordered of [false, true]) {
    const { left, heard, open } = await twoMachines();
    const { world, network } = left;
    network.ordersLinks = ordered;
    const streams = upTo(5).map(() => open().stream);
    await world.runFor(10);
    network.setQuality(RIGHT_WAY, { minMs: 0, meanMs: 20 });
    for (const number of upTo(50)) streams[number % 5]?.send(numbered(number));
    await world.runFor(2_000);
    const inOrder = heard.numbers.every((number, index) => number === index);
    expect(heard.numbers).toHaveLength(50);
    for (const lane of upTo(5)) {
      const own = heard.numbers.filter((number) => number % 5 === lane);
      expect(own).toEqual([...own].sort((before, after) => before - after));
    }
    courses.set(ordered, inOrder);
  }
  expect(courses).toEqual(
    new Map([
      [false, false],
      [true, true],
    ]),
  );
});

test("one bit of a batch is flipped on the way, behind what its checksum leaves out", async () => {
  const { left, right } = await twoMachines();
  const { world, network } = left;
  const batches: Uint8Array[] = [];
  await world.settle(
    right.ports.network.listen(
      { host: "", port: 8 },
      {
        raft: () => {},
        controller: () => {},
        offsets: () => {},
        replication: (stream) => {
          stream.onMessage = (message) => {
            const { partitions } = message as unknown as {
              readonly partitions: readonly { readonly batches: Uint8Array }[];
            };
            batches.push((partitions[0] as { readonly batches: Uint8Array }).batches);
          };
        },
      },
    ),
  );
  const stream = left.ports.network.open({ host: "right", port: 8 }, "replication");
  network.onMessage({ channel: "replication", action: { type: "flip-bit", bytesMin: 61 } });
  const sent = new Uint8Array(100);
  const frame = { type: "frame", partitions: [{ handle: 1, batches: sent }] };
  stream.send(frame as never);
  stream.send(frame as never);
  await world.runFor(100);
  const flipped = batches.map((bytes) => [...bytes].findIndex((byte) => byte !== 0));
  expect(flipped[0]).toBeGreaterThanOrEqual(21);
  expect(flipped[1]).toBe(-1);
  expect(sent.every((byte) => byte === 0)).toBe(true);
});
