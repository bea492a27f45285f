/** The command as a user types it, against a cluster that `ottla dev` runs. */
import type { ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePorts, isPortFree } from "../../src/main/local-cluster.ts";
import { type CommandResult, jsonLines, ottla, spawnCommand } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";

interface Event {
  readonly event: string;
  readonly broker?: number;
  readonly pid?: number;
  readonly topic?: string;
  readonly bootstrapServers?: readonly string[];
}

let directory: string;
let dev: ChildProcess;
const events: Event[] = [];
let environment: Readonly<Record<string, string>>;

/** A place where all nine ports of three brokers are free. */
async function freeOffset(): Promise<number> {
  for (;;) {
    const [port] = await freePorts(1);
    const offset = (port as number) - 9192;
    const wanted = [9192, 9292, 9392].flatMap((first) => [0, 1, 2].map((n) => first + n + offset));
    const free = await Promise.all(wanted.map(isPortFree));
    if (free.every(Boolean)) return offset;
  }
}

async function start(...words: readonly string[]): Promise<void> {
  const offset = await freeOffset();
  const all = ["dev", "--output", "json", "--data", directory, "--port-offset", String(offset)];
  dev = spawnCommand([...all, ...words]);
  events.length = 0;
  createInterface({ input: dev.stdout as NodeJS.ReadableStream }).on("line", (line) =>
    events.push(JSON.parse(line) as Event),
  );
  await eventually("the cluster is ready", () => events.some(({ event }) => event === "ready"));
  const ready = events.find(({ event }) => event === "ready");
  environment = { OTTLA_BOOTSTRAP_SERVERS: ready?.bootstrapServers?.join(",") ?? "" };
}

async function stop(): Promise<number | null> {
  const ended = new Promise<number | null>((resolve) => dev.once("close", resolve));
  dev.kill("SIGINT");
  return await ended;
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "ottla-cli-"));
  await start();
  // For the failover below: the supervisor has looked at it many times by then.
  await run("topic create moving --partitions 6".split(" "));
});

afterAll(async () => {
  if (dev.exitCode === null) await stop();
  await rm(directory, { recursive: true, force: true });
});

async function run(words: readonly string[], input?: string): Promise<CommandResult> {
  const result = await ottla(words, { environment, ...(input === undefined ? {} : { input }) });
  expect(result.code, result.stderr).toBe(0);
  return result;
}

describe("topics", () => {
  it("are created, listed, described, altered, widened and deleted", async () => {
    const created = await run(
      "topic create orders --partitions 2 --config retention.ms=60000 --output json".split(" "),
    );
    expect(jsonLines(created.stdout)).toMatchObject([
      { name: "orders", partitions: 2, replicationFactor: 3 },
    ]);
    await run(["topic", "create", "orders", "--if-not-exists"]);
    const listed = await run(["topic", "list", "--output", "json"]);
    expect(jsonLines(listed.stdout)).toMatchObject([
      { name: "moving", partitionCount: 6 },
      { name: "orders", partitionCount: 2 },
    ]);

    await run("topic alter orders --config retention.ms=90000".split(" "));
    await run("topic add-partitions orders --partitions 3".split(" "));
    await eventually("every partition is led", async () => {
      const described = await run("topic describe orders --output json".split(" "));
      const [topic] = jsonLines(described.stdout);
      const partitions = topic?.["partitions"] as readonly { readonly leader: number }[];
      return partitions.length === 3 && partitions.every(({ leader }) => leader > 0);
    });
    const table = await run("topic describe orders".split(" "));
    expect(table.stdout).toMatch(
      /Topic: orders {2}TopicId: \S{22} {2}PartitionCount: 3 {2}ReplicationFactor: 3 {2}Configs: retention.ms=90000\n/,
    );
    expect(table.stdout).toMatch(/Topic +Partition +Leader +Replicas +Isr +Elr +LastKnownElr\n/);
    const configs = await run("topic describe orders --configs".split(" "));
    expect(configs.stdout).toMatch(/flush\.messages +1 +DEFAULT_CONFIG/);
    expect(configs.stdout).toMatch(/no effect yet/);

    await run("topic alter orders --delete-config retention.ms".split(" "));
    const plain = await run("topic describe orders --output json".split(" "));
    expect(jsonLines(plain.stdout)).toMatchObject([{ configs: {} }]);
    const elected = await run("partition elect-leader --all --output json".split(" "));
    expect(elected.stderr).toBe("");
    await run(["topic", "delete", "orders"]);
    await run(["topic", "delete", "orders", "--if-exists"]);
    const left = await run(["topic", "list", "--output", "json"]);
    expect(jsonLines(left.stdout)).toMatchObject([{ name: "moving" }]);
  });
});

