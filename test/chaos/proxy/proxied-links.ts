/**
 * Puts proxies between brokers that run: packet filters in the containers' networks turn new
 * connections to them, and reset those that there are. Taken away again, brokers connect directly.
 */
import { Worker } from "node:worker_threads";
import type { ChaosCluster } from "../cluster.ts";
import { INTERNAL_PORT } from "../compose-overlay.ts";
import { until } from "../waiting.ts";
import type { LinkState } from "./fault-proxy.ts";
import type { LinkAddress, ProxyAnswer, ProxyRequest } from "./proxy-worker.ts";

const ANSWER_MS = 10_000;
const CONNECTED_MS = 15_000;

type WithoutId<Request> = Request extends ProxyRequest ? Omit<Request, "id"> : never;

export class ProxiedLinks {
  readonly #cluster: ChaosCluster;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, (answer: ProxyAnswer) => void>();
  readonly #rules: { readonly broker: number; readonly words: readonly string[] }[] = [];
  #lastId = 0;

  private constructor(cluster: ChaosCluster) {
    this.#cluster = cluster;
    this.#worker = new Worker(new URL("./proxy-worker.js", import.meta.url));
    this.#worker.on("message", (answer: ProxyAnswer) => {
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    // Whoever waits for an answer hears of it by the deadline.
    this.#worker.on("error", () => undefined);
  }

  /** Settles once brokers talk through the proxies. */
  static async between(
    cluster: ChaosCluster,
    links: readonly LinkAddress[],
  ): Promise<ProxiedLinks> {
    const proxied = new ProxiedLinks(cluster);
    try {
      await proxied.#begin(links);
      return proxied;
    } catch (thrown) {
      await proxied.remove();
      throw thrown;
    }
  }

  async set(state: LinkState): Promise<void> {
    await this.#ask({ type: "set", state });
  }

  async remove(): Promise<void> {
    for (const { broker, words } of this.#rules) {
      const [table, chain, ...rest] = words as readonly [string, string, ...string[]];
      await this.#cluster
        .inNetworkOf(broker, ["iptables", "-w", "-t", table, "-D", chain, ...rest])
        // The container was restarted, and its rules are gone.
        .catch(() => undefined);
    }
    await this.#worker.terminate();
  }

  async #begin(links: readonly LinkAddress[]): Promise<void> {
    const cluster = this.#cluster;
    const { ports = [] } = await this.#ask({
      type: "listen",
      host: cluster.gateway,
      links: links.map(({ from, to }) => ({
        from,
        to,
        target: { host: cluster.address(to), port: INTERNAL_PORT },
      })),
    });
    for (const { from, port, to } of ports) {
      const direct = ["-p", "tcp", "-d", cluster.address(to), "--dport", String(INTERNAL_PORT)];
      const there = `${cluster.gateway}:${port}`;
      await this.#add(from, ["nat", "OUTPUT", ...direct, "-j", "DNAT", "--to-destination", there]);
      // What is turned to a proxy has another destination by now: this meets older connections only.
      const reset = ["-j", "REJECT", "--reject-with", "tcp-reset"];
      await this.#add(from, ["filter", "OUTPUT", ...direct, ...reset]);
    }
    const connected = await until(
      async () => ((await this.#ask({ type: "count" })).connections ?? 0) > 0,
      { timeoutMs: CONNECTED_MS },
    );
    if (!connected) throw new Error("no broker connects through the proxies");
  }

  async #add(broker: number, words: readonly string[]): Promise<void> {
    const [table, chain, ...rest] = words as readonly [string, string, ...string[]];
    const command = ["iptables", "-w", "-t", table, "-I", chain, ...rest];
    await this.#cluster.inNetworkOf(broker, command);
    this.#rules.push({ broker, words });
  }

  #ask(request: WithoutId<ProxyRequest>): Promise<ProxyAnswer> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`the proxies do not answer within ${ANSWER_MS} ms`));
      }, ANSWER_MS);
      this.#waiting.set(id, (answer) => {
        clearTimeout(late);
        if (answer.error === undefined) resolve(answer);
        else reject(new Error(answer.error));
      });
      this.#worker.postMessage({ ...request, id });
    });
  }
}

/** Both ways between one broker and all others. */
export function linksOf(cluster: ChaosCluster, broker: number): readonly LinkAddress[] {
  return cluster.ids
    .filter((id) => id !== broker)
    .flatMap((other) => [
      { from: broker, to: other },
      { from: other, to: broker },
    ]);
}

export function allLinks(cluster: ChaosCluster): readonly LinkAddress[] {
  return cluster.ids.flatMap((from) =>
    cluster.ids.filter((to) => to !== from).map((to) => ({ from, to })),
  );
}
