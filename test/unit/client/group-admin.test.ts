/** Administration of groups while their coordinators move, read, or do not answer. */
import { describe, expect, test } from "vitest";
import { Admin } from "../../../src/client/index.ts";
import type { UnaryCalls, UnaryName } from "../../../src/client/messages.ts";
import type { CallOptions, Connection, Transport } from "../../../src/client/transport.ts";
import { OttlaError, toOttlaError } from "../../../src/model/errors.ts";

type Answer = (request: never, options: CallOptions) => unknown;

const BROKERS = [1, 2, 3].map((id) => ({ id, host: "broker", port: id, rack: "" }));

/** Brokers that answer what a test says; the first one's metadata and coordinator for all. */
class Script implements Transport {
  readonly asked: string[] = [];
  /** By `broker name`, `broker *` or `name`. */
  readonly answers = new Map<string, Answer>();
  coordinator = 1;
  partitions = 2;
  /** Partitions of the offsets topic that nobody leads. */
  leaderless: readonly number[] = [];

  connect({ port }: { readonly port: number }): Connection {
    const call = async <Name extends UnaryName>(
      name: Name,
      request: UnaryCalls[Name]["request"],
      options: CallOptions,
    ): Promise<UnaryCalls[Name]["response"]> => {
      if (name === "Metadata") return this.#metadata() as never;
      if (name === "FindCoordinator") return this.#found(request as never) as never;
      this.asked.push(`${port} ${name}`);
      const answer = this.answers.get(`${port} ${name}`) ?? this.answers.get(name);
      if (answer === undefined) throw new Error(`nobody expects ${name} at broker ${port}`);
      return (await answer(request as never, options)) as never;
    };
    const unused = (): never => {
      throw new Error("an administrator opens no streams");
    };
    return {
      call,
      openProduce: unused,
      openFetch: unused,
      openSession: unused,
      ready: () => Promise.resolve(),
      close: () => undefined,
    } as Connection;
  }

  #found({ groupIds }: { readonly groupIds: readonly string[] }) {
    const { coordinator: brokerId } = this;
    const coordinator = { brokerId, leaderEpoch: 0, host: "broker", port: brokerId };
    return { coordinators: groupIds.map((groupId) => ({ groupId, error: null, coordinator })) };
  }

  #metadata() {
    const lists = { replicas: [], isr: [], elr: [], lastKnownElr: [], offlineReplicas: [] };
    const partitions = Array.from({ length: this.partitions }, (_, partition) => ({
      partition,
      leader: this.leaderless.includes(partition) ? -1 : partition + 1,
      leaderEpoch: 0,
      ...lists,
    }));
    const topic = { name: "__consumer_offsets", id: "x", error: null, partitions };
    return { clusterId: "c", controllerId: 1, brokers: BROKERS, topics: [topic] };
  }
}

function refusal(code: string) {
  return { code, message: `it is ${code}`, field: "", retriable: true };
}

function adminOf(script: Script): Admin {
  return new Admin({ bootstrapServers: "broker:1", environment: { transport: script } });
}

async function codeOf(call: Promise<unknown>): Promise<string> {
  return await call.then(
    () => "done",
    (thrown: unknown) => toOttlaError(thrown).code,
  );
}

const GONE = { groups: [{ groupId: "g", error: refusal("GROUP_ID_NOT_FOUND") }] };
const DELETED = { groups: [{ groupId: "g", error: null }] };

