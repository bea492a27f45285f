/** The steps that every client goes, and what must have come of each. */
import type { Admin } from "../../src/client/index.ts";
import { Producer } from "../../src/client/index.ts";
import { COMPRESSIONS, type Compression } from "../../src/model/compression.ts";
import { compressionOf } from "../../src/record/batch.ts";
import type { Checks } from "../proof/checks.ts";
import { eventually } from "../support/eventually.ts";
import type { CallName, CompatClient, GroupMember, SentRecord } from "./client.ts";
import { atLeastOnce, compare, type Judge, placed } from "./judge.ts";

const PARTITIONS = 3;
const GROUP_PARTITIONS = 6;
const MEMBERS = 3;
const RECORDS_OF_ROUND = 60;
const GROUP_RECORDS = 120;
const LAG_RECORDS = 12;
const WITHIN_MS = 120_000;
const TIMESTAMPS = [1_000_000, 2_000_000, 3_000_000, 4_000_000];
/** Long and dull enough for every codec to be worth its while. */
const FILLER = "and so on ".repeat(12);

export interface World {
  readonly admin: Admin;
  readonly bootstrapServers: readonly string[];
  readonly judge: Judge;
  readonly brokerIds: readonly number[];
  readonly checks: Checks;
  say(text: string): void;
}

function made(label: string, count: number): readonly SentRecord[] {
  return Array.from({ length: count }, (_, index) => ({
    key: `key-${index % 17}`,
    value: `${label} ${index} ${FILLER}`,
  }));
}

/** Runs the plan with one client: every step is tried, whatever became of those before it. */
export class Plan {
  readonly #client: CompatClient;
  readonly #world: World;
  readonly #data: string;
  readonly #shared: string;
  readonly #group: string;

  constructor(client: CompatClient, world: World) {
    this.#client = client;
    this.#world = world;
    const label = client.name.replaceAll(/[^a-z0-9]+/gi, "-");
    this.#data = `data-${label}`;
    this.#shared = `shared-${label}`;
    this.#group = `group-${label}`;
  }

