/** The composed cluster as the test handles it: containers, addresses, data directories, the shim. */
import { chmodSync, chownSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CommandError, run } from "./command.ts";
import {
  addressOf,
  brokerDirectory,
  composeOverlay,
  GRPC_PORT,
  gatewayOf,
  HTTP_PORT,
  NETWORK,
  serviceOf,
} from "./compose-overlay.ts";
import { ShimControl } from "./shim-control.ts";
import { SHIM_FILE, type Site } from "./site.ts";

export interface ClusterOptions {
  /** Name of the compose project, and so of everything that is made and removed. */
  readonly project: string;
  readonly image: string;
  /** `deploy/compose.yaml`, and what else comes before the test's own file. */
  readonly composeFiles: readonly string[];
  readonly brokers: number;
  readonly site: Site;
  /** This one's data lies on a file system of its own, which can be made full. */
  readonly small: number | undefined;
  /** Broker configuration by Kafka's names. */
  readonly properties: Readonly<Record<string, string>>;
}

export interface ContainerState {
  readonly running: boolean;
  readonly paused: boolean;
  readonly oomKilled: boolean;
  readonly exitCode: number;
  /** Of the host; 0 if it does not run. */
  readonly pid: number;
}

/** The user `node` of the image. */
const BROKER_UID = 1000;
const UP_MS = 180_000;
const STOP_SECONDS = 30;
export const SMALL_DISK_BYTES = 3 * 1024 ** 3;
/** A container without a limit gets one that it does not feel: none cannot be set back. */
const PLENTY_BYTES = 4 * 1024 ** 3;
const SUBNETS_TRIED = 20;

export class ChaosCluster {
  readonly directory: string;
  readonly ids: readonly number[];
  readonly site: Site;
  readonly small: number | undefined;
  readonly #options: ClusterOptions;
  readonly #shims = new Map<number, ShimControl>();
  readonly #mounts: string[] = [];
  readonly #memoryBytes = new Map<number, number>();
  #subnet = "";
  #up = false;
  #starting: Promise<void> = Promise.resolve();

  constructor(options: ClusterOptions, directory = join(tmpdir(), options.project)) {
    this.#options = options;
    this.directory = directory;
    this.site = options.site;
    this.small = options.small;
    this.ids = Array.from({ length: options.brokers }, (_, index) => index + 1);
  }

  /** Starts all containers; whether brokers are ready is asked of them. */
  up(): Promise<void> {
    this.#starting = this.#start();
    return this.#starting;
  }

