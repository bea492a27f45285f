/**
 * The network between brokers is cut: by Docker, or by packet filters in the containers' own networks,
 * which vanish with the container. A partition by DROP is silence, one by REJECT is refusal.
 */
import type { ChaosCluster } from "../cluster.ts";
import type { FaultStage } from "../stage.ts";
import { someVictim } from "../stage.ts";
import { type FaultKind, type InjectedFault, NO_OBSTACLE } from "./fault-kind.ts";

const HOLD_MS = [2_000, 12_000] as const;
const LOSS_PERCENT = [2, 5, 10, 20, 30] as const;

type Verdict = readonly string[];

const DROP: Verdict = ["-j", "DROP"];
const REJECT: Verdict = ["-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset"];

interface Rule {
  readonly broker: number;
  /** For iptables, from the chain on. */
  readonly words: readonly string[];
}

/** Packets that come from `from` are not taken in by `at`. */
function deaf(cluster: ChaosCluster, at: number, from: number, verdict: Verdict): Rule {
  return { broker: at, words: ["INPUT", "-s", cluster.address(from), ...verdict] };
}

async function apply(cluster: ChaosCluster, rules: readonly Rule[]): Promise<void> {
  try {
    for (const { broker, words } of rules) {
      await cluster.inNetworkOf(broker, ["iptables", "-w", "-A", ...words]);
    }
  } catch (thrown) {
    await flush(cluster);
    throw thrown;
  }
}

/** A container's own filters are empty but for ours. */
export async function flush(cluster: ChaosCluster): Promise<void> {
  for (const id of cluster.ids) {
    // One that is down has none.
    await cluster.inNetworkOf(id, ["iptables", "-w", "-F"]).catch(() => undefined);
  }
}

/** Nobody hears the broker, and it hears nobody: clients neither. */
export async function isolate(cluster: ChaosCluster, broker: number): Promise<void> {
  const rules = ["INPUT", "OUTPUT"].map((chain) => ({ broker, words: [chain, ...DROP] }));
  await apply(cluster, rules);
}

function filtered(
  name: string,
  draw: (on: FaultStage) => {
    readonly targets: readonly number[];
    readonly detail: string;
    readonly rules: readonly Rule[];
  },
): FaultKind {
  return {
    name,
    group: "network",
    obstacle: ({ noFirewall }) => noFirewall,
    inject: async (on): Promise<InjectedFault> => {
      const { cluster, prng } = on;
      const { detail, rules, targets } = draw(on);
      const holdMs = prng.between(...HOLD_MS);
      await apply(cluster, rules);
      return {
        targets,
        detail,
        holdMs,
        heal: async () => {
          await flush(cluster);
          return undefined;
        },
      };
    },
  };
}

function full(name: string, verdict: Verdict): FaultKind {
  return filtered(name, (on) => {
    const { cluster, prng } = on;
    const target = someVictim(on);
    const others = cluster.ids.filter((id) => id !== target);
    const rules = others.flatMap((other) => [
      deaf(cluster, target, other, verdict),
      deaf(cluster, other, target, verdict),
    ]);
    // Whether clients still reach it: a leader cut off that clients go on to ask is the nastier one.
    const alone = prng.chance(1, 2);
    if (alone) {
      rules.push({ broker: target, words: ["INPUT", "-s", cluster.gateway, ...verdict] });
    }
    return {
      targets: [target],
      detail: alone ? "from everybody" : "from the other brokers, clients reach it",
      rules,
    };
  });
}

export const NETWORK_FAULTS: readonly FaultKind[] = [
  {
    name: "disconnect",
    group: "network",
    obstacle: NO_OBSTACLE,
    inject: async (on) => {
      const target = someVictim(on);
      const holdMs = on.prng.between(...HOLD_MS);
      await on.cluster.disconnect(target);
      return {
        targets: [target],
        detail: "from Docker's network",
        holdMs,
        heal: async () => {
          await on.cluster.connect(target);
          return undefined;
        },
      };
    },
  },
  full("partition-drop", DROP),
  full("partition-reject", REJECT),
  filtered("partition-one-way", (on) => {
    const { cluster, prng } = on;
    const target = someVictim(on);
    const others = cluster.ids.filter((id) => id !== target);
    const hears = prng.chance(1, 2);
    const rules = others.map((other) =>
      hears ? deaf(cluster, other, target, DROP) : deaf(cluster, target, other, DROP),
    );
    const detail = hears ? "hears the others and is not heard" : "is heard and hears nobody";
    return { targets: [target], detail, rules };
  }),
  filtered("partition-bridge", (on) => {
    const { cluster, prng } = on;
    const bridge = someVictim(on);
    const others = cluster.ids.filter((id) => id !== bridge);
    const [verdict, how] = prng.pick([
      [DROP, "DROP"],
      [REJECT, "REJECT"],
    ] as const);
    const rules = others.flatMap((one) =>
      others.filter((other) => other !== one).map((other) => deaf(cluster, one, other, verdict)),
    );
    return { targets: others, detail: `only broker ${bridge} reaches both, ${how}`, rules };
  }),
  filtered("packet-loss", (on) => {
    const { cluster, prng } = on;
    const percent = prng.pick(LOSS_PERCENT);
    const targets = prng.chance(1, 2) ? cluster.ids : [someVictim(on)];
    const lose = [
      ...["-m", "statistic", "--mode", "random"],
      ...["--probability", (percent / 100).toFixed(2), "-j", "DROP"],
    ];
    const rules = targets.flatMap((broker) => [
      { broker, words: ["INPUT", ...lose] },
      { broker, words: ["OUTPUT", ...lose] },
    ]);
    return { targets, detail: `${percent} of 100 packets, in and out`, rules };
  }),
];
