/** `ottla group ...` as a user types it, against groups with and without members. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Admin, Producer } from "../../src/client/index.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { type CommandResult, jsonLines, ottla, spawnCommand } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { LoneMember } from "../support/group-member.ts";

const RECORDS_COUNT = 20;
/** Of the first record of each partition, an hour ago; they are a second apart. */
const FIRST_MS = Date.now() - 3_600_000;

let cluster: Cluster;
let admin: Admin;
let member: LoneMember;
let directory: string;
let environment: Readonly<Record<string, string>>;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "ottla-groups-"));
  cluster = await startCluster({ brokers: 3 });
  const { bootstrapServers } = cluster;
  environment = { OTTLA_BOOTSTRAP_SERVERS: bootstrapServers.join(",") };
  admin = new Admin({ bootstrapServers });
  await admin.createTopics([
    { name: "orders", partitions: 2, replicationFactor: 3, configs: { "retention.ms": -1 } },
    { name: "returns", partitions: 1, replicationFactor: 3, configs: { "retention.ms": -1 } },
  ]);
  await using producer = new Producer({ bootstrapServers });
  for (const [topic, partition] of [
    ["orders", 0],
    ["orders", 1],
    ["returns", 0],
  ] as const) {
    for (let index = 0; index < RECORDS_COUNT; index++) {
      const timestamp = FIRST_MS + 1_000 * index;
      await producer.send({ topic, partition, value: `${index}`, timestamp });
    }
  }
  await admin.deleteRecords([{ topic: "returns", partition: 0, beforeOffset: 5 }]);
  member = await LoneMember.join(cluster, {
    groupId: "live",
    clientId: "worker",
    topics: ["orders"],
    partitions: [{ topic: "orders", partitions: [0, 1] }],
  });
  expect(await member.commit("orders", 0, RECORDS_COUNT)).toBe("");
  expect(await member.commit("orders", 1, 15)).toBe("");
});

afterAll(async () => {
  member.close();
  await admin.close();
  await cluster.stop();
  await rm(directory, { recursive: true, force: true });
});

function group(...words: readonly string[]): Promise<CommandResult> {
  return ottla(["group", ...words], { environment });
}

async function done(...words: readonly string[]): Promise<CommandResult> {
  const result = await group(...words);
  expect([result.code, result.stderr]).toEqual([0, expect.any(String)]);
  return result;
}

const rowsOf = (text: string) =>
  text
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s{2,}/));

async function committed(groupId: string): Promise<Readonly<Record<string, number>>> {
  const offsets = await admin.listGroupOffsets(groupId);
  return Object.fromEntries(
    offsets.map(({ offset, partition, topic }) => [`${topic}-${partition}`, offset]),
  );
}

