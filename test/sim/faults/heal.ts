/**
 * How a faulty phase ends: everything heals, or first only a core that is just enough to go on (L8):
 * a majority of the voters and, for each partition, somebody of its ISR or ELR. The rest stays dead
 * or cut off, and the core must do without it.
 */
import { Prng } from "../../../src/base/prng.ts";
import type { SimBroker } from "../cluster/cluster.ts";
import { partitionsOf } from "../cluster/run-context.ts";
import type { RestOfCluster } from "./plan.ts";
import { linksBetween, type Stage } from "./stage.ts";

/**
 * Members drawn among those that can be it, in order of their ids; undefined if there is no core
 * short of everybody. By the newest metadata that any broker has applied: what was decided since
 * may need somebody else, so whoever demands something of a core looks at the metadata again.
 */
export function chooseCore(stage: Stage, draw: number): readonly SimBroker[] | undefined {
  const { cluster, atlas } = stage;
  const order = new Prng(draw).shuffle(cluster.brokers);
  const { votersCount } = cluster.shape;
  const majority = Math.floor(votersCount / 2) + 1;
  const voters = order.filter((broker) => broker.id <= votersCount && atlas.isWhole(broker));
  if (voters.length < majority) return undefined;
  const core = new Set(voters.slice(0, majority));
  for (const [, { isr, elr }] of partitionsOf(cluster.newestImage())) {
    const holders = order.filter(
      (broker) => [...isr, ...elr].includes(broker.id) && atlas.isWhole(broker),
    );
    if (holders.some((broker) => core.has(broker))) continue;
    const [holder] = holders;
    if (holder === undefined) return undefined;
    core.add(holder);
  }
  if (core.size === cluster.brokers.length) return undefined;
  return [...core].sort((left, right) => left.id - right.id);
}

const FLAP_CUT_MS = 900;
const FLAP_OPEN_MS = 700;

/** Heals the core, and leaves the rest as it says until the returned function is called. */
export function healCore(
  stage: Stage,
  core: readonly SimBroker[],
  rest: RestOfCluster,
): () => void {
  const { cluster } = stage;
  const others = cluster.brokers.filter((broker) => !core.includes(broker));
  const names = (brokers: readonly SimBroker[]): string[] => brokers.map(({ node }) => node.name);
  stage.end();
  stage.note(
    `a core heals: ${names(core).join(",")}; ${names(others).join(",")} ${rest === "flapping" ? "flaps" : `stays ${rest}`}`,
  );
  stage.cluster.network.healAll();
  for (const broker of core) bringUp(stage, broker);
  if (rest === "dead") {
    for (const broker of others) cluster.kill(broker, "crash");
    return () => {};
  }
  // Cut off, but well: what they do to the core comes from being cut off alone.
  for (const broker of others) bringUp(stage, broker);
  const links = [
    ...(rest === "mute"
      ? []
      : linksBetween({ left: names(core), right: names(others), oneWay: true })),
    ...(rest === "deaf"
      ? []
      : linksBetween({ left: names(others), right: names(core), oneWay: true })),
  ];
  let open = cluster.network.cut(links, "hold");
  let over = false;
  const flap = (cut: boolean): void => {
    cluster.world.schedule(cut ? FLAP_CUT_MS : FLAP_OPEN_MS, "flap", () => {
      if (over) return;
      if (cut) open();
      else open = cluster.network.cut(links, "hold");
      flap(!cut);
    });
  };
  if (rest === "flapping") flap(true);
  return () => {
    over = true;
    open();
  };
}

/** Everything works from now on, and everybody is up or on the way there. */
export function healWhole(stage: Stage): void {
  stage.end();
  stage.note("everything heals");
  stage.cluster.network.healAll();
  for (const broker of stage.cluster.brokers) bringUp(stage, broker);
}

function bringUp(stage: Stage, broker: SimBroker): void {
  stage.mend(broker);
  stage.cluster.start(broker);
}
