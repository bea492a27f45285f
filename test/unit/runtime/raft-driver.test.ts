import { expect, test } from "vitest";
import { utf8 } from "../../../src/base/bytes.ts";
import { OttlaError } from "../../../src/model/errors.ts";
import { RaftCluster } from "./raft-cluster.ts";

test("three empty voters form a cluster, elect and commit", async () => {
  const cluster = new RaftCluster([1, 2, 3]);
  await cluster.start(1);
  await cluster.start(2);
  await cluster.time.pass(5_000);
  // Two of three are a majority, yet a cluster forms only when every configured voter is there.
  expect(cluster.host(1).driver.status().role).toBe("unformed");
  await cluster.start(3);
  const startedMs = cluster.time.nowMs;
  await cluster.untilLeader();
  expect(cluster.time.nowMs - startedMs).toBeLessThan(700);
  await cluster.say("a");
  await cluster.say("b");
  await cluster.untilAllSaid(["a", "b"]);
  const sets = [1, 2, 3].map((id) => JSON.stringify(cluster.host(id).driver.status().voters));
  expect(new Set(sets).size).toBe(1);
  expect(
    cluster
      .host(1)
      .driver.status()
      .voters.map(({ id }) => id),
  ).toEqual([1, 2, 3]);
});

test("a single voter forms at once and keeps its log over a restart", async () => {
  const cluster = new RaftCluster([1]);
  await cluster.start(1);
  await cluster.say("a");
  const before = cluster.host(1).driver.status().self;
  cluster.crash(1);
  await cluster.start(1);
  await cluster.say("b");
  expect(cluster.host(1).machine.words).toEqual(["a", "b"]);
  expect(cluster.host(1).driver.status().self).toEqual(before);
});

test("a killed leader is replaced within the reconnect grace, not an election timeout", async () => {
  const took: number[] = [];
  const cluster = new RaftCluster([1, 2, 3]);
  await cluster.startAll();
  await cluster.say("a");
  const words = ["a"];
  for (let round = 0; round < 8; round++) {
    await cluster.time.pass(1_000 + round * 37);
    const { id } = await cluster.untilLeader();
    cluster.crash(id);
    const startedMs = cluster.time.nowMs;
    await cluster.say(`r${round}`);
    took.push(cluster.time.nowMs - startedMs);
    words.push(`r${round}`);
    await cluster.start(id);
    await cluster.untilAllSaid(words);
  }
  // 300 ms of grace, the spread, and a few round trips; a split vote would add several hundred.
  expect(Math.max(...took)).toBeLessThan(600);
});

test("a leader that is cut off resigns, rejects what waits, and its entry is not applied twice", async () => {
  const cluster = new RaftCluster([1, 2, 3]);
  await cluster.startAll();
  await cluster.say("a");
  const old = await cluster.untilLeader();
  cluster.network.cut(`host${old.id}`);
  let refused: unknown;
  old.driver.propose(old.machine.activeTerm as number, utf8("lost")).catch((error: unknown) => {
    refused = error;
  });
  await cluster.time.until(() => refused !== undefined, 3_000);
  expect((refused as OttlaError).code).toBe("NOT_CONTROLLER");
  expect(old.machine.events.at(-2)).toBe("resign");
  const next = await cluster.untilLeader();
  expect(next.id).not.toBe(old.id);
  await cluster.say("b");
  cluster.network.heal();
  await cluster.untilAllSaid(["a", "b"]);
});

test("a stream that swallows everything is not the only way to a peer", async () => {
  const cluster = new RaftCluster([1, 2, 3]);
  await cluster.startAll();
  await cluster.say("a");
  const leader = await cluster.untilLeader();
  const [follower, other] = [1, 2, 3].filter((id) => id !== leader.id) as [number, number];
  // The leader is heard on its own stream; an answer on the follower's would never arrive.
  cluster.network.swallow(`host${follower}`, `host${leader.id}`);
  cluster.crash(other);
  await cluster.say("b");
  await cluster.untilAllSaid(["a", "b"]);
  await cluster.time.pass(5_000);
  expect((await cluster.untilLeader()).id).toBe(leader.id);
});

