/** Ways in which a controller can lie; each breaks a valid history in one place. */
import type { HistoryLine, JsonObject, UnwrittenLine } from "../format.ts";
import { type AdminOperation, FAIL, OK } from "../tables.ts";
import { type Mutator, type Site, withAdded, withLine } from "./editing.ts";

const EXPECTED = ["nonlinearizable-metadata"] as const;

function ok(site: Site, call: string): readonly AdminOperation[] {
  return site.tables.admin.filter((each) => each.call === call && each.outcome === OK);
}

/** No `call` on its topic can take effect between the operation's invoke and its completion. */
function isAlone(site: Site, operation: AdminOperation, call: string): boolean {
  return site.tables.admin
    .filter((each) => each.call === call && each.args["topic"] === operation.args["topic"])
    .every(({ outcome, completedAt, invokedAt, error }) => {
      const settled = outcome === OK || (outcome === FAIL && error !== undefined);
      return (settled && completedAt < operation.invokedAt) || invokedAt > operation.completedAt;
    });
}

function callOf(call: string, args: JsonObject): UnwrittenLine {
  return { p: "liar", type: "invoke", f: "admin", call, args };
}

const createTwice: Mutator = (site) => {
  const created = site.pick(
    ok(site, "createTopic").filter((each) => isAlone(site, each, "deleteTopic")),
  );
  if (created === undefined) return undefined;
  const lines = withAdded(site.lines, created.completedAt, [
    callOf("createTopic", created.args),
    { p: "liar", type: "ok", f: "admin", of: 0 },
  ]);
  return { lines, expected: EXPECTED };
};

const forgetCreated: Mutator = (site) => {
  const created = site.pick(
    ok(site, "createTopic").filter((each) => isAlone(site, each, "deleteTopic")),
  );
  if (created === undefined) return undefined;
  const { topic = "" } = created.args;
  const lines = withAdded(site.lines, created.completedAt, [
    callOf("describeTopic", { topic }),
    { p: "liar", type: "ok", f: "admin", of: 0, result: null },
  ]);
  return { lines, expected: EXPECTED };
};

const keepDeleted: Mutator = (site) => {
  const deleted = site.pick(
    ok(site, "deleteTopic").filter((each) => isAlone(site, each, "createTopic")),
  );
  if (deleted === undefined) return undefined;
  const { topic = "" } = deleted.args;
  const lines = withAdded(site.lines, deleted.completedAt, [
    callOf("describeTopic", { topic }),
    { p: "liar", type: "ok", f: "admin", of: 0, result: { configs: {} } },
  ]);
  return { lines, expected: EXPECTED };
};

const refuseCreate: Mutator = (site) => {
  const deleted = site.pick(
    ok(site, "deleteTopic").filter((each) => isAlone(site, each, "createTopic")),
  );
  if (deleted === undefined) return undefined;
  const { topic = "" } = deleted.args;
  const lines = withAdded(site.lines, deleted.completedAt, [
    callOf("createTopic", { topic }),
    { p: "liar", type: "fail", f: "admin", of: 0, error: "TOPIC_ALREADY_EXISTS" },
  ]);
  return { lines, expected: EXPECTED };
};

/** Everything about the topic is known: a history may begin with topics made before. */
function isCreatedBefore(site: Site, { args, invokedAt }: AdminOperation): boolean {
  return ok(site, "createTopic").some(
    (each) => each.args["topic"] === args["topic"] && each.completedAt < invokedAt,
  );
}

/** A description that differs in one place. */
function described(name: string, change: (result: JsonObject) => JsonObject): Mutator {
  return (site) => {
    const told = site.pick(
      ok(site, "describeTopic")
        .filter(({ result }) => JSON.stringify(result).includes(name))
        .filter((each) => isCreatedBefore(site, each)),
    );
    if (told === undefined) return undefined;
    const result = change(told.result as JsonObject);
    const lines = withLine(
      site.lines,
      told.completedAt,
      (line) => ({ ...line, result }) as HistoryLine,
    );
    return { lines, expected: EXPECTED };
  };
}

const loseConfig: Mutator = (site) => {
  const altered = site.pick(
    ok(site, "alterConfig").filter(
      (each) =>
        (each.args["set"] as JsonObject)["bytes"] !== null &&
        isAlone(site, each, "deleteTopic") &&
        site.tables.admin.filter(
          ({ call, invokedAt, args }) =>
            call === "alterConfig" &&
            args["topic"] === each.args["topic"] &&
            invokedAt < each.completedAt,
        ).length === 1,
    ),
  );
  if (altered === undefined) return undefined;
  const { topic = "" } = altered.args;
  const lines = withAdded(site.lines, altered.completedAt, [
    callOf("describeTopic", { topic }),
    { p: "liar", type: "ok", f: "admin", of: 0, result: { configs: {} } },
  ]);
  return { lines, expected: EXPECTED };
};

const sameProducerId: Mutator = (site) => {
  const [first, second] = site.prng.shuffle(ok(site, "allocateProducerId"));
  if (first === undefined || second === undefined) return undefined;
  const lines = withLine(
    site.lines,
    first.completedAt,
    (line) => ({ ...line, result: second.result }) as HistoryLine,
  );
  return { lines, expected: ["duplicate-producer-id"] };
};

export const METADATA_MUTATORS: Readonly<Record<string, Mutator>> = {
  createTwice,
  forgetCreated,
  keepDeleted,
  refuseCreate,
  wrongPartitions: described("partitions", (result) => ({ ...result, partitions: 99 })),
  wrongConfig: described("bytes", (result) => ({ ...result, configs: { bytes: "99" } })),
  loseConfig,
  sameProducerId,
};
