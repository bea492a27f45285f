/** kcat: a command, without administration. */
import type { ClientFacts, CompatClient, Found, ReadRecord, Workshop } from "./client.ts";
import { longMember } from "./program-client.ts";
import { run } from "./programs.ts";

const FORMAT = ["-f", "%p\\t%o\\t%k\\t%s\\n"];
const NO_CALL = "kcat has no such command";

export const kcat: ClientFacts = { name: "kcat", find };

async function find(workshop: Workshop): Promise<Found> {
  try {
    const { stdout } = await run(["kcat", "-V"]);
    const version = /Version (\S+)/.exec(stdout)?.[1] ?? "?";
    const library = /librdkafka (\S+)/.exec(stdout)?.[1] ?? "?";
    return { client: client(workshop.bootstrapServers, `${version}, librdkafka ${library}`) };
  } catch (thrown) {
    return { notRun: `kcat is not installed (${String(thrown).split("\n")[0]})` };
  }
}

interface Listing {
  readonly brokers: readonly { readonly id: number }[];
  readonly topics: readonly { readonly topic: string }[];
}

function parse(line: string): ReadRecord | undefined {
  const [partition, offset, key, value] = line.split("\t");
  if (value === undefined) return undefined;
  return {
    partition: Number(partition),
    offset: Number(offset),
    key: key as string,
    value,
  };
}

function client(bootstrapServers: string, version: string): CompatClient {
  const kcat = (...rest: readonly string[]): readonly string[] => [
    "kcat",
    "-b",
    bootstrapServers,
    ...rest,
  ];
  const consume = async (...rest: readonly string[]): Promise<readonly ReadRecord[]> => {
    const { stdout } = await run(kcat("-C", "-e", "-q", ...FORMAT, ...rest));
    return stdout.split("\n").flatMap((line) => parse(line) ?? []);
  };
  const list = async (): Promise<Listing> => {
    const { stdout } = await run(kcat("-L", "-J"));
    return JSON.parse(stdout) as Listing;
  };
  return {
    name: "kcat",
    version,
    without: {
      create: NO_CALL,
      lag: NO_CALL,
      setConfig: NO_CALL,
      config: NO_CALL,
      addPartitions: NO_CALL,
      groups: NO_CALL,
      groupState: NO_CALL,
      deleteRecords: NO_CALL,
      deleteGroup: NO_CALL,
      deleteTopic: NO_CALL,
    },
    produce: async ({ codec, idempotent, records, topic }) => {
      const input = records.map(({ key, value }) => `${key}\t${value}\n`).join("");
      const settings = [
        `enable.idempotence=${idempotent}`,
        "topic.partitioner=murmur2_random",
        "linger.ms=20",
      ].flatMap((setting) => ["-X", setting]);
      await run(kcat("-P", "-t", topic, "-z", codec, "-K", "\\t", ...settings), { input });
    },
    consume: (topic) => consume("-t", topic, "-o", "beginning"),
    consumeFromTime: (topic, timestamp) => consume("-t", topic, "-p", "0", "-o", `s@${timestamp}`),
    join: (topic, group) => {
      const settings = [
        "auto.offset.reset=earliest",
        "session.timeout.ms=6000",
        "auto.commit.interval.ms=500",
      ].flatMap((setting) => ["-X", setting]);
      return longMember(kcat("-u", ...FORMAT, ...settings, "-G", group, topic), parse);
    },
    brokers: async () => (await list()).brokers.map(({ id }) => id),
    topics: async () => (await list()).topics.map(({ topic }) => topic),
  };
}
