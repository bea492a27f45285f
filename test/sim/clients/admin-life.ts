/**
 * Lives of administrators: configurations flip, leaders are moved back, partitions are added,
 * records deleted, topics listed and described; each call is in the history.
 */
import { Admin, type OttlaError } from "../../../src/client/index.ts";
import { toOttlaError } from "../../../src/model/errors.ts";
import type { JsonObject, JsonValue } from "../../history/format.ts";
import type { ClientLife } from "./client-process.ts";
import { type ClientShared, historyKey } from "./client-shared.ts";
import type { AdminPlan } from "./workload-plan.ts";

/** These would say that client and broker misunderstand each other. */
const NEVER = new Set(["INVALID_ARGUMENT", "INVALID_REQUEST", "UNKNOWN_SERVER_ERROR"]);
/** Refusals by whoever decides: nothing was changed, and nothing will be. */
const REFUSED = new Set(["INVALID_CONFIG", "INVALID_PARTITIONS", "INVALID_REPLICATION_FACTOR"]);
const PARTITIONS_MOST = 6;

export class HistoryAdmin {
  readonly admin: Admin;
  readonly #shared: ClientShared;
  readonly #life: ClientLife;

  constructor(shared: ClientShared, life: ClientLife, requestTimeoutMs: number) {
    const { bootstrapServers } = shared;
    const { environment } = life;
    this.#shared = shared;
    this.#life = life;
    this.admin = new Admin({ bootstrapServers, environment, requestTimeoutMs });
  }

  /** What `run` gave, or its error. */
  async call<Value>(
    call: string,
    args: JsonObject,
    run: (admin: Admin) => Promise<Value>,
    told: (value: Value) => JsonValue | undefined = () => undefined,
  ): Promise<{ readonly value: Value } | { readonly error: OttlaError }> {
    const { history } = this.#shared;
    const p = this.#life.process;
    const of = history.write({ p, type: "invoke", f: "admin", call, args });
    try {
      const value = await run(this.admin);
      const result = told(value);
      const ok = { p, type: "ok", f: "admin", of } as const;
      history.write(result === undefined ? ok : { ...ok, result });
      return { value };
    } catch (thrown) {
      const error = this.refused(call, thrown);
      const { code } = error;
      // Whether an earlier attempt was made and left unanswered only the SDK knows, so that a topic
      // is there already says nothing about who made it.
      history.write({ p, type: REFUSED.has(code) ? "fail" : "info", f: "admin", of, error: code });
      return { error };
    }
  }

  /** The error, if it is one that may come. */
  refused(call: string, thrown: unknown): OttlaError {
    const error = toOttlaError(thrown);
    if (NEVER.has(error.code)) {
      const { process } = this.#life;
      const text = `${process} ${call}: ${error.code} ${error.message}`;
      this.#shared.cluster.fail("an admin call fails for a reason", text);
    }
    return error;
  }
}

export async function administer(
  shared: ClientShared,
  plan: AdminPlan,
  life: ClientLife,
): Promise<void> {
  const { prng } = life;
  const admin = new HistoryAdmin(shared, life, prng.pick([1_000, 5_000, 30_000]));
  const chores = [look, look, ...choresOf(plan)];
  while (!life.ending) {
    await life.sleep((plan.intervalMs * prng.between(10, 190)) / 100);
    if (!life.ending) await prng.pick(chores)(shared, life, admin);
  }
  await admin.admin.close();
}

type Chore = (shared: ClientShared, life: ClientLife, admin: HistoryAdmin) => Promise<void>;

function choresOf(plan: AdminPlan): Chore[] {
  return [
    ...(plan.flips ? [flip, flip] : []),
    ...(plan.deletes ? [deleteRecords, deleteRecords, retain] : []),
    ...(plan.elects ? [elect] : []),
    ...(plan.grows ? [grow] : []),
  ];
}