describe("a group with a member", () => {
  it("is listed", async () => {
    expect(rowsOf((await done("list")).stdout)).toEqual([
      ["GROUP", "PROTOCOL-TYPE", "STATE", "#MEMBERS"],
      ["live", "consumer", "Stable", "1"],
    ]);
    expect((await done("list", "--state", "Empty", "--output", "json")).stdout).toBe("");
  });

  it("is described with Kafka's columns", async () => {
    const [head, first, second] = rowsOf((await done("describe", "live")).stdout);
    expect(head?.join(" ")).toBe(
      "GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID HOST CLIENT-ID",
    );
    expect(first?.slice(0, 7)).toEqual(["live", "orders", "0", "20", "20", "0", member.memberId]);
    expect(second?.slice(0, 6)).toEqual(["live", "orders", "1", "15", "20", "5"]);
    expect(second?.at(-1)).toBe("worker");
    const members = rowsOf((await done("describe", "live", "--members")).stdout);
    expect(members[1]?.slice(-2)).toEqual(["2", "orders(0,1)"]);
    const [state] = jsonLines((await done("describe", "--state", "--output", "json")).stdout);
    expect(state).toMatchObject({ groupId: "live", assignmentStrategy: "range", state: "Stable" });
  });

  it("is not deleted, and not moved", async () => {
    const before = await committed("live");
    const deletion = await group("delete", "live");
    expect([deletion.code, deletion.stderr]).toEqual([3, expect.stringContaining("NON_EMPTY")]);
    for (const mode of ["--dry-run", "--execute"]) {
      const reset = await group("reset-offsets", "live", "--all-topics", "--to-earliest", mode);
      expect(reset.code).toBe(3);
      expect(reset.stderr).toContain("live is Stable and has members (1)");
    }
    const offsets = await group("delete-offsets", "live", "--topic", "orders");
    expect([offsets.code, offsets.stderr]).toEqual([3, expect.stringContaining("SUBSCRIBED")]);
    expect(await committed("live")).toEqual(before);
  });

  it("is explained", async () => {
    await eventually("its last commit is some time ago", async () => {
      const { stdout } = await done("explain", "live");
      return stdout.includes("has orders-1, where 5 records wait, and has committed nothing");
    });
    const [explained] = jsonLines((await done("explain", "live", "--output", "json")).stdout);
    expect(explained).toMatchObject({ state: "Stable", findings: [{ kind: "not-committing" }] });
  });

  it("is watched until Ctrl-C", async () => {
    const child = spawnCommand(["group", "describe", "live", "--watch", "--output", "json"], {
      environment,
    });
    const chunks: Buffer[] = [];
    child.stdout?.on("data", (chunk: Buffer) => chunks.push(chunk));
    const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
    const lines = () => jsonLines(Buffer.concat(chunks).toString());
    await eventually("it has shown both partitions twice", () => lines().length >= 4);
    child.kill("SIGINT");
    expect(await ended).toBe(0);
    expect(lines()[1]).toMatchObject({ topic: "orders", partition: 1, lag: 5 });
  });
});

it("a rebalance is explained by whom it waits for", async () => {
  const options = { groupId: "torn-apart", topics: ["orders"] };
  const partitions = [{ topic: "orders", partitions: [0, 1] }];
  const first = await LoneMember.join(cluster, { ...options, clientId: "silent", partitions });
  // It waits for the first, which does not join again.
  const second = LoneMember.join(cluster, { ...options, clientId: "new", partitions });
  const ended = second.then(
    (joined) => joined.close(),
    () => undefined,
  );
  await eventually("the rebalance has begun", async () => {
    const [described] = await admin.describeGroups(["torn-apart"]);
    return described?.state === "PreparingRebalance";
  });
  const { stdout } = await done("explain", "torn-apart");
  expect(stdout).toMatch(
    /^Group torn-apart rebalances since 2.* ago\): 1 of 2 members have joined/,
  );
  expect(stdout).toContain(`Member ${first.memberId} (client silent`);
  expect(stdout).toContain("has not joined again");
  const shown = await done("describe", "torn-apart");
  expect(shown.stderr).toContain("Consumer group torn-apart is rebalancing.");
  // Without the first the second is all there is.
  await first.leave();
  await ended;
  first.close();
});

