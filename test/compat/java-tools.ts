/** The command-line tools of Kafka itself, and with them its Java clients. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ClientFacts, CompatClient, Found, ReadRecord, Workshop } from "./client.ts";
import { longMember } from "./program-client.ts";
import { run } from "./programs.ts";

const TOPICS = "org.apache.kafka.tools.TopicCommand";
const CONFIGS = "kafka.admin.ConfigCommand";
const GROUPS = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
const PRODUCER = "org.apache.kafka.tools.ConsoleProducer";
const CONSUMER = "org.apache.kafka.tools.consumer.ConsoleConsumer";
const OFFSETS = "org.apache.kafka.tools.GetOffsetShell";
const DELETE_RECORDS = "org.apache.kafka.tools.DeleteRecordsCommand";
const PRODUCER_PERFORMANCE = "org.apache.kafka.tools.ProducerPerformance";
const CONSUMER_PERFORMANCE = "org.apache.kafka.tools.ConsumerPerformance";
const REASSIGN = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand";
const ELECTION = "org.apache.kafka.tools.LeaderElectionCommand";
const QUORUM = "org.apache.kafka.tools.MetadataQuorumCommand";
const LOG_DIRS = "org.apache.kafka.tools.LogDirsCommand";
const VERSIONS = "org.apache.kafka.tools.BrokerApiVersionsCommand";

const INSTALL_MS = 300_000;
const READ_MS = "60000";
const PERFORMANCE_RECORDS = 2_000;
const VERIFICATIONS = 30;
/** A tool runs for a second: what a long run would gain by compiling well is lost on it. */
const QUICK_START = { JAVA_TOOL_OPTIONS: "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx256m" };

export const javaTools: ClientFacts = { name: "Java tools", find };

/**
 * `KAFKA_HOME` is an unpacked Kafka, whose jars lie in `libs`; `KAFKA_PEER` a script that runs a tool of
 * one with `tool CLASS`.
 */
function toolCommand(): readonly string[] | undefined {
  const home = process.env["KAFKA_HOME"];
  if (home !== undefined) return ["java", "-cp", join(home, "libs", "*")];
  const peer = process.env["KAFKA_PEER"];
  return peer === undefined ? undefined : [peer, "tool"];
}

async function find(workshop: Workshop): Promise<Found> {
  const command = toolCommand();
  if (command === undefined) return { notRun: "neither KAFKA_HOME nor KAFKA_PEER names a Kafka" };
  try {
    const { stdout } = await run([...command, TOPICS, "--version"], { timeoutMs: INSTALL_MS });
    return { client: client(command, workshop, stdout.trim().split("\n").at(-1) ?? "?") };
  } catch (thrown) {
    return { notRun: String(thrown).slice(0, 300) };
  }
}

/** `Partition:0  Offset:1  key  value`, with tabs. */
function parse(line: string): ReadRecord | undefined {
  const [partition, offset, key, value] = line.split("\t");
  if (value === undefined || !partition?.startsWith("Partition:")) return undefined;
  return {
    partition: Number(partition.slice("Partition:".length)),
    offset: Number(offset?.slice("Offset:".length)),
    key: key as string,
    value,
  };
}

function expectText(said: string, pattern: RegExp): RegExpExecArray {
  const found = pattern.exec(said);
  if (found === null) throw new Error(`${pattern} is not in:\n${said}`);
  return found;
}