test("a restart of all keeps what was committed, and elects quickly", async () => {
  const cluster = new RaftCluster([1, 2, 3]);
  await cluster.startAll();
  await cluster.say("a");
  await cluster.untilAllSaid(["a"]);
  const { term } = cluster.host(1).driver.status();
  for (const id of [1, 2, 3]) cluster.crash(id);
  await cluster.startAll();
  const startedMs = cluster.time.nowMs;
  await cluster.say("b");
  expect(cluster.time.nowMs - startedMs).toBeLessThan(500);
  await cluster.untilAllSaid(["a", "b"]);
  expect(cluster.host(1).driver.status().term).toBeGreaterThan(term);
});

test("a wiped voter returns as another node, catches up, and replaces its old self", async () => {
  const cluster = new RaftCluster([1, 2, 3]);
  await cluster.startAll();
  await cluster.say("a");
  const leader = await cluster.untilLeader();
  const victim = leader.id === 3 ? 2 : 3;
  const old = cluster.host(victim).driver.status().self;
  cluster.crash(victim);
  cluster.disk(victim).wipe();
  await cluster.say("b");
  await cluster.start(victim);
  const fresh = cluster.host(victim).driver.status().self;
  expect(fresh.directoryId).not.toBe(old.directoryId);
  await cluster.time.until(() => leader.machine.events.includes(`replaced ${victim}`), 10_000);
  await cluster.untilAllSaid(["a", "b"]);
  const { voters } = leader.driver.status();
  expect(voters).toContainEqual(fresh);
  expect(voters).not.toContainEqual(old);
  expect(voters.length).toBe(3);
  await cluster.time.until(() => cluster.host(victim).driver.status().role === "follower", 2_000);
  // It counts now: with it and the leader alone the cluster goes on.
  cluster.crash([1, 2, 3].find((id) => id !== leader.id && id !== victim) as number);
  await cluster.say("c");
});

test("a log that ends below its mark makes its node a new one (R22)", async () => {
  const cluster = new RaftCluster([1, 2, 3]);
  await cluster.startAll();
  for (const word of ["a", "b", "c"]) await cluster.say(word);
  await cluster.untilAllSaid(["a", "b", "c"]);
  const leader = await cluster.untilLeader();
  const victim = leader.id === 1 ? 2 : 1;
  const { self: old, lastIndex } = cluster.host(victim).driver.status();
  cluster.crash(victim);
  const store = cluster.disk(victim).stores.get("/data/raft");
  store?.delete(`65${lastIndex.toString(16).padStart(16, "0")}`);
  const host = await cluster.start(victim);
  expect(host.driver.status().self.directoryId).not.toBe(old.directoryId);
  expect(host.incarnation.logged.some(({ message }) => message.includes("lost its tail"))).toBe(
    true,
  );
  await cluster.time.until(() => host.driver.status().role === "follower", 10_000);
  await cluster.untilAllSaid(["a", "b", "c"]);
});

test("voters that all lost their tails do not form a new cluster", async () => {
  const cluster = new RaftCluster([1, 2, 3]);
  await cluster.startAll();
  await cluster.say("a");
  await cluster.time.pass(500);
  for (const id of [1, 2, 3]) {
    cluster.crash(id);
    cluster.disk(id).stores.delete("/data/raft");
  }
  await cluster.startAll();
  await cluster.time.pass(5_000);
  expect(cluster.leader()).toBeUndefined();
  expect(cluster.host(1).driver.status().role).toBe("observer");
});

test("a sole voter that lost its tail refuses to start", async () => {
  const cluster = new RaftCluster([1]);
  await cluster.start(1);
  await cluster.say("a");
  cluster.crash(1);
  cluster.disk(1).stores.delete("/data/raft");
  await expect(cluster.start(1)).rejects.toMatchObject({ code: "DIRECTORY_DAMAGED" });
});