describe("records", () => {
  it("go in by line and come out by format, from any position", async () => {
    await run("topic create log --partitions 1".split(" "));
    const input = "a:1\nb:2\na:NONE\nc:grün\n";
    const produced = await run(
      "produce log --key-separator : --null-value NONE --compression zstd".split(" "),
      input,
    );
    expect(jsonLines(produced.stdout)).toMatchObject([{ acknowledged: 4, failed: 0 }]);
    const read = async (...words: readonly string[]): Promise<string> =>
      (await run(["consume", "log", "--exit-at-end", ...words])).stdout;
    const format = ["--format", "%t/%p/%o %k=%v\\n"];
    expect(await read("--from", "beginning", ...format)).toBe(
      "log/0/0 a=1\nlog/0/1 b=2\nlog/0/2 a=null\nlog/0/3 c=grün\n",
    );
    expect(await read("--from", "3", ...format)).toBe("log/0/3 c=grün\n");
    expect(await read("--from", "beginning", "--max-messages", "2", ...format)).toBe(
      "log/0/0 a=1\nlog/0/1 b=2\n",
    );
    expect(await read()).toBe("");
    expect(await read("--from", "@0", "--max-messages", "1")).toBe("1\n");
    const objects = jsonLines(await read("--from", "1", "--output", "json"));
    expect(objects).toMatchObject([
      { topic: "log", partition: 0, offset: 1, key: "b", value: "2" },
      { offset: 2, key: "a", value: null },
      { offset: 3, key: "c", value: "grün" },
    ]);
    const later = new Date(Number(objects[2]?.["timestamp"]) + 1).toISOString();
    expect(await read("--from", later)).toBe("");

    const deleted = await run("topic delete-records log --before 0:2 --output json".split(" "));
    expect(jsonLines(deleted.stdout)).toMatchObject([{ partition: 0, lowWatermark: 2 }]);
    expect(await read("--from", "beginning", "--format", "%o ")).toBe("2 3 ");
  });

  it("are written at the rate that was asked for, and topics come by themselves", async () => {
    const began = performance.now();
    const input = Array.from({ length: 31 }, (_, number) => `${number}\n`).join("");
    await run(["produce", "paced", "--rate", "100", "--partition", "0"], input);
    expect(performance.now() - began).toBeGreaterThan(300);
    const read = await run("consume paced --from beginning --exit-at-end".split(" "));
    expect(read.stdout).toBe(input);
  });

  it("are waited for, until the reader has enough, goes away or is interrupted", async () => {
    await run("topic create live --partitions 1".split(" "));
    const words = "consume live --from beginning --format %v\\n".split(" ");
    const reader = spawnCommand(words, { environment });
    let out = "";
    reader.stdout?.on("data", (chunk: Buffer) => {
      out += chunk.toString();
    });
    const ended = new Promise((resolve) => reader.once("close", resolve));
    await run(["produce", "live"], "one\n");
    await eventually("the record is printed", () => out === "one\n");
    await run(["produce", "live"], "two\n");
    await eventually("the next record is printed", () => out === "one\ntwo\n");
    reader.kill("SIGINT");
    expect(await ended).toBe(0);

    const gone = spawnCommand(words, { environment });
    const goneEnded = new Promise((resolve) => gone.once("close", resolve));
    gone.stdout?.once("data", () => gone.stdout?.destroy());
    let sending = true;
    const feed = (async () => {
      while (sending) await run(["produce", "live"], "more\n");
    })();
    expect(await goneEnded).toBe(0);
    sending = false;
    await feed;
  });
});

