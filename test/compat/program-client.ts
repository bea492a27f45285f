/**
 * A client that is a small program of `clients/`: `PROGRAM CALL`, its arguments as one JSON object on
 * standard input, its answer the last line of its output. `join` writes `[partition, offset, key,
 * value]` of each record until it is told to end by SIGTERM.
 */
import { join } from "node:path";
import type {
  CallName,
  CompatClient,
  GroupMember,
  NewTopicRequest,
  PartitionLag,
  ProduceRequest,
  ReadRecord,
} from "./client.ts";
import { LongRun, run } from "./programs.ts";

/** The programs stay where their source lies; the command runs in the root of the project. */
export const PROGRAMS: string = join(process.cwd(), "test", "compat", "clients");

type Row = readonly [partition: number, offset: number, key: string, value: string];

export interface ProgramOptions {
  readonly name: string;
  readonly command: readonly string[];
  readonly bootstrapServers: string;
  readonly without: Readonly<Partial<Record<CallName, string>>>;
}

export function toRecord([partition, offset, key, value]: Row): ReadRecord {
  return { partition, offset, key, value };
}

/** A member whose lines of output `parse` turns to records; undefined: something else was said. */
export function longMember(
  command: readonly string[],
  parse: (line: string) => ReadRecord | undefined,
  input?: string,
): GroupMember {
  const records: ReadRecord[] = [];
  const program = new LongRun(
    command,
    (line) => {
      const record = parse(line);
      if (record !== undefined) records.push(record);
    },
    input === undefined ? {} : { input },
  );
  return {
    records,
    complaints: () => program.stderr,
    kill: () => program.kill(),
    stop: () => program.stop(),
  };
}

export async function programClient(options: ProgramOptions): Promise<CompatClient> {
  const { bootstrapServers, command, name, without } = options;
  const input = (parameters: object): string => JSON.stringify({ bootstrapServers, ...parameters });
  const call = async <Answer>(step: string, parameters: object = {}): Promise<Answer> => {
    const { stdout } = await run([...command, step], { input: input(parameters) });
    return JSON.parse(stdout.trim().split("\n").at(-1) as string) as Answer;
  };
  const read = async (step: string, parameters: object): Promise<readonly ReadRecord[]> =>
    (await call<readonly Row[]>(step, parameters)).map(toRecord);
  const all = {
    create: (request: NewTopicRequest) => call<void>("create", request),
    lag: (topic: string, group: string, partitions: number) =>
      call<readonly PartitionLag[]>("lag", { topic, group, partitions }),
    brokers: () => call<readonly number[]>("brokers"),
    topics: () => call<readonly string[]>("topics"),
    setConfig: (topic: string, key: string, value: string) =>
      call<void>("setConfig", { topic, name: key, value }),
    config: (topic: string, key: string) => call<string>("config", { topic, name: key }),
    addPartitions: (topic: string, total: number) => call<void>("addPartitions", { topic, total }),
    groups: () => call<readonly string[]>("groups"),
    groupState: (group: string) => call<string>("groupState", { group }),
    deleteRecords: (topic: string, partition: number, before: number) =>
      call<void>("deleteRecords", { topic, partition, before }),
    deleteGroup: (group: string) => call<void>("deleteGroup", { group }),
    deleteTopic: (topic: string) => call<void>("deleteTopic", { topic }),
  };
  const able = Object.entries(all).filter(([key]) => without[key as CallName] === undefined);
  return {
    name,
    version: await call<string>("version"),
    without,
    ...(Object.fromEntries(able) as Partial<typeof all>),
    produce: (request: ProduceRequest) => call<void>("produce", request),
    consume: (topic, ends) => read("consume", { topic, ends }),
    consumeFromTime: (topic, timestamp, end) => read("consumeFromTime", { topic, timestamp, end }),
    join: (topic, group) =>
      longMember(
        [...command, "join"],
        (line) => (line.startsWith("[") ? toRecord(JSON.parse(line) as Row) : undefined),
        input({ topic, group }),
      ),
  };
}
