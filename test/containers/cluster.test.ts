/** The image by itself, and three of it composed, as a new user runs them. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Admin, Consumer, Producer } from "../../src/client/index.ts";
import { freePorts } from "../../src/main/local-cluster.ts";
import { eventually } from "../support/eventually.ts";
import { compose, docker, healthy, IMAGE, PREFIX, run } from "./docker.ts";

async function readBack(bootstrapServers: string, topic: string, count: number): Promise<string[]> {
  await using consumer = new Consumer({ bootstrapServers });
  await consumer.assign([{ topic, partition: 0, offset: "beginning" }]);
  const values: string[] = [];
  for await (const message of consumer) {
    values.push(Buffer.from(message.value ?? []).toString());
    if (values.length === count) break;
  }
  return values;
}

describe("one broker by docker run", () => {
  const name = `${PREFIX}-one`;
  let bootstrapServers: string;

  beforeAll(async () => {
    const [grpc] = await freePorts(1);
    bootstrapServers = `localhost:${grpc}`;
    const environment = ["-e", `OTTLA_ADVERTISED_LISTENERS=GRPC://${bootstrapServers}`];
    const flags = ["--read-only", "--cap-drop", "ALL", "--memory", "512m"];
    await docker(
      "run",
      "-d",
      "--name",
      name,
      ...flags,
      "-p",
      `${grpc}:9192`,
      ...environment,
      IMAGE,
    );
  });

  afterAll(async () => {
    await run("docker", ["rm", "-f", "-v", name]);
  });

  it("becomes healthy, and takes and gives records at its published address", async () => {
    await healthy(name);
    await using admin = new Admin({ bootstrapServers });
    await admin.createTopics([{ name: "orders", partitions: 1, replicationFactor: 1 }]);
    await using producer = new Producer({ bootstrapServers });
    for (const value of ["a", "b", "c"]) await producer.send({ topic: "orders", value });
    expect(await readBack(bootstrapServers, "orders", 3)).toEqual(["a", "b", "c"]);
  });

  it("is process 1, without privileges, and serves its command", async () => {
    expect(await docker("exec", name, "cat", "/proc/1/cmdline")).toMatch(/^node\0.*ottla\0broker/);
    const status = await docker("exec", name, "cat", "/proc/1/status");
    expect(status).toMatch(/^Uid:\s+1000\s/m);
    expect(await docker("exec", name, "ottla", "topic", "list")).toContain("orders");
    const written = await run("docker", ["exec", name, "touch", "/opt/ottla/x"]);
    expect(written.stderr).toContain("Read-only file system");
  });

  it("ends cleanly when it is told to, and logs JSON alone", async () => {
    await docker("stop", "-t", "60", name);
    expect(await docker("inspect", "-f", "{{.State.ExitCode}}", name)).toBe("0");
    const { stderr, stdout } = await run("docker", ["logs", name]);
    expect(stderr).toBe("");
    const lines = stdout.trim().split("\n");
    const last = JSON.parse(lines.at(-1) ?? "") as { readonly message: string };
    for (const line of lines) JSON.parse(line);
    expect(last).toMatchObject({ message: "the broker has stopped", clean: true });
  });

  it("finds its data again", async () => {
    await docker("start", name);
    await healthy(name);
    expect(await readBack(bootstrapServers, "orders", 3)).toEqual(["a", "b", "c"]);
  });
});

describe("three brokers by compose", () => {
  const project = `${PREFIX}-three`;
  const environment: Record<string, string> = { OTTLA_IMAGE: IMAGE };
  let bootstrapServers: string;
  const container = (id: number): Promise<string> =>
    compose(project, ["ps", "-q", `broker-${id}`], environment);

  beforeAll(async () => {
    const ports = await freePorts(9);
    for (const id of [1, 2, 3]) {
      environment[`OTTLA_GRPC_PORT_${id}`] = String(ports[id - 1]);
      environment[`OTTLA_HTTP_PORT_${id}`] = String(ports[id + 2]);
      environment[`OTTLA_KAFKA_PORT_${id}`] = String(ports[id + 5]);
    }
    bootstrapServers = `localhost:${ports[0]}`;
    await compose(project, ["up", "-d", "--no-build"], environment);
    for (const id of [1, 2, 3]) await healthy(await container(id));
  });

  afterAll(async () => {
    await compose(project, ["down", "-v", "--timeout", "20"], environment);
  });

  it("are reached from this machine and from their own network", async () => {
    await using admin = new Admin({ bootstrapServers });
    await admin.createTopics([{ name: "orders", partitions: 6, replicationFactor: 3 }]);
    await using producer = new Producer({ bootstrapServers });
    const sent = Array.from({ length: 60 }, (_, index) =>
      producer.send({ topic: "orders", partition: index % 6, value: `value ${index}` }),
    );
    await Promise.all(sent);
    const inside = await docker(
      ...["run", "--rm", "--network", `${project}_ottla`, IMAGE, "consume", "orders"],
      ...["--bootstrap-server", "broker-3:9192", "--from", "beginning", "--exit-at-end"],
    );
    expect(inside.split("\n")).toHaveLength(60);
  });

  it("lose nothing when one is stopped and another is killed", async () => {
    await using producer = new Producer({ bootstrapServers });
    await using admin = new Admin({ bootstrapServers });
    let sending = true;
    let sentCount = 0;
    let failed: unknown;
    const feed = (async () => {
      while (sending) {
        try {
          const { offset } = await producer.send({
            topic: "orders",
            partition: sentCount % 6,
            value: `during ${sentCount}`,
          });
          expect(offset).toBeGreaterThanOrEqual(0);
          sentCount++;
        } catch (thrown) {
          failed ??= thrown;
        }
      }
    })();
    const inSync = () =>
      eventually("every replica is in sync", async () => {
        const [topic] = await admin.describeTopics(["orders"]);
        return topic?.partitions.every(({ isr }) => isr.length === 3) ?? false;
      });
    const first = await container(1);
    await docker("stop", "-t", "60", first);
    expect(await docker("inspect", "-f", "{{.State.ExitCode}}", first)).toBe("0");
    expect(await docker("logs", first)).toContain("leaders were moved away");
    await docker("start", first);
    await inSync();
    const second = await container(2);
    await docker("kill", second);
    await docker("start", second);
    await inSync();
    sending = false;
    await feed;
    expect(failed).toBeUndefined();
    expect(sentCount).toBeGreaterThan(0);
  });

  it("refuse a broker with the volume of another cluster", async () => {
    const volume = `${PREFIX}-foreign`;
    const other = `${PREFIX}-other`;
    const mount = ["-v", `${volume}:/var/lib/ottla`];
    try {
      // A cluster of its own, whose broker comes here afterwards.
      await docker("run", "-d", "--name", other, ...mount, "-e", "OTTLA_NODE_ID=4", IMAGE);
      await healthy(other);
      await docker("stop", "-t", "60", other);
      await docker("rm", other);
      const voters = "1@broker-1:9392,2@broker-2:9392,3@broker-3:9392";
      const advertised = "PLAINTEXT://broker-4:9092,GRPC://broker-4:9192,INTERNAL://broker-4:9392";
      const ended = await run(
        "docker",
        [
          ...["run", "--rm", "--name", other, "--hostname", "broker-4"],
          ...["--network", `${project}_ottla`, ...mount, "-e", "OTTLA_NODE_ID=4"],
          ...["-e", `OTTLA_CONTROLLER_QUORUM_VOTERS=${voters}`],
          ...["-e", `OTTLA_ADVERTISED_LISTENERS=${advertised}`, IMAGE],
        ],
        { deadlineMs: 60_000 },
      );
      expect(ended.code, ended.stdout).toBe(13);
      expect(ended.stderr.trim().split("\n")).toHaveLength(1);
      expect(ended.stderr).toContain("INCONSISTENT_CLUSTER_ID");
    } finally {
      await run("docker", ["rm", "-f", "-v", other]);
      await run("docker", ["volume", "rm", "-f", volume]);
    }
  });
});