describe("the cluster", () => {
  it("is described", async () => {
    const described = await run("cluster describe --output json".split(" "));
    const [cluster] = jsonLines(described.stdout);
    expect(cluster).toMatchObject({
      brokers: expect.arrayContaining([expect.objectContaining({ id: 1, fenced: false })]),
      quorum: { voters: expect.arrayContaining([expect.objectContaining({ id: 1, lag: 0 })]) },
    });
    const table = await run("cluster describe".split(" "));
    expect(table.stdout).toMatch(/NodeId +DirectoryId +LogEndOffset +Lag +LastContactMs +Status/);
    expect(table.stdout).toMatch(/Leader\n/);
  });

  it("tells of a broker that died, of the leaders that moved, and starts it again", async () => {
    const watch = spawnCommand("cluster describe --watch --output json".split(" "), {
      environment,
    });
    const chunks: Buffer[] = [];
    watch.stdout?.on("data", (chunk: Buffer) => chunks.push(chunk));
    const watched = () => jsonLines(Buffer.concat(chunks).toString());
    const news = () => watched().flatMap(({ events: told }) => (told ?? []) as string[]);
    await eventually("the watch has begun", () => watched().length > 0);
    const seen = events.length;
    const victim = events.find(({ event, broker }) => event === "broker-started" && broker === 2);
    process.kill(victim?.pid as number, "SIGKILL");
    await eventually("it is told and mended", () => {
      const told = events.slice(seen);
      return (
        told.some(({ event, broker }) => event === "broker-exited" && broker === 2) &&
        told.some(({ event, topic }) => event === "leader-changed" && topic === "moving") &&
        told.some(({ event, broker }) => event === "broker-ready" && broker === 2)
      );
    });
    expect(events.find(({ event }) => event === "broker-exited")).toMatchObject({
      pid: victim?.pid,
      code: null,
      signal: "SIGKILL",
      restartInMs: 3_000,
    });
    await run(["produce", "moving"], "still written\n");
    await eventually("the watch has told it too", () =>
      ["broker 2 is fenced", "broker 2 is alive"].every((one) => news().includes(one)),
    );
    expect(news().join("\n")).toMatch(/^moving-\d is led by broker [13] \(before: broker 2;/m);
    const ended = new Promise<number | null>((resolve) => watch.once("close", resolve));
    watch.kill("SIGINT");
    expect(await ended).toBe(0);
  });

  it("stops at Ctrl-C, keeps its data, and its directories can be verified", async () => {
    await run("topic create kept --partitions 1".split(" "));
    await run(["produce", "kept"], "kept\n");
    expect(await stop()).toBe(0);
    expect(events.at(-1)).toEqual({ event: "stopped" });

    const data = (id: number): string => join(directory, `broker-${id}`, "data");
    const verified = await run(["log", "verify", data(1), "--output", "json"]);
    const kept = jsonLines(verified.stdout).find(({ topic }) => topic === "kept");
    expect(kept).toMatchObject({ partition: 0, recordsCount: 1, logEndOffset: 1, defects: [] });
    const compared = await run(["log", "verify", data(1), "--compare", data(2)]);
    expect(compared.stdout).toMatch(/kept +0 +1 +0 +1 +equal/);
    const nothing = await ottla(["log", "verify", directory]);
    expect(nothing.code).toBe(2);

    await start("--no-restart");
    const read = await run("consume kept --from beginning --exit-at-end".split(" "));
    expect(read.stdout).toBe("kept\n");
  });
});