function client(command: readonly string[], workshop: Workshop, version: string): CompatClient {
  const { bootstrapServers, directory } = workshop;
  const line = (tool: string, rest: readonly string[]): readonly string[] => [
    ...command,
    tool,
    "--bootstrap-server",
    bootstrapServers,
    ...rest,
  ];
  const toolOn = async (tool: string, input: string, ...rest: string[]): Promise<string> => {
    const options = { input, environment: QUICK_START };
    return (await run(line(tool, rest), options)).stdout;
  };
  const tool = (name: string, ...rest: string[]): Promise<string> => toolOn(name, "", ...rest);
  const file = (name: string, content: unknown): string => {
    const path = join(directory, name);
    writeFileSync(path, JSON.stringify(content));
    return path;
  };
  const printing = ["partition", "offset", "key"].flatMap((field) => [
    "--formatter-property",
    `print.${field}=true`,
  ]);
  const readFrom = async (
    topic: string,
    partition: number,
    from: number,
    end: number,
  ): Promise<readonly ReadRecord[]> => {
    if (end <= from) return [];
    const place = ["--partition", String(partition), "--offset", String(from)];
    const until = ["--max-messages", String(end - from), "--timeout-ms", READ_MS];
    const said = await tool(CONSUMER, "--topic", topic, ...place, ...until, ...printing);
    return said.split("\n").flatMap((each) => parse(each) ?? []);
  };
  /** Of partition 0. */
  const leaderAndReplicas = async (
    topic: string,
  ): Promise<readonly [number, readonly number[]]> => {
    const said = await tool(TOPICS, "--describe", "--topic", topic);
    const found = expectText(said, /Partition: 0\s+Leader: (\d+)\s+Replicas: ([\d,]+)/);
    return [Number(found[1]), (found[2] as string).split(",").map(Number)];
  };
  return {
    name: javaTools.name,
    version,
    without: {},
    create: async ({ partitions, replicationFactor, topic }) => {
      const counts = [
        "--partitions",
        `${partitions}`,
        "--replication-factor",
        `${replicationFactor}`,
      ];
      await tool(TOPICS, "--create", "--topic", topic, ...counts);
    },
    produce: async ({ codec, idempotent, records, topic }) => {
      const input = records.map(({ key, value }) => `${key}\t${value}\n`).join("");
      const settings = [
        "--reader-property",
        "parse.key=true",
        "--compression-codec",
        codec,
        "--command-property",
        `enable.idempotence=${idempotent}`,
        "--command-property",
        "acks=all",
      ];
      await toolOn(PRODUCER, input, "--topic", topic, ...settings);
    },
    consume: async (topic, ends) => {
      const all: ReadRecord[] = [];
      for (const [partition, end] of ends.entries()) {
        all.push(...(await readFrom(topic, partition, 0, end)));
      }
      return all;
    },
    consumeFromTime: async (topic, timestamp, end) => {
      const place = ["--topic-partitions", `${topic}:0`, "--time", String(timestamp)];
      const found = expectText(await tool(OFFSETS, ...place), /:0:(\d+)/);
      return readFrom(topic, 0, Number(found[1]), end);
    },
    join: (topic, group) => {
      const settings = [
        "auto.offset.reset=earliest",
        "session.timeout.ms=6000",
        "heartbeat.interval.ms=1000",
        "auto.commit.interval.ms=500",
      ].flatMap((setting) => ["--command-property", setting]);
      const rest = ["--topic", topic, "--group", group, ...settings, ...printing];
      return longMember(line(CONSUMER, rest), parse);
    },
    lag: async (topic, group) => {
      const said = await tool(GROUPS, "--describe", "--group", group);
      return said.split("\n").flatMap((row) => {
        const [, of, partition, committed, , lag] = row.trim().split(/\s+/);
        if (of !== topic) return [];
        return [{ partition: Number(partition), committed: Number(committed), lag: Number(lag) }];
      });
    },
    brokers: async () => {
      const said = await tool(VERSIONS);
      return [...said.matchAll(/\(id: (\d+) rack/g)].map((found) => Number(found[1]));
    },
    topics: async () => (await tool(TOPICS, "--list")).split("\n"),
    setConfig: async (topic, name, value) => {
      const entity = ["--entity-type", "topics", "--entity-name", topic];
      await tool(CONFIGS, "--alter", ...entity, "--add-config", `${name}=${value}`);
    },
    config: async (topic, name) => {
      const entity = ["--entity-type", "topics", "--entity-name", topic];
      const said = await tool(CONFIGS, "--describe", ...entity);
      return expectText(said, new RegExp(`${name}=(\\S+)`))[1] as string;
    },
    addPartitions: async (topic, total) => {
      await tool(TOPICS, "--alter", "--topic", topic, "--partitions", String(total));
    },
    groups: async () => (await tool(GROUPS, "--list")).split("\n"),
    groupState: async (group) => {
      const said = await tool(GROUPS, "--describe", "--state", "--group", group);
      return expectText(said, /\b(Empty|Stable|Dead|PreparingRebalance|CompletingRebalance)\b/)[0];
    },
    deleteRecords: async (topic, partition, before) => {
      const partitions = [{ topic, partition, offset: before }];
      const path = file("delete-records.json", { version: 1, partitions });
      await tool(DELETE_RECORDS, "--offset-json-file", path);
    },
    deleteGroup: async (group) => {
      expectText(await tool(GROUPS, "--delete", "--group", group), /successful/);
    },
    deleteTopic: async (topic) => {
      await tool(TOPICS, "--delete", "--topic", topic);
    },
    others: [
      [
        "measures a producer and a consumer",
        async (topic) => {
          const count = String(PERFORMANCE_RECORDS);
          const load = ["--num-records", count, "--record-size", "100", "--throughput", "-1"];
          const said = await tool(PRODUCER_PERFORMANCE, "--topic", topic, ...load);
          expectText(said, new RegExp(`^${count} records sent`, "m"));
          await tool(CONSUMER_PERFORMANCE, "--topic", topic, "--num-records", count);
        },
      ],
      [
        "moves a partition, and elects its preferred leader",
        async (topic) => {
          const [leader, replicas] = await leaderAndReplicas(topic);
          const others = replicas.filter((each) => each !== leader);
          const moved = [...others, leader];
          const partitions = [{ topic, partition: 0, replicas: moved }];
          const path = file("reassignment.json", { version: 1, partitions });
          const plan = ["--reassignment-json-file", path];
          await tool(REASSIGN, "--execute", ...plan);
          for (let tries = 1; ; tries++) {
            const said = await tool(REASSIGN, "--verify", ...plan);
            if (/is completed/.test(said)) break;
            if (tries === VERIFICATIONS) throw new Error(said);
          }
          const place = ["--topic", topic, "--partition", "0"];
          await tool(ELECTION, "--election-type", "preferred", ...place);
          const [elected, now] = await leaderAndReplicas(topic);
          if (elected !== moved[0] || String(now) !== String(moved)) {
            throw new Error(`leader ${elected} of ${now}, wanted ${moved[0]} of ${moved}`);
          }
        },
      ],
      [
        "describes the quorum and its replication",
        async () => {
          expectText(await tool(QUORUM, "describe", "--status"), /LeaderId:\s+\d/);
          expectText(await tool(QUORUM, "describe", "--replication"), /Leader/);
        },
      ],
      [
        "describes log directories",
        async (topic) => {
          const said = await tool(LOG_DIRS, "--describe", "--topic-list", topic);
          expectText(said, new RegExp(`"partition":"${topic}-0","size":[1-9]`));
        },
      ],
    ],
  };
}