test("a voter that missed the formation adopts it", async () => {
  const cluster = new RaftCluster([1, 2, 3]);
  await cluster.start(1);
  await cluster.start(2);
  await cluster.start(3);
  // Broker 3 dies while it writes the formation down; its directory id is on disk already.
  cluster.disk(3).writeLatencyMs = 1_000;
  await cluster.time.until(() => cluster.host(1).driver.status().role !== "unformed", 1_000);
  expect(cluster.host(3).driver.status().role).toBe("unformed");
  const { self } = cluster.host(3).driver.status();
  cluster.crash(3);
  cluster.disk(3).writeLatencyMs = 1;
  await cluster.say("a");
  await cluster.start(3);
  await cluster.untilAllSaid(["a"]);
  expect(cluster.host(3).driver.status().self).toEqual(self);
  expect(cluster.host(3).driver.status().role).toBe("follower");
});

test("brokers that are no voters follow as observers", async () => {
  const cluster = new RaftCluster([1, 2, 3]);
  await cluster.startAll();
  await cluster.say("a");
  await cluster.start(4);
  await cluster.start(5);
  await cluster.say("b");
  await cluster.untilAllSaid(["a", "b"]);
  expect(cluster.host(4).driver.status().role).toBe("observer");
  expect(cluster.host(4).driver.status().voters.length).toBe(3);
  const { id } = await cluster.untilLeader();
  cluster.crash(id);
  await cluster.say("c");
  await cluster.untilAllSaid(["a", "b", "c"]);
});

test("an observer whose streams have died behind a proxy opens others", async () => {
  const cluster = new RaftCluster([1, 2, 3]);
  await cluster.startAll();
  await cluster.start(4);
  await cluster.say("a");
  await cluster.untilAllSaid(["a"]);
  for (const id of [1, 2, 3]) cluster.network.swallow("host4", `host${id}`);
  await cluster.say("b");
  await cluster.untilAllSaid(["a", "b"], 30_000);
});

test("silence is no reason to end a stream while the quorum is at rest, or after a stall", async () => {
  const cluster = new RaftCluster([1, 2, 3]);
  await cluster.startAll();
  await cluster.start(4);
  await cluster.say("a");
  await cluster.time.pass(60_000);
  cluster.time.stall(15_000);
  await cluster.time.pass(5_000);
  const told = [...cluster.hosts.values()].flatMap(({ incarnation }) => incarnation.logged);
  expect(told.filter(({ message }) => /silent stream/.test(message))).toEqual([]);
});

test("snapshots compact the log; who is far behind is sent one", async () => {
  const cluster = new RaftCluster([1, 2, 3], { snapshotBytes: 100_000 });
  await cluster.startAll();
  const leader = await cluster.untilLeader();
  const away = leader.id === 3 ? 2 : 3;
  await cluster.say("first");
  cluster.crash(away);
  const words = ["first"];
  const term = leader.machine.activeTerm as number;
  for (let batch = 0; batch < 30; batch++) {
    const waiting: Promise<unknown>[] = [];
    for (let count = 0; count < 100; count++) {
      const word = `${batch}.${count}`.padEnd(100, "x");
      words.push(word);
      waiting.push(leader.driver.propose(term, utf8(word)));
    }
    let done = false;
    Promise.all(waiting).then(
      () => {
        done = true;
      },
      () => {},
    );
    await cluster.time.until(() => done, 5_000);
  }
  const files = [...leader.disk.files.keys()].filter((path) => path.includes("snapshots/"));
  expect(files.length).toBe(1);
  const host = await cluster.start(away);
  await cluster.untilAllSaid(words);
  expect(host.machine.loads).toBe(1);
  // And from the snapshot and the log behind it after a restart.
  cluster.crash(away);
  await cluster.start(away);
  await cluster.untilAllSaid(words);
});

test("proposals of one turn share one fsync", async () => {
  const cluster = new RaftCluster([1]);
  await cluster.start(1);
  const { driver, machine, disk } = await cluster.untilLeader();
  const before = disk.syncsCount;
  const waiting = Array.from({ length: 100 }, (_, count) =>
    driver.propose(machine.activeTerm as number, utf8(`w${count}`)),
  );
  let done = false;
  Promise.all(waiting).then(
    () => {
      done = true;
    },
    () => {},
  );
  await cluster.time.until(() => done, 1_000);
  expect(disk.syncsCount - before).toBe(1);
});

