/** The proxies on a thread of their own, so that a busy test does not add to their delays. */
import { parentPort } from "node:worker_threads";
import { FaultProxy, type LinkState } from "./fault-proxy.ts";

export interface LinkAddress {
  readonly from: number;
  readonly to: number;
}

export type ProxyRequest =
  | {
      readonly type: "listen";
      readonly id: number;
      readonly host: string;
      readonly links: readonly (LinkAddress & {
        readonly target: { readonly host: string; readonly port: number };
      })[];
    }
  | { readonly type: "set"; readonly id: number; readonly state: LinkState }
  | { readonly type: "count"; readonly id: number };

export interface ProxyAnswer {
  readonly id: number;
  readonly error?: string;
  readonly ports?: readonly (LinkAddress & { readonly port: number })[];
  readonly connections?: number;
}

const port = parentPort;
const proxies: FaultProxy[] = [];

async function answer(request: ProxyRequest): Promise<ProxyAnswer> {
  const { id } = request;
  if (request.type === "set") {
    for (const proxy of proxies) proxy.set(request.state);
    return { id };
  }
  if (request.type === "count") {
    return { id, connections: proxies.reduce((sum, each) => sum + each.connections, 0) };
  }
  const ports = [];
  for (const { from, target, to } of request.links) {
    const proxy = await FaultProxy.listen({ host: request.host, target });
    proxies.push(proxy);
    ports.push({ from, to, port: proxy.port });
  }
  return { id, ports };
}

port?.on("message", (request: ProxyRequest) => {
  answer(request).then(
    (made) => port.postMessage(made),
    (thrown: unknown) => port.postMessage({ id: request.id, error: String(thrown) }),
  );
});
