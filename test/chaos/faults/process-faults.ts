/** Brokers die, are stopped, restarted and frozen. */
import type { FaultStage } from "../stage.ts";
import { someBroker, someLeader, someVictim } from "../stage.ts";
import { type FaultKind, type InjectedFault, NO_OBSTACLE } from "./fault-kind.ts";

const DOWN_MS = [2_000, 10_000] as const;
const PAUSE_MS = [1_000, 12_000] as const;
const WHOLE_MS = 60_000;

function kill(name: string, choose: (on: FaultStage) => readonly number[]): FaultKind {
  return {
    name,
    group: "process",
    obstacle: NO_OBSTACLE,
    inject: async (on): Promise<InjectedFault> => {
      const { cluster, prng, view } = on;
      const targets = choose(on);
      const holdMs = prng.between(...DOWN_MS);
      await cluster.kill(targets);
      return {
        targets,
        detail: rolesOf(on, targets, view.controller),
        holdMs,
        heal: async () => {
          await cluster.start(targets);
          return undefined;
        },
      };
    },
  };
}

function rolesOf({ view }: FaultStage, targets: readonly number[], controller: number): string {
  const led = view.leaders.filter((leader) => targets.includes(leader)).length;
  const roles = [
    ...(targets.includes(controller) ? ["controller"] : []),
    ...(targets.includes(view.coordinator) ? ["coordinator"] : []),
    `leader of ${led}`,
  ];
  return roles.join(", ");
}

/** Fewer than half of the brokers. */
function minorityOf({ cluster, prng }: FaultStage): readonly number[] {
  return prng.shuffle(cluster.ids).slice(0, Math.floor((cluster.ids.length - 1) / 2));
}

function existing(on: FaultStage, broker: number): readonly number[] {
  return [on.cluster.ids.includes(broker) ? broker : someBroker(on)];
}

export const PROCESS_FAULTS: readonly FaultKind[] = [
  kill("kill-leader", (on) => [someLeader(on)]),
  kill("kill-controller", (on) => existing(on, on.view.controller)),
  kill("kill-coordinator", (on) => existing(on, on.view.coordinator)),
  kill("kill-random", (on) => [someBroker(on)]),
  kill("kill-minority", minorityOf),
  kill("kill-all", ({ cluster }) => cluster.ids),
  {
    name: "stop",
    group: "process",
    obstacle: NO_OBSTACLE,
    inject: async (on) => {
      const target = someVictim(on);
      const holdMs = on.prng.between(...DOWN_MS);
      await on.cluster.stop(target);
      return {
        targets: [target],
        detail: rolesOf(on, [target], on.view.controller),
        holdMs,
        heal: async () => {
          await on.cluster.start([target]);
          return undefined;
        },
      };
    },
  },
  {
    name: "restart",
    group: "process",
    obstacle: NO_OBSTACLE,
    inject: async (on) => {
      const target = someVictim(on);
      await on.cluster.restart(target);
      const detail = rolesOf(on, [target], on.view.controller);
      return { targets: [target], detail, holdMs: 0, heal: async () => undefined };
    },
  },
  {
    name: "rolling-restart",
    group: "process",
    obstacle: NO_OBSTACLE,
    inject: async ({ cluster, prng, stage }) => {
      const order = prng.shuffle(cluster.ids);
      for (const id of order) {
        await cluster.restart(id);
        const lacking = await stage.untilWhole(WHOLE_MS);
        if (lacking !== undefined) throw new Error(`after broker ${id}: ${lacking}`);
      }
      const detail = `in the order ${order.join(", ")}`;
      return { targets: order, detail, holdMs: 0, heal: async () => undefined };
    },
  },
  {
    name: "pause",
    group: "process",
    obstacle: NO_OBSTACLE,
    inject: async (on) => {
      const target = someVictim(on);
      const holdMs = on.prng.between(...PAUSE_MS);
      await on.cluster.pause(target);
      return {
        targets: [target],
        detail: rolesOf(on, [target], on.view.controller),
        holdMs,
        heal: async () => {
          await on.cluster.unpause(target);
          return undefined;
        },
      };
    },
  },
];