describe("resets", () => {
  const reset = async (...words: readonly string[]) => {
    const all = ["reset-offsets", "batch", ...words, "--output", "json"];
    const { code, stderr, stdout } = await group(...all);
    expect([code, stderr]).toEqual([0, ""]);
    return jsonLines(stdout).map(({ newOffset, partition, topic }) => [
      topic,
      partition,
      newOffset,
    ]);
  };

  it("show where to, and change nothing without --execute", async () => {
    const result = await done("reset-offsets", "batch", "--topic", "orders", "--to-earliest");
    expect(rowsOf(result.stdout)).toEqual([
      ["GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "NEW-OFFSET", "NOTE"],
      ["batch", "orders", "0", "-", "0"],
      ["batch", "orders", "1", "-", "0"],
    ]);
    expect(result.stderr).toContain("--execute");
    expect(await committed("batch")).toEqual({});
  });

  it("go every way that Kafka's do", async () => {
    const topics = ["--topic", "orders:0", "--topic", "returns"];
    expect(await reset(...topics, "--to-offset", "8", "--execute")).toEqual([
      ["orders", 0, 8],
      ["returns", 0, 8],
    ]);
    expect(await committed("batch")).toEqual({ "orders-0": 8, "returns-0": 8 });
    const all = (...words: readonly string[]) => reset("--all-topics", ...words);
    expect(await all("--to-earliest")).toEqual([
      ["orders", 0, 0],
      ["returns", 0, 5],
    ]);
    expect(await all("--to-latest")).toEqual([
      ["orders", 0, 20],
      ["returns", 0, 20],
    ]);
    expect(await all("--to-current")).toEqual([
      ["orders", 0, 8],
      ["returns", 0, 8],
    ]);
    expect(await all("--shift-by", "-4")).toEqual([
      ["orders", 0, 4],
      ["returns", 0, 5],
    ]);
    const tenth = new Date(FIRST_MS + 10_000).toISOString().slice(0, -1);
    expect(await all("--to-datetime", tenth)).toEqual([
      ["orders", 0, 10],
      ["returns", 0, 10],
    ]);
    expect(await all("--by-duration", "P1D")).toEqual([
      ["orders", 0, 0],
      ["returns", 0, 5],
    ]);
    expect(await committed("batch")).toEqual({ "orders-0": 8, "returns-0": 8 });
  });

  it("come from a file that an export wrote", async () => {
    const file = join(directory, "offsets.csv");
    const words = ["reset-offsets", "batch", "--all-topics", "--to-current", "--export"];
    const { stdout } = await done(...words);
    expect(stdout).toBe("orders,0,8\nreturns,0,8\n");
    await writeFile(file, stdout.replace("returns,0,8", "returns,0,9"));
    await reset("--from-file", file, "--execute");
    expect(await committed("batch")).toEqual({ "orders-0": 8, "returns-0": 9 });
    await writeFile(file, "orders,0,1\nreturns;0;1\n");
    const refused = await group("reset-offsets", "batch", "--from-file", file, "--execute");
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining(", line 2: ")]);
    expect(await committed("batch")).toEqual({ "orders-0": 8, "returns-0": 9 });
  });

  it.each([
    [2, "say what to move", ["--to-earliest"]],
    [2, "say once where to", ["--topic", "orders"]],
    [2, "say once where to", ["--topic", "orders", "--to-earliest", "--shift-by", "1"]],
    [2, "nothing to shift", ["--topic", "orders:1", "--shift-by", "1"]],
    [2, "must be TOPIC", ["--topic", "orders:x", "--to-earliest"]],
    [2, "ISO-8601", ["--topic", "orders", "--to-datetime", "noon"]],
    [2, "cannot be read", ["--from-file", "/nowhere/offsets.csv"]],
    [2, "cannot be used with", ["--topic", "orders", "--to-earliest", "--dry-run", "--execute"]],
    [3, "allowed are 0 to 1", ["--topic", "orders:2", "--to-earliest", "--execute"]],
    [3, "topic nothing does not exist", ["--topic", "nothing", "--to-earliest", "--execute"]],
  ])("exit with %i: %s", async (code, sentence, words) => {
    const before = await committed("batch");
    const refused = await group("reset-offsets", "batch", ...words);
    expect(refused.stderr).toContain(sentence);
    expect(refused.code).toBe(code);
    expect(await committed("batch")).toEqual(before);
  });
});