  async #start(): Promise<void> {
    rmSync(this.directory, { recursive: true, force: true });
    mkdirSync(join(this.directory, "shim"), { recursive: true });
    if (this.site.noShim === undefined) {
      copyFileSync(join(tmpdir(), "ottla-chaos-shim", SHIM_FILE), this.#shimFile);
      chmodSync(this.#shimFile, 0o755);
    }
    for (const id of this.ids) await this.#prepare(id);
    // Two clusters on one machine must not take one subnet: the next one is tried.
    const first = [...this.#options.project].reduce((sum, each) => sum + each.charCodeAt(0), 0);
    for (let tries = 0; ; tries++) {
      this.#subnet = `10.213.${(first + tries * 7) % 256}`;
      this.#writeOverlay();
      this.#up = true;
      try {
        await this.#compose(["up", "-d", "--no-build", ...this.ids.map(serviceOf)], UP_MS);
        for (const id of this.ids) await this.#noteMemory(id);
        return;
      } catch (thrown) {
        const said = thrown instanceof CommandError ? thrown.stderr : "";
        if (!/overlap|already in use/i.test(said) || tries === SUBNETS_TRIED) throw thrown;
        await this.#compose(["down", "-v"], UP_MS).catch(() => undefined);
      }
    }
  }

  /** Removes everything of this project; never rejects, says what could not be removed. */
  async down(): Promise<readonly string[]> {
    const complaints: string[] = [];
    const attempt = async (what: string, work: () => Promise<unknown>): Promise<void> => {
      try {
        await work();
      } catch (thrown) {
        complaints.push(`${what}: ${String(thrown)}`);
      }
    };
    // What is being started while a signal comes would be left behind.
    await this.#starting.catch(() => undefined);
    if (this.#up) {
      // A paused container cannot be removed.
      await Promise.all(
        this.ids.map((id) => run(["docker", "unpause", this.container(id)]).catch(() => undefined)),
      );
      await attempt("down", () => this.#compose(["down", "-v", "-t", "5"], UP_MS));
    }
    for (const path of this.#mounts) await attempt("umount", () => run(["umount", "-l", path]));
    await attempt("files", async () => rmSync(this.directory, { recursive: true, force: true }));
    return complaints;
  }

  get network(): string {
    return `${this.#options.project}_${NETWORK}`;
  }

  get bootstrapServers(): readonly string[] {
    return this.ids.map((id) => `${this.address(id)}:${GRPC_PORT}`);
  }

  /** Of this machine, within the cluster's network. */
  get gateway(): string {
    return gatewayOf(this.#subnet);
  }

  container(id: number): string {
    return `${this.#options.project}_${serviceOf(id)}_1`;
  }

  service(id: number): string {
    return serviceOf(id);
  }

  address(id: number): string {
    return addressOf(this.#subnet, id);
  }

  dataOf(id: number): string {
    return join(brokerDirectory(this.directory, id), "data");
  }

  shim(id: number): ShimControl {
    const shim = this.#shims.get(id);
    if (shim === undefined) throw new Error(`there is no broker ${id}`);
    return shim;
  }

  async state(id: number): Promise<ContainerState> {
    const text = await run(["docker", "inspect", "-f", "{{json .State}}", this.container(id)]);
    const state = JSON.parse(text) as Record<string, unknown>;
    return {
      running: state["Running"] === true,
      paused: state["Paused"] === true,
      oomKilled: state["OOMKilled"] === true,
      exitCode: Number(state["ExitCode"]),
      pid: Number(state["Pid"]),
    };
  }

  /** kill -9; settles once all are gone. */
  async kill(ids: readonly number[]): Promise<void> {
    const names = ids.map((id) => this.container(id));
    await run(["docker", "kill", ...names]);
    await run(["docker", "wait", ...names]);
  }

  async stop(id: number): Promise<void> {
    await run(["docker", "stop", "-t", String(STOP_SECONDS), this.container(id)]);
  }

  async restart(id: number): Promise<void> {
    await run(["docker", "restart", "-t", String(STOP_SECONDS), this.container(id)]);
  }

  /** Those that run already go on. */
  async start(ids: readonly number[]): Promise<void> {
    await run(["docker", "start", ...ids.map((id) => this.container(id))]);
  }

  async pause(id: number): Promise<void> {
    await run(["docker", "pause", this.container(id)]);
  }

  async unpause(id: number): Promise<void> {
    await run(["docker", "unpause", this.container(id)]);
  }

  async disconnect(id: number): Promise<void> {
    await run(["docker", "network", "disconnect", this.network, this.container(id)]);
  }

  /** With the address and the name that it had. */
  async connect(id: number): Promise<void> {
    await run([
      ...["docker", "network", "connect", "--ip", this.address(id), "--alias", serviceOf(id)],
      ...[this.network, this.container(id)],
    ]);
  }

  /** `docker update` of one container's limits. */
  async update(id: number, limits: readonly string[]): Promise<void> {
    await run(["docker", "update", ...limits, this.container(id)]);
  }

  /** Sets the limit of memory; without one: what the container was made with. */
  async limitMemory(id: number, bytes?: number): Promise<void> {
    const limit = String(bytes ?? this.#memoryBytes.get(id) ?? PLENTY_BYTES);
    await this.update(id, ["--memory", limit, "--memory-swap", limit]);
  }

  /** Runs a program in the container. */
  exec(id: number, words: readonly string[], timeoutMs?: number): Promise<string> {
    return run(
      ["docker", "exec", this.container(id), ...words],
      timeoutMs === undefined ? {} : { timeoutMs },
    );
  }

  /** Runs a program of the host in the container's network. */
  async inNetworkOf(id: number, words: readonly string[]): Promise<void> {
    const { pid } = await this.state(id);
    if (pid === 0) throw new Error(`broker ${id} does not run`);
    await run(["nsenter", "-t", String(pid), "-n", ...words]);
  }

  /** What the container wrote since it was made. */
  async logs(id: number): Promise<string> {
    // Docker writes a container's standard error to its own.
    return await run(["sh", "-c", `docker logs ${this.container(id)} 2>&1`]);
  }

  async metrics(id: number): Promise<string> {
    const url = `http://${this.address(id)}:${HTTP_PORT}/metrics`;
    const response = await fetch(url, { signal: AbortSignal.timeout(5_000) });
    return await response.text();
  }

  /** Sets the size of the small broker's file system. */
  async resizeSmall(id: number, bytes: number): Promise<void> {
    await run(["mount", "-o", `remount,size=${bytes}`, this.dataOf(id)]);
  }

  get #shimFile(): string {
    return join(this.directory, "shim", SHIM_FILE);
  }

  async #prepare(id: number): Promise<void> {
    const data = this.dataOf(id);
    mkdirSync(data, { recursive: true });
    if (id === this.#options.small && this.site.noMount === undefined) {
      const options = `size=${SMALL_DISK_BYTES},uid=${BROKER_UID},gid=${BROKER_UID},mode=0755`;
      await run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", data]);
      this.#mounts.push(data);
    } else if (process.getuid?.() === 0) chownSync(data, BROKER_UID, BROKER_UID);
    else chmodSync(data, 0o777);
    this.#shims.set(id, new ShimControl(join(brokerDirectory(this.directory, id), "chaos")));
  }

  async #noteMemory(id: number): Promise<void> {
    const words = ["docker", "inspect", "-f", "{{.HostConfig.Memory}}", this.container(id)];
    const bytes = Number(await run(words));
    this.#memoryBytes.set(id, bytes === 0 ? PLENTY_BYTES : bytes);
  }

  #writeOverlay(): void {
    const { image, properties } = this.#options;
    const overlay = composeOverlay({
      image,
      brokers: this.ids,
      subnet: this.#subnet,
      directory: this.directory,
      shim: this.site.noShim === undefined,
      properties,
    });
    writeFileSync(this.#overlayFile, overlay);
  }

  get #overlayFile(): string {
    return join(this.directory, "chaos.json");
  }

  async #compose(words: readonly string[], timeoutMs: number): Promise<void> {
    const files = [...this.#options.composeFiles, this.#overlayFile].flatMap((file) => [
      "-f",
      file,
    ]);
    await run(["docker-compose", "-p", this.#options.project, ...files, ...words], {
      timeoutMs,
      // Published on any free port: clients of the test reach brokers within the network.
      env: Object.fromEntries(
        this.ids.flatMap((id) => [
          [`OTTLA_GRPC_PORT_${id}`, "0"],
          [`OTTLA_HTTP_PORT_${id}`, "0"],
        ]),
      ) as Record<string, string>,
    });
  }
}
