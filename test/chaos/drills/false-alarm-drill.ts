/** Nobody is taken for dead who is only slow: half the processor, and 200 ms more on every link. */
import { allLinks, ProxiedLinks } from "../proxy/proxied-links.ts";
import { sleep, until } from "../waiting.ts";
import { DRILL_LOAD, type Drill, type DrillContext, type Figure, onStage } from "./drill.ts";

const DELAY_MS = 200;
const MINUTES = 10;
const SETTLED_MS = 60_000;
const LOOK_MS = 1_000;

async function falseAlarms(context: DrillContext): Promise<Figure> {
  const obstacle = context.site.noFirewall;
  if (obstacle !== undefined) throw new Error(`it cannot be made here: ${obstacle}`);
  const minutes = context.trials ?? MINUTES;
  return await onStage(context, { ...DRILL_LOAD, recordsPerSecond: 200 }, async (on) => {
    const { cluster, load, stage } = on;
    const proxies = await ProxiedLinks.between(cluster, allLinks(cluster));
    try {
      for (const id of cluster.ids) {
        await cluster.update(id, ["--cpu-period", "100000", "--cpu-quota", "50000"]);
      }
      const settled = await until(async () => (await stage.lacking()) === "", {
        timeoutMs: SETTLED_MS,
      });
      if (!settled) throw new Error(`behind open proxies: ${await stage.lacking()}`);
      await proxies.set({ mode: "open", delayMs: DELAY_MS });
      let before = await stage.epochs();
      let alarms = 0;
      const due = performance.now() + minutes * 60_000;
      while (performance.now() < due && !context.ending()) {
        await sleep(LOOK_MS);
        const now = await stage.epochs().catch(() => before);
        const moved = now.filter(({ epoch, what }) =>
          before.some((each) => each.what === what && each.epoch < epoch),
        );
        alarms += moved.length;
        for (const { what } of moved) context.say(`another one leads ${what}`);
        before = now;
      }
      return {
        text: `${alarms} changes of a leader in ${minutes} minutes, ${load.acknowledged} acknowledged, ${load.failed} failed`,
        met: alarms === 0,
        values: [alarms],
      };
    } finally {
      await proxies.remove();
    }
  });
}

export const FALSE_ALARM_DRILL: Drill = {
  name: "false-alarms",
  goal: `no change of a leader in ${MINUTES} minutes with half a processor each and ${DELAY_MS} ms each way`,
  run: falseAlarms,
};
