/**
 * What may be wrong with a container: it says in one line what, and what to do, and ends with the
 * exit code of that kind.
 */
import { afterAll, describe, expect, it } from "vitest";
import { docker, type Ended, IMAGE, PREFIX, refused, run } from "./docker.ts";

const VOTERS = "1@broker-1:9392,2@broker-2:9392,3@broker-3:9392";
const volumes: string[] = [];

afterAll(async () => {
  for (const name of volumes) await run("docker", ["volume", "rm", "-f", name]);
});

/** A volume that `script` has prepared, as root. */
async function volume(name: string, script: string): Promise<string> {
  const full = `${PREFIX}-${name}`;
  volumes.push(full);
  await docker("volume", "create", full);
  const mount = ["-v", `${full}:/var/lib/ottla`];
  await docker("run", "--rm", "-u", "0", ...mount, "--entrypoint", "sh", IMAGE, "-c", script);
  return full;
}

function expectRefusal(ended: Ended, code: number, ...said: readonly string[]): void {
  const lines = ended.stderr.trim().split("\n");
  expect(lines, ended.stdout).toHaveLength(1);
  for (const text of said) expect(lines[0]).toContain(text);
  expect(ended.code).toBe(code);
  // Whoever collects the log has it too.
  for (const line of ended.stdout.split("\n").filter((each) => each !== "")) JSON.parse(line);
}

describe("the environment", () => {
  it.each<[string, Record<string, string>, string[]]>([
    [
      "that contradicts itself",
      { OTTLA_NODE_ID: "1", KAFKA_NODE_ID: "2" },
      ["OTTLA_NODE_ID", "KAFKA_NODE_ID", "give one of them"],
    ],
    [
      "with an unknown key",
      { OTTLA_LOG_RETENTION_HOUR: "1" },
      ["OTTLA_LOG_RETENTION_HOUR", "did you mean log.retention.hours?"],
    ],
    [
      "without a node.id among several",
      { KAFKA_CONTROLLER_QUORUM_VOTERS: VOTERS },
      ["node.id is missing"],
    ],
    [
      "without an advertised listener where nobody knows the host",
      { OTTLA_NODE_ID: "4", OTTLA_CONTROLLER_QUORUM_VOTERS: VOTERS },
      ["advertised.listeners is missing", "PLAINTEXT://<the host"],
    ],
    [
      "whose roles contradict its voters",
      {
        KAFKA_NODE_ID: "1",
        KAFKA_PROCESS_ROLES: "broker",
        KAFKA_CONTROLLER_QUORUM_VOTERS: VOTERS,
      },
      ["process.roles", "broker,controller"],
    ],
  ])("%s", async (_, environment, said) => {
    expectRefusal(await refused({ environment }), 2, ...said);
  });
});

describe("the volume", () => {
  it("that is read-only", async () => {
    const name = await volume("read-only", "true");
    const ended = await refused({ flags: ["-v", `${name}:/var/lib/ottla:ro`] });
    expectRefusal(ended, 10, "/var/lib/ottla is on a read-only file system", "writable");
  });

  it("that another user owns, as a whole or in part", async () => {
    const whole = await volume("owned", "touch /var/lib/ottla/x && chown 0:0 /var/lib/ottla");
    expectRefusal(
      await refused({ flags: ["-v", `${whole}:/var/lib/ottla`] }),
      11,
      "user 1000 may not write to /var/lib/ottla, which belongs to user 0",
      "chown",
    );
    const part = await volume("part", "mkdir /var/lib/ottla/raft");
    const ended = await refused({ flags: ["-v", `${part}:/var/lib/ottla`] });
    expectRefusal(ended, 11, "/var/lib/ottla/raft");
  });

  it("that is full", async () => {
    const flags = ["--tmpfs", "/var/lib/ottla:size=20m,uid=1000,gid=1000"];
    expectRefusal(await refused({ flags }), 12, "20 MiB free", "256 MiB");
  });

  it("that is another broker's, or another cluster's", async () => {
    const meta = {
      version: 1,
      brokerId: 7,
      directoryId: "Zp9rHRphsV_l4bdJQ2wP2w",
      clusterId: "one",
    };
    const write = `echo '${JSON.stringify(meta)}' > /var/lib/ottla/meta.json && chown 1000 /var/lib/ottla/meta.json`;
    const name = await volume("foreign", write);
    const flags = ["-v", `${name}:/var/lib/ottla`];
    const other = await refused({ flags, environment: { OTTLA_NODE_ID: "1" } });
    expectRefusal(other, 13, "belongs to broker 7", "DIRECTORY_FOREIGN");
    const environment = { KAFKA_NODE_ID: "7", CLUSTER_ID: "two" };
    const cluster = await refused({ flags, environment });
    expectRefusal(cluster, 13, "belong to cluster one", "this is cluster two");
  });
});

it("too little memory", async () => {
  const ended = await refused({ flags: ["--memory", "200m"] });
  expectRefusal(ended, 14, "200 MiB", "384 MiB", "memory limit");
});