/** Reads of all kinds. They change nothing, but must answer something that makes sense. */
async function look(shared: ClientShared, life: ClientLife, admin: HistoryAdmin): Promise<void> {
  const { prng } = life;
  const { name } = prng.pick(shared.topics);
  const kind = prng.pick(["list", "describe", "cluster", "configs"] as const);
  if (kind === "list") await admin.call("listTopics", {}, (each) => each.listTopics());
  else if (kind === "cluster") {
    await admin.call("describeCluster", {}, (each) => each.describeCluster());
  } else if (kind === "describe") {
    await admin.call(
      "describeTopic",
      { topic: name, stale: true },
      async (each) => (await each.describeTopics([name]))[0],
      (topic) => ({ partitions: topic?.partitions.length ?? 0 }),
    );
  } else {
    const resources = [{ type: "topic", name }] as const;
    await admin.call("describeConfigs", { topic: name }, (each) => each.describeConfigs(resources));
  }
}

/** What may change at any time without losing anything. */
const FLIPS = [
  { key: "segment.bytes", values: ["1048576", "2097152", null] },
  { key: "max.message.bytes", values: ["3000", "20000", null] },
] as const;

async function flip(shared: ClientShared, life: ClientLife, admin: HistoryAdmin): Promise<void> {
  const { prng } = life;
  const { name } = prng.pick(shared.topics);
  const { key, values } = prng.pick(FLIPS);
  await alter(admin, name, key, prng.pick(values as readonly (string | null)[]));
}

/** Records may go by age and size; and back to keeping all. */
async function retain(shared: ClientShared, life: ClientLife, admin: HistoryAdmin): Promise<void> {
  const { prng } = life;
  const { name } = prng.pick(shared.topics);
  const [key, value] = prng.pick([
    ["retention.ms", "1000"],
    ["retention.bytes", "4096"],
    ["retention.ms", null],
    ["retention.bytes", null],
  ] as const);
  await alter(admin, name, key, value);
}

async function alter(
  admin: HistoryAdmin,
  topic: string,
  key: string,
  value: string | null,
): Promise<void> {
  const change =
    value === null
      ? ({ key, operation: "delete" } as const)
      : ({ key, operation: "set", value } as const);
  await admin.call("alterConfig", { topic, set: { [key]: value } }, (each) =>
    each.alterConfigs([{ type: "topic", name: topic, changes: [change] }]),
  );
}

async function deleteRecords(
  shared: ClientShared,
  life: ClientLife,
  admin: HistoryAdmin,
): Promise<void> {
  const { history } = shared;
  const { prng, process: p } = life;
  const { name: topic, partitionsCount } = prng.pick(shared.topics);
  const partition = prng.below(partitionsCount);
  let before = -1;
  if (prng.chance(3, 4)) {
    try {
      const places = await admin.admin.listOffsets([
        { topic, partition, offset: "beginning" },
        { topic, partition, offset: "end" },
      ]);
      const [start, end] = places.map(({ offset }) => offset) as [number, number];
      before = prng.between(start, Math.max(start, end));
    } catch (thrown) {
      admin.refused("listOffsets", thrown);
      return;
    }
  }
  const key = historyKey(topic, partition);
  const of = history.write({ p, type: "invoke", f: "deleteRecords", key, before });
  try {
    const beforeOffset = before < 0 ? "high-watermark" : before;
    const [deleted] = await admin.admin.deleteRecords([{ topic, partition, beforeOffset }]);
    const lowWatermark = deleted?.lowWatermark ?? -1;
    history.write({ p, type: "ok", f: "deleteRecords", of, lowWatermark });
  } catch (thrown) {
    const { code } = admin.refused("deleteRecords", thrown);
    history.write({ p, type: "info", f: "deleteRecords", of, error: code });
  }
}

async function elect(_: ClientShared, __: ClientLife, admin: HistoryAdmin): Promise<void> {
  await admin.call("electLeaders", { type: "preferred" }, (each) =>
    each.electLeaders({ type: "preferred" }),
  );
}

async function grow(shared: ClientShared, life: ClientLife, admin: HistoryAdmin): Promise<void> {
  const topic = life.prng.pick(shared.topics);
  const partitions = topic.partitionsCount + 1;
  if (partitions > PARTITIONS_MOST) return;
  const args = { topic: topic.name, partitions };
  const outcome = await admin.call("createPartitions", args, (each) => each.createPartitions(args));
  // Refused since there are as many already: an answer was lost.
  const there = "value" in outcome || outcome.error.code === "INVALID_PARTITIONS";
  if (there) topic.partitionsCount = Math.max(topic.partitionsCount, partitions);
}
