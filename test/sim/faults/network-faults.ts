/** Faults of the network between machines. Shapes of partitions after Jepsen's nemeses. */
import { z } from "zod";
import { defineFault, type FaultKind, ms } from "./fault-kind.ts";
import type { Release, Stage } from "./stage.ts";
import { target } from "./target.ts";

function others(stage: Stage, name: string): string[] {
  return stage.names.filter((other) => other !== name);
}

function namesOf(stage: Stage, ids: readonly number[]): string[] {
  return ids.map((id) => stage.cluster.nodeOf(id)).filter((name) => stage.names.includes(name));
}

function until(stage: Stage, durationMs: number, what: string, releases: readonly Release[]): void {
  stage.note(`${what} for ${durationMs} ms`);
  stage.later(durationMs, () => {
    stage.note(`${what} no more`);
    for (const release of releases) release();
  });
}

const ids = z.array(z.number().int().min(1)).min(1);

const isolate = defineFault({
  kind: "isolate",
  class: "network",
  params: { on: target },
  draw: (draw) => ({ on: draw.target(), durationMs: draw.prng.between(300, 8_000) }),
  begin(stage, { on, durationMs }) {
    const name = stage.resolve(on)?.node.name;
    if (name === undefined) return false;
    const cut = stage.cut({ left: [name], right: others(stage, name), state: "hold" });
    until(stage, durationMs, `${name} is cut off`, [cut]);
    return true;
  },
});

const split = defineFault({
  kind: "split",
  class: "network",
  params: { side: ids },
  draw: (draw) => ({
    side: draw.order().slice(0, draw.prng.between(1, Math.max(1, draw.brokersCount - 1))),
    durationMs: draw.prng.between(300, 8_000),
  }),
  begin(stage, { side, durationMs }) {
    const left = namesOf(stage, side);
    const right = stage.names.filter((name) => !left.includes(name));
    if (left.length === 0 || right.length === 0) return false;
    const cut = stage.cut({ left, right, state: "hold" });
    until(stage, durationMs, `${left.join(",")} split from ${right.join(",")}`, [cut]);
    return true;
  },
});

/** `deaf`: hears nobody; `mute`: nobody hears it. */
const oneWay = defineFault({
  kind: "one-way",
  class: "network",
  params: { on: target, way: z.enum(["deaf", "mute"]) },
  draw: (draw) => ({
    on: draw.target(),
    way: draw.prng.pick(["deaf", "mute"] as const),
    durationMs: draw.prng.between(300, 8_000),
  }),
  begin(stage, { on, way, durationMs }) {
    const name = stage.resolve(on)?.node.name;
    if (name === undefined) return false;
    const rest = others(stage, name);
    const cut =
      way === "mute"
        ? stage.cut({ left: [name], right: rest, state: "hold", oneWay: true })
        : stage.cut({ left: rest, right: [name], state: "hold", oneWay: true });
    until(stage, durationMs, `${name} is ${way}`, [cut]);
    return true;
  },
});

/** One link of the full mesh, in both directions or one: everybody still has a way to everybody. */
const cutLink = defineFault({
  kind: "cut-link",
  class: "network",
  params: { from: target, to: target, oneWay: z.boolean() },
  brokersMin: 2,
  draw: (draw) => {
    const [from, to] = draw.order() as [number, number];
    return {
      from,
      to,
      oneWay: draw.prng.chance(1, 3),
      durationMs: draw.prng.between(500, 10_000),
    };
  },
  begin(stage, { from, to, oneWay: single, durationMs }) {
    const left = stage.resolve(from)?.node.name;
    const right = stage.resolve(to)?.node.name;
    if (left === undefined || right === undefined || left === right) return false;
    const cut = stage.cut({ left: [left], right: [right], state: "hold", oneWay: single });
    until(stage, durationMs, `${left} cannot reach ${right}${single ? "" : " nor back"}`, [cut]);
    return true;
  },
});

