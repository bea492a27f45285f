/** Faults of the network between machines. Shapes of partitions after Jepsen's nemeses. */
import { z } from "zod";
import type { PeerChannel } from "../../../src/ports/peer-network.ts";
import type { MessageAction } from "../world/message-faults.ts";
import { bridge, majoritiesRing } from "../world/partitions.ts";
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

/** Two halves that see only one broker in the middle, the first in the order. */
const bridgeFault = defineFault({
  kind: "bridge",
  class: "network",
  params: { order: ids },
  brokersMin: 3,
  draw: (draw) => ({ order: draw.order(), durationMs: draw.prng.between(500, 8_000) }),
  begin(stage, { order, durationMs }) {
    const names = namesOf(stage, order);
    const cut = stage.cutLinks(bridge(names), "hold");
    until(stage, durationMs, `only ${names[0]} sees all of ${names.slice(1).join(",")}`, [cut]);
    return true;
  },
});

/** Each broker sees a majority, and every majority is another one. */
const ring = defineFault({
  kind: "ring",
  class: "network",
  params: { order: ids },
  brokersMin: 3,
  draw: (draw) => ({ order: draw.order(), durationMs: draw.prng.between(500, 8_000) }),
  begin(stage, { order, durationMs }) {
    const names = namesOf(stage, order);
    const cut = stage.cutLinks(majoritiesRing(names), "hold");
    until(stage, durationMs, `a ring of ${names.join(",")}`, [cut]);
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

/** What is sent queues up, and is delivered at once when the clog ends. */
const clog = defineFault({
  kind: "clog",
  class: "network",
  params: { from: target, to: target },
  brokersMin: 2,
  draw: (draw) => {
    const [from, to] = draw.order() as [number, number];
    return { from, to, durationMs: draw.prng.between(50, 5_000) };
  },
  begin(stage, { from, to, durationMs }) {
    const left = stage.resolve(from)?.node.name;
    const right = stage.resolve(to)?.node.name;
    if (left === undefined || right === undefined || left === right) return false;
    stage.note(`${left} to ${right} is clogged for ${durationMs} ms`);
    stage.cluster.network.clog([[left, right]], durationMs);
    return true;
  },
});

/** Narrow, far away, and losing a message with its connection now and then. */
const poorLink = defineFault({
  kind: "poor-link",
  class: "network",
  params: {
    from: target,
    to: target,
    minMs: ms,
    meanMs: ms,
    bytesPerSecond: z.number().int().min(1_000),
    resetOneIn: z.number().int().min(0),
  },
  brokersMin: 2,
  draw: (draw) => {
    const { prng } = draw;
    const [from, to] = draw.order() as [number, number];
    return {
      from,
      to,
      minMs: prng.between(0, 30),
      meanMs: prng.between(1, 100),
      bytesPerSecond: prng.pick([10_000, 100_000, 1_000_000, 10_000_000]),
      resetOneIn: prng.pick([0, 0, 3, 10, 100, 1_000]),
      durationMs: prng.between(500, 15_000),
    };
  },
  begin(stage, { from, to, durationMs, minMs, meanMs, bytesPerSecond, resetOneIn }) {
    const left = stage.resolve(from)?.node.name;
    const right = stage.resolve(to)?.node.name;
    if (left === undefined || right === undefined || left === right) return false;
    const quality = { minMs, meanMs, bytesPerSecond, resetOneIn };
    until(stage, durationMs, `the link from ${left} to ${right} is poor`, [
      stage.quality([[left, right]], quality),
    ]);
    return true;
  },
});

/** Longer nobody believes in a silent connection: the transport's keepalive ends it. */
const KEEPALIVE_MS = 4_000;

/** One side has forgotten its connections; the other sends into the void for a while. */
const halfOpen = defineFault({
  kind: "half-open",
  class: "network",
  params: { gone: target, unaware: target, unnoticedMs: ms },
  brokersMin: 2,
  draw: (draw) => {
    const [gone, unaware] = draw.order() as [number, number];
    return { gone, unaware, unnoticedMs: draw.prng.between(0, KEEPALIVE_MS), durationMs: 0 };
  },
  begin(stage, { gone, unaware, unnoticedMs }) {
    const left = stage.resolve(gone)?.node.name;
    const right = stage.resolve(unaware)?.node.name;
    if (left === undefined || right === undefined || left === right) return false;
    stage.note(
      `${left} has lost its connections with ${right}, which notices in ${unnoticedMs} ms`,
    );
    stage.cluster.network.halfOpen(left, right, unnoticedMs);
    return true;
  },
});

/** All connections of two brokers break once, in the middle of whatever was on its way. */
const resetOnce = defineFault({
  kind: "reset-once",
  class: "network",
  params: { from: target, to: target },
  brokersMin: 2,
  draw: (draw) => {
    const [from, to] = draw.order() as [number, number];
    return { from, to, durationMs: 0 };
  },
  begin(stage, { from, to }) {
    const left = stage.resolve(from)?.node.name;
    const right = stage.resolve(to)?.node.name;
    if (left === undefined || right === undefined || left === right) return false;
    stage.note(`connections of ${left} and ${right} are reset`);
    stage.cluster.network.resetConnections(left, right);
    return true;
  },
});

/** Message types by channel, those whose loss or lateness matters most. */
const MESSAGES = {
  raft: ["vote-request", "vote-response", "append-request", "append-response", "snapshot-request"],
  replication: ["start", "progress", "frame", "refuse"],
  controller: ["request", "reply"],
} as const;
const CHANNELS = ["raft", "replication", "controller"] as const satisfies readonly PeerChannel[];

function oneMessage(
  kind: "lose-message" | "lose-answer" | "hold-message" | "flip-bit",
  action: (fault: { readonly lateMs: number; readonly throughProxy: boolean }) => MessageAction,
): FaultKind {
  return defineFault({
    kind,
    class: "network",
    params: {
      from: target,
      channel: z.enum(CHANNELS),
      messageType: z.string().max(40),
      nth: z.number().int().min(1),
      lateMs: ms,
      throughProxy: z.boolean(),
    },
    draw(draw) {
      const { prng } = draw;
      // Only a batch has a checksum that can tell: TLS is what guards the rest.
      const channel = kind === "flip-bit" ? "replication" : prng.pick(CHANNELS);
      const messageType = kind === "flip-bit" ? "frame" : prng.pick(MESSAGES[channel]);
      return {
        from: draw.target(),
        channel,
        messageType,
        nth: prng.between(1, 1 << prng.below(6)),
        lateMs: prng.between(1_000, 300_000),
        throughProxy: prng.chance(1, 2),
        durationMs: prng.between(1_000, 20_000),
      };
    },
    begin(stage, { from, channel, messageType, nth, durationMs, ...rest }) {
      const name = stage.resolve(from)?.node.name;
      if (name === undefined) return false;
      stage.note(`${kind}: ${name}, ${channel}, ${messageType}, number ${nth}`);
      const { network } = stage.cluster;
      const takeBack = network.onMessage({
        from: name,
        channel,
        messageType,
        nth,
        action: action(rest),
      });
      stage.later(durationMs, takeBack);
      return true;
    },
  });
}

/** The header of a batch and the key of one record; what is shorter is no batch. */
const BATCH_BYTES = 61;

const messageFaults = [
  oneMessage("lose-message", () => ({ type: "reset-before" })),
  oneMessage("lose-answer", () => ({ type: "reset-after" })),
  oneMessage("hold-message", ({ lateMs, throughProxy }) => ({
    type: "hold",
    holdMs: lateMs,
    through: throughProxy ? "proxy" : "socket",
  })),
  oneMessage("flip-bit", () => ({ type: "flip-bit", bytesMin: BATCH_BYTES })),
];

export const networkFaults: readonly FaultKind[] = [
  isolate,
  split,
  oneWay,
  cutLink,
  bridgeFault,
  ring,
  flap,
  resetLink,
  resetOnce,
  slowNetwork,
  clog,
  poorLink,
  halfOpen,
  ...messageFaults,
];