test("a stalled event loop is no reason to campaign", async () => {
  const cluster = new RaftCluster([1, 2, 3]);
  await cluster.startAll();
  await cluster.say("a");
  await cluster.time.pass(1_000);
  const { term } = (await cluster.untilLeader()).driver.status();
  for (let round = 0; round < 5; round++) {
    // Nothing runs for half a second, on any machine; then every timer is due at once.
    cluster.time.stall(500);
    await cluster.time.pass(1_500);
  }
  expect((await cluster.untilLeader()).driver.status().term).toBe(term);
});

test("a leader that stood still for longer than an election resigns before it speaks", async () => {
  const cluster = new RaftCluster([1]);
  await cluster.start(1);
  const { driver, machine } = await cluster.untilLeader();
  const term = machine.activeTerm as number;
  cluster.time.stall(5_000);
  await expect(driver.propose(term, utf8("late"))).rejects.toMatchObject({
    code: "NOT_CONTROLLER",
  });
});

test("a disk that hangs costs the leader its place", async () => {
  const cluster = new RaftCluster([1, 2, 3]);
  await cluster.startAll();
  await cluster.say("a");
  const leader = await cluster.untilLeader();
  leader.disk.writeLatencyMs = 1_000_000;
  leader.driver.propose(leader.machine.activeTerm as number, utf8("b")).catch(() => {});
  await cluster.time.until(() => leader.machine.activeTerm === undefined, 5_000);
  expect((await cluster.untilLeader()).id).not.toBe(leader.id);
});

test("a disk that fails ends the incarnation", async () => {
  const cluster = new RaftCluster([1, 2, 3]);
  await cluster.startAll();
  const leader = await cluster.untilLeader();
  leader.disk.failWrites = new OttlaError("DISK_FULL", "full");
  leader.driver.propose(leader.machine.activeTerm as number, utf8("b")).catch(() => {});
  await cluster.time.until(() => leader.incarnation.fatals.length > 0, 1_000);
  expect(leader.incarnation.fatals[0]?.reason).toBe("the metadata log cannot be written");
});

test("leadership is handed over for a controlled shutdown", async () => {
  const cluster = new RaftCluster([1, 2, 3]);
  await cluster.startAll();
  await cluster.say("a");
  const leader = await cluster.untilLeader();
  leader.driver.transferLeadership();
  const took = await cluster.time.until(() => {
    const now = cluster.leader();
    return now !== undefined && now.id !== leader.id;
  }, 1_000);
  expect(took).toBeLessThan(100);
  let closed = false;
  leader.driver.close().then(
    () => {
      closed = true;
    },
    () => {},
  );
  await cluster.time.until(() => closed, 1_000);
});

test("another cluster's broker is refused", async () => {
  const cluster = new RaftCluster([1, 2, 3]);
  await cluster.startAll();
  await cluster.say("a");
  for (const id of [1, 2, 3]) cluster.host(id).driver.setClusterId("ours");
  const stranger = await cluster.start(4, { clusterId: "theirs" });
  await cluster.time.pass(2_000);
  expect(stranger.machine.words).toEqual([]);
  const refusal = stranger.incarnation.logged.find(({ level }) => level === "error");
  expect(refusal?.fields).toMatchObject({ code: "INCONSISTENT_CLUSTER_ID" });
});

test("two brokers with one id: the newcomer gets nowhere while the first one lives", async () => {
  const cluster = new RaftCluster([1, 2, 3]);
  await cluster.startAll();
  await cluster.say("a");
  await cluster.time.pass(500);
  const before = (await cluster.untilLeader()).driver.status().voters;
  const twin = new RaftCluster([1, 2, 3]);
  Object.assign(twin, { time: cluster.time, network: cluster.network });
  // The same id, an empty disk, another machine; the first one keeps the address.
  const first = cluster.host(3);
  await twin.start(3);
  cluster.network.listen({ host: "host3", port: 1 }, "host3", (stream) =>
    first.driver.accept(stream as never),
  );
  await cluster.time.pass(5_000);
  expect((await cluster.untilLeader()).driver.status().voters).toEqual(before);
});