/** Two sides that see only one broker in the middle. */
const bridge = defineFault({
  kind: "bridge",
  class: "network",
  params: { middle: target, left: ids },
  brokersMin: 3,
  draw: (draw) => {
    const [middle, ...rest] = draw.order() as [number, ...number[]];
    return {
      middle,
      left: rest.slice(0, Math.ceil(rest.length / 2)),
      durationMs: draw.prng.between(500, 8_000),
    };
  },
  begin(stage, { middle, left, durationMs }) {
    const name = stage.resolve(middle)?.node.name;
    if (name === undefined) return false;
    const side = namesOf(stage, left).filter((each) => each !== name);
    const rest = others(stage, name).filter((each) => !side.includes(each));
    if (side.length === 0 || rest.length === 0) return false;
    const cut = stage.cut({ left: side, right: rest, state: "hold" });
    until(stage, durationMs, `${side.join(",")} and ${rest.join(",")} meet only ${name}`, [cut]);
    return true;
  },
});

/** Each broker sees its two neighbours only, so that every majority is another one. */
const ring = defineFault({
  kind: "ring",
  class: "network",
  params: { order: ids },
  brokersMin: 5,
  draw: (draw) => ({ order: draw.order(), durationMs: draw.prng.between(500, 8_000) }),
  begin(stage, { order, durationMs }) {
    const names = namesOf(stage, order);
    const cuts: Release[] = [];
    for (const [index, name] of names.entries()) {
      const near = [names.at(index - 1), names[(index + 1) % names.length]];
      const far = names.slice(index + 1).filter((other) => !near.includes(other));
      if (far.length > 0) cuts.push(stage.cut({ left: [name], right: far, state: "hold" }));
    }
    if (cuts.length === 0) return false;
    until(stage, durationMs, `a ring of ${names.join(",")}`, cuts);
    return true;
  },
});

/** Cut and healed again and again, too short for some timeouts and too long for others. */
const flap = defineFault({
  kind: "flap",
  class: "network",
  params: { on: target, cutMs: ms.min(1), openMs: ms.min(1) },
  draw: (draw) => ({
    on: draw.target(),
    cutMs: draw.prng.between(50, 2_500),
    openMs: draw.prng.between(50, 2_500),
    durationMs: draw.prng.between(2_000, 15_000),
  }),
  begin(stage, { on, cutMs, openMs, durationMs }) {
    const name = stage.resolve(on)?.node.name;
    if (name === undefined) return false;
    stage.note(`${name} flaps for ${durationMs} ms: ${cutMs} ms cut, ${openMs} ms open`);
    const again = (atMs: number): void => {
      if (atMs >= durationMs) {
        stage.note(`${name} flaps no more`);
        return;
      }
      const open = stage.cut({ left: [name], right: others(stage, name), state: "hold" });
      stage.later(Math.min(cutMs, durationMs - atMs), () => {
        open();
        stage.later(openMs, () => again(atMs + cutMs + openMs));
      });
    };
    again(0);
    return true;
  },
});

/** Connections break at once, new ones are refused. */
const resetLink = defineFault({
  kind: "reset-link",
  class: "network",
  params: { from: target, to: target },
  brokersMin: 2,
  draw: (draw) => {
    const [from, to] = draw.order() as [number, number];
    return { from, to, durationMs: draw.prng.between(1, 3_000) };
  },
  begin(stage, { from, to, durationMs }) {
    const left = stage.resolve(from)?.node.name;
    const right = stage.resolve(to)?.node.name;
    if (left === undefined || right === undefined || left === right) return false;
    const cut = stage.cut({ left: [left], right: [right], state: "reset" });
    until(stage, durationMs, `connections of ${left} and ${right} break`, [cut]);
    return true;
  },
});

const slowNetwork = defineFault({
  kind: "slow-network",
  class: "network",
  params: { minMs: ms, meanMs: ms },
  draw: ({ prng }) => ({
    minMs: prng.between(0, 20),
    meanMs: prng.between(5, 80),
    durationMs: prng.between(500, 8_000),
  }),
  begin(stage, { minMs, meanMs, durationMs }) {
    until(stage, durationMs, `the network is slow (${minMs} + ${meanMs} ms)`, [
      stage.delays({ minMs, meanMs }),
    ]);
    return true;
  },
});

export const networkFaults: readonly FaultKind[] = [
  isolate,
  split,
  oneWay,
  cutLink,
  bridge,
  ring,
  flap,
  resetLink,
  slowNetwork,
];
