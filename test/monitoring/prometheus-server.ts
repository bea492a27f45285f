/** A Prometheus of this test's own, with the project's configuration for other targets. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { eventually } from "../support/eventually.ts";
import { PROMETHEUS_DIRECTORY } from "../support/monitoring-files.ts";
import { PrometheusApi } from "./prometheus-api.ts";

export interface PrometheusServerOptions {
  readonly binary: string;
  readonly directory: string;
  /** `host:port` of each broker's HTTP listener. */
  readonly targets: readonly string[];
}

interface Configuration {
  readonly global: Record<string, string>;
  readonly scrape_configs: readonly { readonly static_configs: { targets: string[] }[] }[];
}

interface Rules {
  readonly groups: readonly { readonly rules: { for?: string }[] }[];
}

const INTERVAL = "1s";
/** An alert's patience, cut to what a test can wait: still several evaluations. */
const PATIENCE = "5s";
const START_MS = 60_000;
const STOP_MS = 10_000;

export class PrometheusServer {
  readonly api: PrometheusApi;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #onProcessExit = (): void => {
    this.#child.kill("SIGKILL");
  };

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.api = new PrometheusApi(url);
    this.#exited = new Promise((resolve) => {
      child.once("exit", () => resolve());
      child.once("error", () => resolve());
    });
    process.once("exit", this.#onProcessExit);
  }

  /** Settles once it answers. */
  static async start(options: PrometheusServerOptions): Promise<PrometheusServer> {
    const { binary, directory, targets } = options;
    writeConfiguration(directory, targets);
    const address = `127.0.0.1:${await freePort()}`;
    const log = openSync(join(directory, "prometheus.log"), "a");
    const child = spawn(
      binary,
      [
        `--config.file=${join(directory, "prometheus.yml")}`,
        `--storage.tsdb.path=${join(directory, "data")}`,
        `--web.listen-address=${address}`,
        "--log.level=warn",
      ],
      { stdio: ["ignore", log, log] },
    );
    closeSync(log);
    const server = new PrometheusServer(child, `http://${address}`);
    try {
      await eventually("Prometheus answers", () => server.api.isReady(), START_MS);
    } catch (thrown) {
      await server.stop();
      throw thrown;
    }
    return server;
  }

  async stop(): Promise<void> {
    process.removeListener("exit", this.#onProcessExit);
    this.#child.kill("SIGTERM");
    const cut = setTimeout(() => this.#child.kill("SIGKILL"), STOP_MS);
    await this.#exited;
    clearTimeout(cut);
  }
}

function writeConfiguration(directory: string, targets: readonly string[]): void {
  const text = readFileSync(join(PROMETHEUS_DIRECTORY, "prometheus.yml"), "utf8");
  const configuration = parse(text) as Configuration;
  configuration.global["scrape_interval"] = INTERVAL;
  configuration.global["scrape_timeout"] = INTERVAL;
  configuration.global["evaluation_interval"] = INTERVAL;
  for (const { static_configs } of configuration.scrape_configs) {
    for (const one of static_configs) one.targets = [...targets];
  }
  writeFileSync(join(directory, "prometheus.yml"), stringify(configuration));
  mkdirSync(join(directory, "rules"), { recursive: true });
  for (const name of readdirSync(join(PROMETHEUS_DIRECTORY, "rules"))) {
    const file = readFileSync(join(PROMETHEUS_DIRECTORY, "rules", name), "utf8");
    const rules = parse(file) as Rules;
    for (const { rules: own } of rules.groups) {
      for (const rule of own) if (rule.for !== undefined) rule.for = PATIENCE;
    }
    writeFileSync(join(directory, "rules", name), stringify(rules));
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = address === null || typeof address === "string" ? 0 : address.port;
      server.close(() => resolve(port));
    });
  });
}
