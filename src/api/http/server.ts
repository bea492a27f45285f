/** The HTTP door: metrics for Prometheus, and health for whoever restarts or routes. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { BrokerApi } from "../../broker/broker-api.ts";
import type { Listener } from "../../model/broker-config.ts";
import { OttlaError } from "../../model/errors.ts";
import type { Ports } from "../../ports/ports.ts";

const HEADERS_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_TIMEOUT_MS = 30_000;
const HEADER_BYTES = 8 * 1024;
const CONNECTIONS_COUNT = 256;
/** How long answers under way may take once the door closes. */
const CLOSE_GRACE_MS = 1_000;
const TEXT = "text/plain; charset=utf-8";

/** Metrics in a text format of its own. */
interface MetricsSource {
  readonly contentType: string;
  scrape(): Promise<string>;
}

export interface HttpServerOptions {
  readonly broker: BrokerApi;
  readonly ports: Ports & { readonly meter: MetricsSource };
  readonly listener: Pick<Listener, "host" | "port">;
}

export interface HttpServer {
  /** The one chosen if the listener asked for 0. */
  readonly port: number;
  close(): Promise<void>;
}

/** Rejects with PORT_IN_USE, or INVALID_CONFIG if the address is none of this machine's. */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { listener, ports } = options;
  const server = createServer(
    {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      maxHeaderSize: HEADER_BYTES,
    },
    (request, response) => {
      answer(request, response, options).catch((error: unknown) => {
        ports.logger.error("an HTTP request failed", { url: request.url, error });
        if (response.headersSent) response.destroy();
        else send(response, 500, "the broker failed; its log has the cause\n");
      });
    },
  );
  server.maxConnections = CONNECTIONS_COUNT;
  await listen(server, listener);
  server.on("error", (error) => ports.logger.warn("the HTTP listener failed", { error }));
  return { port: (server.address() as AddressInfo).port, close: () => close(server) };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { broker, ports }: HttpServerOptions,
): Promise<void> {
  // A body is nothing that this door wants.
  request.resume();
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("allow", "GET, HEAD");
    send(response, 405, "GET or HEAD\n");
    return;
  }
  const [path] = (request.url ?? "").split("?");
  switch (path) {
    case "/metrics":
      send(response, 200, await ports.meter.scrape(), ports.meter.contentType);
      return;
    case "/health/live":
      sendHealth(response, broker.health().live, broker);
      return;
    case "/health/ready":
      sendHealth(response, broker.health().ready, broker);
      return;
    default:
      send(response, 404, "not found; there are /metrics, /health/live and /health/ready\n");
  }
}

function sendHealth(response: ServerResponse, good: boolean, broker: BrokerApi): void {
  send(response, good ? 200 : 503, `${good ? "ok" : broker.health().reason}\n`);
}

function send(response: ServerResponse, code: number, body: string, type = TEXT): void {
  response.writeHead(code, { "content-type": type, "cache-control": "no-store" });
  response.end(body);
}

function listen(
  server: Server,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const inUse = error.code === "EADDRINUSE";
      const where = `${host === "" ? "*" : host}:${port}`;
      reject(
        new OttlaError(
          inUse ? "PORT_IN_USE" : "INVALID_CONFIG",
          inUse
            ? `listeners: ${where} is in use by another process`
            : `listeners: cannot listen on ${where}: ${error.message}`,
          { cause: error, field: "listeners" },
        ),
      );
    });
    server.listen({ port, ...(host === "" ? {} : { host }) }, () => {
      server.removeAllListeners("error");
      resolve();
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
  });
}
