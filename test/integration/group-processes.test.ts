/**
 * Members as processes of their own, killed and frozen: whatever was acknowledged is processed, and
 * whoever takes a partition over begins at or above the last commit that was acknowledged.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Admin, Producer } from "../../src/client/index.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { fill, makeTopic } from "../support/consume.ts";
import { eventually } from "../support/eventually.ts";

const WITHIN_MS = 90_000;
const TOPIC = "work";
const PARTITIONS = 6;

/** Tells in lines what it is assigned, what it has processed, what it has committed. */
const MEMBER = `
const { Consumer } = await import(process.argv[1]);
const consumer = new Consumer({
  bootstrapServers: process.argv[2],
  groupId: "workers",
  autoOffsetReset: "earliest",
  enableAutoCommit: false,
  sessionTimeoutMs: 6_000,
  partitionAssignmentStrategy: ["cooperative-sticky"],
});
const tell = (line) => process.stdout.write(JSON.stringify(line) + "\\n");
await consumer.subscribe({
  topics: ["${TOPIC}"],
  onAssigned: (partitions) => {
    for (const each of partitions) {
      tell({ type: "start", partition: each.partition, offset: consumer.position(each) ?? 0 });
    }
  },
  onLost: (partitions) => {
    for (const { partition } of partitions) tell({ type: "lost", partition, offset: 0 });
  },
});
for await (const { partition, messages } of consumer.batches()) {
  for (const { offset } of messages) tell({ type: "done", partition, offset });
  const offset = messages.at(-1).offset + 1;
  await consumer.commit([{ topic: "${TOPIC}", partition, offset }]).then(
    () => tell({ type: "committed", partition, offset }),
    (error) => tell({ type: error.code, partition, offset }),
  );
}
`;

interface Line {
  readonly type: string;
  readonly partition: number;
  readonly offset: number;
}

let cluster: Cluster;
let admin: Admin;
let producer: Producer;
const members: MemberProcess[] = [];

class MemberProcess {
  readonly lines: Line[] = [];
  readonly #child: ChildProcessByStdio<null, Readable, null>;
  readonly #ended: Promise<void>;

  constructor() {
    const client = new URL("../../dist/client/index.js", import.meta.url).href;
    const bootstrap = cluster.bootstrapServers.join();
    const argv = ["--input-type=module", "-e", MEMBER, client, bootstrap];
    this.#child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "inherit"] });
    this.#ended = new Promise((resolve) => this.#child.once("exit", () => resolve()));
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      this.lines.push(JSON.parse(line) as Line);
    });
    members.push(this);
  }

  of(type: string): readonly Line[] {
    return this.lines.filter((each) => each.type === type);
  }

  signal(name: "SIGSTOP" | "SIGCONT"): void {
    this.#child.kill(name);
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }
}

beforeAll(async () => {
  cluster = await startCluster({
    brokers: 3,
    properties: {
      "group.initial.rebalance.delay.ms": "0",
    },
  });
  const { bootstrapServers } = cluster;
  admin = new Admin({ bootstrapServers });
  producer = new Producer({ bootstrapServers });
}, 120_000);

afterAll(async () => {
  await Promise.all(members.map((member) => member.kill()));
  await producer.close();
  await admin.close();
  await cluster.stop();
});

async function areSettled(membersCount: number): Promise<boolean> {
  // Nobody has joined yet, or its coordinator is not found yet.
  const [group] = await admin.describeGroups(["workers"]).catch(() => []);
  if (group?.state !== "Stable" || group.members.length !== membersCount) return false;
  const sizes = group.members.map(({ assignment }) => assignment.length);
  return sizes.every((size) => size > 0) && sizes.reduce((a, b) => a + b, 0) === PARTITIONS;
}

function committedSoFar(): ReadonlyMap<number, number> {
  const highest = new Map<number, number>();
  for (const { offset, partition } of members.flatMap((member) => member.of("committed"))) {
    highest.set(partition, Math.max(highest.get(partition) ?? 0, offset));
  }
  return highest;
}

/** Whoever has begun since `before` began where the group was then, or later. */
function checkStarts(before: ReadonlyMap<number, number>, counts: readonly number[]): void {
  members.forEach((member, index) => {
    for (const { offset, partition } of member.of("start").slice(counts[index] ?? 0)) {
      expect(offset, `partition ${partition}`).toBeGreaterThanOrEqual(before.get(partition) ?? 0);
    }
  });
}

function startsCounts(): readonly number[] {
  return members.map((member) => member.of("start").length);
}

it("members may be killed and frozen", async () => {
  await makeTopic(admin, TOPIC, PARTITIONS);
  const [first, second, third] = [new MemberProcess(), new MemberProcess(), new MemberProcess()];
  await eventually("three share", () => areSettled(3), WITHIN_MS);
  let count = 0;
  let stopped = false;
  const writing = (async () => {
    for (; !stopped; count += 5) await fill(producer, TOPIC, PARTITIONS, 5, count);
  })();
  await eventually("each has committed", () =>
    [first, second, third].every((each) => each.of("committed").length > 3),
  );

  let before = committedSoFar();
  let counts = startsCounts();
  await first.kill();
  await eventually("two share", () => areSettled(2), WITHIN_MS);
  const fourth = new MemberProcess();
  await eventually("three share again", () => areSettled(3), WITHIN_MS);
  checkStarts(before, counts);

  second.signal("SIGSTOP");
  before = committedSoFar();
  counts = startsCounts();
  await eventually("the frozen one is out", () => areSettled(2), WITHIN_MS);
  await eventually("the others have begun", () =>
    startsCounts().some((each, index) => each > (counts[index] ?? 0)),
  );
  checkStarts(before, counts);
  const sinceFrozen = committedSoFar();
  second.signal("SIGCONT");
  await eventually("it knows", () => second.of("lost").length > 0, WITHIN_MS);
  await eventually("three share once more", () => areSettled(3), WITHIN_MS);
  // What the zombie still had to commit did not take the group back.
  const committed = await admin.listGroupOffsets("workers");
  for (const { offset, partition } of committed) {
    expect(offset).toBeGreaterThanOrEqual(sinceFrozen.get(partition) ?? 0);
  }

  stopped = true;
  await writing;
  await eventually(
    "every record is processed",
    () => {
      const done = new Set(
        members
          .flatMap((each) => each.of("done"))
          .map((each) => `${each.partition}/${each.offset}`),
      );
      return done.size === PARTITIONS * count;
    },
    WITHIN_MS,
  );
  expect(fourth.of("committed").length).toBeGreaterThan(0);
}, 300_000);