describe("a call about a group", () => {
  test("waits while the coordinator reads, and follows it when it moves", async () => {
    const script = new Script();
    await using admin = adminOf(script);
    let refusals = 0;
    script.answers.set("1 DeleteGroups", () => {
      const code = ++refusals < 3 ? "COORDINATOR_LOAD_IN_PROGRESS" : "NOT_COORDINATOR";
      if (refusals === 3) script.coordinator = 2;
      return { groups: [{ groupId: "g", error: refusal(code) }] };
    });
    script.answers.set("2 DeleteGroups", () => DELETED);
    await admin.deleteGroups(["g"]);
    expect(script.asked).toEqual([
      "1 DeleteGroups",
      "1 DeleteGroups",
      "1 DeleteGroups",
      "2 DeleteGroups",
    ]);
  });

  test("follows a coordinator that refuses the whole call", async () => {
    const script = new Script();
    await using admin = adminOf(script);
    script.answers.set("1 OffsetFetch", () => {
      script.coordinator = 3;
      throw new OttlaError("NOT_COORDINATOR", "it moved");
    });
    script.answers.set("3 OffsetFetch", () => ({ partitions: [] }));
    expect(await admin.listGroupOffsets("g")).toEqual([]);
  });

  test("ends with what the coordinator said last, at its deadline", async () => {
    const script = new Script();
    await using admin = adminOf(script);
    const loading = { groups: [{ groupId: "g", error: refusal("COORDINATOR_LOAD_IN_PROGRESS") }] };
    script.answers.set("DeleteGroups", () => loading);
    const call = admin.deleteGroups(["g"], { timeoutMs: 300 });
    expect(await codeOf(call)).toBe("COORDINATOR_LOAD_IN_PROGRESS");
  });

  test("is not repeated where waiting cannot help", async () => {
    const script = new Script();
    await using admin = adminOf(script);
    script.answers.set("DeleteGroups", () => GONE);
    expect(await codeOf(admin.deleteGroups(["g"]))).toBe("GROUP_ID_NOT_FOUND");
    expect(script.asked).toHaveLength(1);
  });

  test("has been done if it was done unheard", async () => {
    const script = new Script();
    await using admin = adminOf(script);
    let lost = true;
    script.answers.set("DeleteGroups", () => {
      if (!lost) return GONE;
      lost = false;
      throw new OttlaError("NETWORK_EXCEPTION", "the connection broke");
    });
    await admin.deleteGroups(["g"]);
    const error = refusal("GROUP_ID_NOT_FOUND");
    lost = true;
    script.answers.set("DeleteOffsets", () => {
      if (!lost) return { error, partitions: [] };
      lost = false;
      throw new OttlaError("NETWORK_EXCEPTION", "the connection broke");
    });
    await admin.deleteGroupOffsets("g", [{ topic: "t", partition: 0 }]);
    expect(script.asked).toHaveLength(4);
  });

  test("goes in pieces that fit a message, each group once", async () => {
    const script = new Script();
    await using admin = adminOf(script);
    const sizes: number[] = [];
    script.answers.set("DeleteGroups", (({
      groupIds,
    }: {
      readonly groupIds: readonly string[];
    }) => {
      sizes.push(groupIds.length);
      return { groups: groupIds.map((groupId) => ({ groupId, error: null })) };
    }) as Answer);
    const names = Array.from({ length: 250 }, (_, index) => `g${index}`);
    await admin.deleteGroups([...names, "g7"]);
    expect(sizes).toEqual([100, 100, 50]);
  });

  test("ends when the caller gives it up", async () => {
    const script = new Script();
    await using admin = adminOf(script);
    const loading = { groups: [{ groupId: "g", error: refusal("COORDINATOR_LOAD_IN_PROGRESS") }] };
    script.answers.set("DeleteGroups", () => loading);
    const stop = new AbortController();
    const call = codeOf(admin.deleteGroups(["g"], { signal: stop.signal }));
    stop.abort();
    expect(await call).toBe("ABORTED");
  });
});

describe("the list of all groups", () => {
  const group = (groupId: string) => ({ groupId, protocolType: "", state: "Empty", members: 0 });

  test("is asked of every coordinator, and again until all have read theirs", async () => {
    const script = new Script();
    await using admin = adminOf(script);
    let loading = 2;
    script.answers.set("1 ListGroups", () => ({ error: null, groups: [group("b"), group("c")] }));
    script.answers.set("2 ListGroups", () =>
      loading-- > 0
        ? { error: refusal("COORDINATOR_LOAD_IN_PROGRESS"), groups: [] }
        : { error: null, groups: [group("a")] },
    );
    const listed = await admin.listGroups();
    expect(listed.map(({ groupId }) => groupId)).toEqual(["a", "b", "c"]);
    expect(script.asked).not.toContain("3 ListGroups");
  });

  test("is refused where a part of it is missing", async () => {
    const script = new Script();
    await using admin = adminOf(script);
    script.answers.set("1 ListGroups", () => ({ error: null, groups: [group("b")] }));
    script.answers.set("2 ListGroups", () => {
      throw new OttlaError("NETWORK_EXCEPTION", "the connection broke");
    });
    expect(await codeOf(admin.listGroups({ timeoutMs: 300 }))).toBe("NETWORK_EXCEPTION");
  });

  test("tells what it knows, and names what nobody answers for", async () => {
    const script = new Script();
    await using admin = adminOf(script);
    script.partitions = 5;
    script.leaderless = [1, 3, 4];
    script.answers.set("1 ListGroups", () => ({ error: null, groups: [group("b"), group("a")] }));
    script.answers.set("3 ListGroups", () => ({
      error: refusal("COORDINATOR_LOAD_IN_PROGRESS"),
      groups: [group("c")],
    }));
    const { groups, missing } = await admin.listReachableGroups({ patienceMs: 1 });
    expect(groups.map(({ groupId }) => groupId)).toEqual(["a", "b", "c"]);
    expect(missing.map(({ partitions }) => partitions)).toEqual([[1, 3, 4], [2]]);
    expect(missing.map(({ error }) => error.code)).toEqual([
      "COORDINATOR_NOT_AVAILABLE",
      "COORDINATOR_LOAD_IN_PROGRESS",
    ]);
    expect(await codeOf(admin.listGroups({ timeoutMs: 300 }))).toBe("COORDINATOR_NOT_AVAILABLE");
  });

  test("is whole once the last partition has a leader again", async () => {
    const script = new Script();
    await using admin = adminOf(script);
    script.leaderless = [1];
    script.answers.set("1 ListGroups", () => {
      script.leaderless = [];
      return { error: null, groups: [group("a")] };
    });
    script.answers.set("2 ListGroups", () => ({ error: null, groups: [group("b")] }));
    const { groups, missing } = await admin.listReachableGroups();
    expect(groups.map(({ groupId }) => groupId)).toEqual(["a", "b"]);
    expect(missing).toEqual([]);
  });

  test("rejects what waiting does not change", async () => {
    const script = new Script();
    await using admin = adminOf(script);
    script.answers.set("ListGroups", () => {
      throw new OttlaError("INVALID_REQUEST", "no such state");
    });
    expect(await codeOf(admin.listReachableGroups())).toBe("INVALID_REQUEST");
  });
});