  async run(): Promise<void> {
    const client = this.#client;
    for (const [call, why] of Object.entries(client.without)) {
      this.#world.say(`${client.name} is not asked to ${call}: ${why}`);
    }
    await this.#create();
    for (const codec of COMPRESSIONS) {
      for (const idempotent of [false, true]) {
        await this.#step(`produces ${codec}${idempotent ? ", idempotent" : ""}`, () =>
          this.#produce(codec, idempotent),
        );
      }
    }
    const way = client.without.assign === undefined ? "by assignment" : "alone in a group";
    await this.#step(`consumes all of it, and what Ottla's own client wrote, ${way}`, () =>
      this.#consume(),
    );
    await this.#step("finds a place by time", () => this.#time());
    await this.#step("reads in a group of three, one of which is killed", () =>
      this.#readTogether(),
    );
    await this.#step("knows the lag of the group", () => this.#lag(), "lag");
    await this.#administer();
    for (const [name, show] of client.others ?? []) {
      await this.#step(name, async () => {
        await show(this.#data);
        return [];
      });
    }
    await this.#remove();
  }

  /** `needs`: a client without that call passes the step over. */
  async #step(
    name: string,
    work: () => Promise<readonly string[]>,
    ...needs: readonly Exclude<CallName, "assign">[]
  ): Promise<void> {
    if (needs.some((call) => this.#client[call] === undefined)) return;
    const title = `${this.#client.name}: ${name}`;
    try {
      this.#world.checks.expect(title, await work());
    } catch (thrown) {
      this.#world.checks.fail(title, thrown instanceof Error ? thrown.message : String(thrown));
    }
  }

  async #create(): Promise<void> {
    const { admin, judge } = this.#world;
    const replicationFactor = this.#world.brokerIds.length;
    const request = { topic: this.#data, partitions: PARTITIONS, replicationFactor };
    await this.#step(
      "creates a topic",
      async () => {
        await this.#client.create?.(request);
        return [];
      },
      "create",
    );
    await this.#step("has its topics", async () => {
      // A client that cannot, or could not, create its topic has it created, and goes on.
      const isThere = (await admin.listTopics()).some(({ name }) => name === this.#data);
      const ours = isThere ? [] : [{ name: this.#data, partitions: PARTITIONS }];
      const topics = [...ours, { name: this.#shared, partitions: GROUP_PARTITIONS }];
      await admin.createTopics(topics.map((topic) => ({ ...topic, replicationFactor })));
      await judge.leaders(this.#shared);
      const leaders = await judge.leaders(this.#data);
      const [described] = await admin.describeTopics([this.#data]);
      const replicas = described?.partitions.map((partition) => partition.replicas.length) ?? [];
      return leaders.length === PARTITIONS && replicas.every((count) => count === replicationFactor)
        ? []
        : [`partitions with replicas ${replicas.join(", ")}`];
    });
  }

  async #produce(codec: Compression, idempotent: boolean): Promise<readonly string[]> {
    const { judge } = this.#world;
    const records = made(`${codec} ${idempotent}`, RECORDS_OF_ROUND);
    const starts = await judge.ends(this.#data);
    await this.#client.produce({ topic: this.#data, codec, idempotent, records });
    const { batches, records: stored } = await judge.stored(this.#data, starts);
    const complaints = compare(placed(records, starts), stored);
    for (const batch of batches) {
      const used = compressionOf(batch);
      if (used !== codec) complaints.push(`a batch came with ${used}`);
      const hasProducer = batch.producerId >= 0;
      if (hasProducer !== idempotent) complaints.push(`a batch of producer ${batch.producerId}`);
    }
    return complaints;
  }

  async #consume(): Promise<readonly string[]> {
    const { bootstrapServers, judge } = this.#world;
    await using producer = new Producer({ bootstrapServers, compressionType: "zstd" });
    for (const { key, value } of made("ottla", RECORDS_OF_ROUND)) {
      await producer.send({ topic: this.#data, key, value });
    }
    const { records } = await judge.stored(this.#data, []);
    const read = await this.#client.consume(this.#data, await judge.ends(this.#data));
    return compare(records, read);
  }

  async #time(): Promise<readonly string[]> {
    const { admin, bootstrapServers, judge } = this.#world;
    const topic = `times-${this.#data}`;
    await admin.createTopics([{ name: topic, partitions: 1, replicationFactor: 3 }]);
    await using producer = new Producer({ bootstrapServers });
    for (const timestamp of TIMESTAMPS) {
      await producer.send({ topic, key: "key", value: `at ${timestamp}`, timestamp });
    }
    const { records } = await judge.stored(topic, []);
    // Between the second and the third.
    const read = await this.#client.consumeFromTime(topic, 2_500_000, TIMESTAMPS.length);
    return compare(records.slice(2), read);
  }

  async #readTogether(): Promise<readonly string[]> {
    const { judge } = this.#world;
    const members = Array.from({ length: MEMBERS }, () =>
      this.#client.join(this.#shared, this.#group),
    );
    try {
      await this.#eachHasPartitions(members);
      const before = await this.#write("before", GROUP_RECORDS);
      await this.#allRead(members, before.length);
      const { records: first } = await judge.stored(this.#shared, []);
      const complaints = compare(
        first,
        members.flatMap(({ records }) => records),
      );
      const [victim, ...others] = members as [GroupMember, ...GroupMember[]];
      await victim.kill();
      await this.#write("after", GROUP_RECORDS);
      const all = (await judge.stored(this.#shared, [])).records;
      await this.#allRead(members, all.length);
      complaints.push(
        ...atLeastOnce(
          all,
          members.map(({ records }) => records),
        ),
      );
      for (const member of others) await member.stop();
      return complaints;
    } catch (thrown) {
      const said = members.map((member) => member.complaints().slice(-500)).join("\n");
      throw new Error(`${thrown instanceof Error ? thrown.message : thrown}\n${said}`);
    } finally {
      for (const member of members) await member.kill();
    }
  }

  /** Nothing is written before all three have their share: then each record has one reader. */
  async #eachHasPartitions(members: readonly GroupMember[]): Promise<void> {
    const { admin } = this.#world;
    const share = GROUP_PARTITIONS / members.length;
    await eventually(
      "each of the three has two partitions",
      async () => {
        const listed = (await admin.listGroups()).some(({ groupId }) => groupId === this.#group);
        if (!listed) return false;
        const [group] = await admin.describeGroups([this.#group]);
        return (
          group?.state === "Stable" &&
          group.members.length === members.length &&
          group.members.every(({ assignment }) => assignment.length === share)
        );
      },
      WITHIN_MS,
    );
  }

  async #allRead(members: readonly GroupMember[], count: number): Promise<void> {
    const seen = (): number => {
      const records = members.flatMap(({ records }) => records);
      return new Set(records.map(({ offset, partition }) => `${partition}@${offset}`)).size;
    };
    try {
      await eventually(`${count} records are read`, () => seen() >= count, WITHIN_MS);
    } catch {
      throw new Error(`${seen()} of ${count} records were read within ${WITHIN_MS} ms`);
    }
  }

  async #write(label: string, count: number): Promise<readonly SentRecord[]> {
    await using producer = new Producer({ bootstrapServers: this.#world.bootstrapServers });
    const records = made(label, count);
    const sends = records.map(({ key, value }) =>
      producer.send({ topic: this.#shared, key, value }),
    );
    await Promise.all(sends);
    return records;
  }

  async #lag(): Promise<readonly string[]> {
    const ends = await this.#world.judge.ends(this.#shared);
    const told = async (): Promise<string> => {
      const lags = (await this.#client.lag?.(this.#shared, this.#group, GROUP_PARTITIONS)) ?? [];
      const sorted = [...lags].sort((left, right) => left.partition - right.partition);
      return sorted.map(({ committed, lag }) => `${committed}+${lag}`).join(" ");
    };
    const none = ends.map((end) => `${end}+0`).join(" ");
    const first = await told();
    await this.#write("late", LAG_RECORDS);
    const later = await this.#world.judge.ends(this.#shared);
    const some = later.map((end, at) => `${ends[at]}+${end - (ends[at] as number)}`).join(" ");
    const second = await told();
    return [
      ...(first === none ? [] : [`after all was read: ${first} instead of ${none}`]),
      ...(second === some ? [] : [`after more was written: ${second} instead of ${some}`]),
    ];
  }

  async #administer(): Promise<void> {
    const client = this.#client;
    const { admin, brokerIds, judge } = this.#world;
    const told = (what: string, got: unknown, wanted: unknown): readonly string[] =>
      String(got) === String(wanted) ? [] : [`${what}: ${got} instead of ${wanted}`];
    await this.#step(
      "lists brokers and topics",
      async () => [
        ...told("brokers", (await client.brokers?.())?.toSorted(), brokerIds),
        ...told("has topic", (await client.topics?.())?.includes(this.#data), true),
      ],
      "brokers",
      "topics",
    );
    await this.#step(
      "changes a topic's configuration and sees it",
      async () => {
        await client.setConfig?.(this.#data, "retention.ms", "123456789");
        return told("retention.ms", await client.config?.(this.#data, "retention.ms"), 123456789);
      },
      "setConfig",
      "config",
    );
    await this.#step(
      "adds partitions",
      async () => {
        await client.addPartitions?.(this.#data, PARTITIONS + 1);
        return told("partitions", (await judge.leaders(this.#data)).length, PARTITIONS + 1);
      },
      "addPartitions",
    );
    await this.#step(
      "lists and describes groups",
      async () => [
        ...told("has group", (await client.groups?.())?.includes(this.#group), true),
        ...told("state", (await client.groupState?.(this.#group))?.toUpperCase(), "EMPTY"),
      ],
      "groups",
      "groupState",
    );
    await this.#step(
      "deletes records",
      async () => {
        await client.deleteRecords?.(this.#data, 0, 5);
        const query = { topic: this.#data, partition: 0, offset: "beginning" as const };
        const [begin] = await admin.listOffsets([query]);
        return told("log start offset", begin?.offset, 5);
      },
      "deleteRecords",
    );
  }

  async #remove(): Promise<void> {
    const { admin } = this.#world;
    await this.#step(
      "deletes a group",
      async () => {
        await this.#client.deleteGroup?.(this.#group);
        const groups = await admin.listGroups();
        return groups.some(({ groupId }) => groupId === this.#group) ? ["it is there still"] : [];
      },
      "deleteGroup",
    );
    await this.#step(
      "deletes a topic",
      async () => {
        await this.#client.deleteTopic?.(this.#data);
        const topics = await admin.listTopics();
        return topics.some(({ name }) => name === this.#data) ? ["it is there still"] : [];
      },
      "deleteTopic",
    );
    // What is left makes the rest of the run slower, and says nothing of the next client.
    const own = [this.#data, this.#shared, `times-${this.#data}`];
    const left = (await admin.listTopics()).filter(({ name }) => own.includes(name));
    if (left.length > 0) await admin.deleteTopics(left.map(({ name }) => name));
  }
}