describe("consume --group", () => {
  const consume = (...words: readonly string[]) =>
    ottla(["consume", ...words, "--format", "%t %p %o\\n"], { environment });
  const lines = (text: string) => text.split("\n").filter((line) => line !== "");

  it("prints all that there is, commits it, and goes on from there", async () => {
    const words = ["orders", "returns", "--group", "readers", "--from", "beginning"];
    const first = await consume(...words, "--exit-at-end");
    expect([first.code, first.stderr]).toEqual([0, ""]);
    expect(new Set(lines(first.stdout)).size).toBe(55);
    expect(lines(first.stdout)).toHaveLength(55);
    const ends = { "orders-0": 20, "orders-1": 20, "returns-0": 20 };
    expect(await committed("readers")).toEqual(ends);
    const [described] = await admin.describeGroups(["readers"]);
    expect(described?.state).toBe("Empty");
    const again = await consume(...words, "--exit-at-end");
    expect([again.code, again.stdout, again.stderr]).toEqual([0, "", ""]);
  });

  it("commits what it has printed, and no more", async () => {
    const words = ["returns", "--group", "counted", "--from", "beginning", "--max-messages", "7"];
    const first = await consume(...words);
    expect(lines(first.stdout).at(-1)).toBe("returns 0 11");
    expect(await committed("counted")).toEqual({ "returns-0": 12 });
    const second = await consume(...words);
    expect(lines(second.stdout)[0]).toBe("returns 0 12");
    expect(lines(second.stdout)).toHaveLength(7);
  });

  it("commits and leaves at Ctrl-C", async () => {
    const words = ["consume", "orders", "--group", "stopped", "--from", "beginning"];
    const child = spawnCommand(words, { environment });
    const chunks: Buffer[] = [];
    child.stdout?.on("data", (chunk: Buffer) => chunks.push(chunk));
    const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
    await eventually(
      "it has printed all",
      () => lines(Buffer.concat(chunks).toString()).length === 40,
    );
    child.kill("SIGINT");
    expect(await ended).toBe(0);
    expect(await committed("stopped")).toEqual({ "orders-0": 20, "orders-1": 20 });
    expect(await admin.describeGroups(["stopped"])).toMatchObject([{ state: "Empty" }]);
  });

  it.each([
    [2, "assigns partitions", ["orders", "--group", "g", "--partition", "0"]],
    [2, "beginning or end", ["orders", "--group", "g", "--from", "5"]],
    [3, "INVALID_GROUP_ID", ["orders", "--group", ""]],
    [3, "UNKNOWN_TOPIC_OR_PARTITION", ["nothing", "--group", "g"]],
  ])("exits with %i: %s", async (code, sentence, words) => {
    const refused = await consume(...words);
    expect([refused.code, refused.stderr]).toEqual([code, expect.stringContaining(sentence)]);
  });
});

it("offsets and groups are deleted, and unknown ones refused", async () => {
  const offsets = await done("delete-offsets", "batch", "--topic", "returns", "--output", "json");
  expect(jsonLines(offsets.stdout)).toEqual([
    { groupId: "batch", topic: "returns", partition: 0, deleted: true },
  ]);
  expect(await committed("batch")).toEqual({ "orders-0": 8 });
  expect((await group("delete-offsets", "batch", "--topic", "returns")).code).toBe(2);
  const both = await group("delete", "nobody", "batch");
  expect([both.code, both.stdout]).toEqual([3, "group batch deleted\n"]);
  expect(both.stderr).toContain("GROUP_ID_NOT_FOUND");
  for (const verb of ["describe", "explain"]) {
    const unknown = await group(verb, "batch");
    expect([unknown.code, unknown.stderr]).toEqual([3, expect.stringContaining("NOT_FOUND")]);
  }
});

it("a partition without a leader is named, and keeps nothing else from being shown", async () => {
  await admin.createTopics([{ name: "alone", assignment: [[1]] }]);
  await admin.alterGroupOffsets("torn", [
    { topic: "alone", partition: 0, offset: 0 },
    { topic: "orders", partition: 0, offset: 3 },
  ]);
  await cluster.killBroker(1);
  await eventually("the partition has lost its leader", async () => {
    const [topic] = await admin.describeTopics(["alone"]);
    return topic?.partitions[0]?.leader === -1;
  });
  await eventually("the others have theirs", async () => {
    const lines = jsonLines((await done("describe", "torn", "--output", "json")).stdout);
    expect(lines[0]).toMatchObject({ topic: "alone", currentOffset: 0, lag: null });
    return lines[1]?.["lag"] === 17;
  });
  const { stdout } = await done("explain", "torn");
  expect(stdout).toContain("Partition alone-0 has no leader");
  expect(stdout).toContain("17 records wait in 1 partition");
  await cluster.startBroker(1);
});
