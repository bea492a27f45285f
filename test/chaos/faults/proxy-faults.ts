/** What a packet filter cannot do to a connection: delay it, hold it, cut it, leave it half open. */

import type { LinkState } from "../proxy/fault-proxy.ts";
import { allLinks, linksOf, ProxiedLinks } from "../proxy/proxied-links.ts";
import type { FaultStage } from "../stage.ts";
import { someVictim } from "../stage.ts";
import type { FaultKind } from "./fault-kind.ts";

const HOLD_MS = [3_000, 12_000] as const;
const DELAYS_MS = [20, 50, 100, 200] as const;
/** The change to the proxies breaks connections itself: the cluster gets over that before. */
const SETTLED_MS = 30_000;

function proxied(
  name: string,
  draw: (on: FaultStage) => { readonly state: LinkState; readonly detail: string },
): FaultKind {
  return {
    name,
    group: "proxy",
    obstacle: ({ noFirewall }) => noFirewall,
    inject: async (on) => {
      const { cluster, prng, stage } = on;
      const everywhere = name === "proxy-delay" && prng.chance(1, 2);
      const target = someVictim(on);
      const { detail, state } = draw(on);
      const holdMs = prng.between(...HOLD_MS);
      const links = everywhere ? allLinks(cluster) : linksOf(cluster, target);
      const proxies = await ProxiedLinks.between(cluster, links);
      try {
        const lacking = await stage.untilWhole(SETTLED_MS);
        if (lacking !== undefined) throw new Error(`behind open proxies: ${lacking}`);
        await proxies.set(state);
      } catch (thrown) {
        await proxies.remove();
        throw thrown;
      }
      return {
        targets: everywhere ? cluster.ids : [target],
        detail,
        holdMs,
        heal: async () => {
          await proxies.remove();
          return undefined;
        },
      };
    },
  };
}

export const PROXY_FAULTS: readonly FaultKind[] = [
  proxied("proxy-delay", ({ prng }) => {
    const delayMs = prng.pick(DELAYS_MS);
    return { state: { mode: "open", delayMs }, detail: `${delayMs} ms each way` };
  }),
  proxied("proxy-stall", () => ({
    state: { mode: "stall", delayMs: 0 },
    detail: "connections stand still",
  })),
  proxied("proxy-reset", () => ({
    state: { mode: "reset", delayMs: 0 },
    detail: "connections are reset, again and again",
  })),
  proxied("proxy-half-open", () => ({
    state: { mode: "half-open", delayMs: 0 },
    detail: "one end is gone, the other is not told",
  })),
];
