import { beforeEach, describe, expect, test } from "vitest";
import { utf8 } from "../../../src/base/bytes.ts";
import { OttlaError } from "../../../src/model/errors.ts";
import type { EntryKind, RaftEntry, RaftNode } from "../../../src/raft/messages.ts";
import type { HardState, RaftWrite, SnapshotInstall } from "../../../src/raft/state.ts";
import { type OpenedRaftLog, RaftLog } from "../../../src/storage/raft-log.ts";
import { MemoryDisk, MemoryNetwork, startIncarnation } from "../../support/memory-host.ts";
import { VirtualTime } from "../../support/virtual-time.ts";

const VOTERS: readonly RaftNode[] = [
  { id: 1, directoryId: "a" },
  { id: 2, directoryId: "b" },
];

function entry(
  index: number,
  term: number,
  word = `w${index}`,
  kind: EntryKind = "data",
): RaftEntry {
  return { index, term, kind, payload: utf8(word) };
}

function write(
  entries: readonly RaftEntry[],
  hardState: Partial<HardState> = {},
  snapshot?: SnapshotInstall,
): RaftWrite {
  const term = entries.at(-1)?.term ?? 1;
  return {
    hardState: { term, votedFor: undefined, commitIndex: 0, ...hardState },
    snapshot,
    entries,
    messagesAfterAppend: [],
  };
}

function snapshotAt(index: number, term: number, state = `state ${index}`): SnapshotInstall {
  const bytes = utf8(state);
  return { head: { index, term, voters: VOTERS, sizeBytes: bytes.length }, bytes };
}

let time: VirtualTime;
let disk: MemoryDisk;
let seed = 1;

beforeEach(() => {
  time = new VirtualTime();
  disk = new MemoryDisk();
});

/** Settles when virtual time has brought what the work waits for. */
async function run<Result>(work: Promise<Result>): Promise<Result> {
  let settled = false;
  const mark = (): void => {
    settled = true;
  };
  work.then(mark, mark);
  await time.until(() => settled, 10_000);
  return work;
}

function open(options: { soleVoter?: boolean; brokerId?: number } = {}): Promise<OpenedRaftLog> {
  const { ports } = startIncarnation({
    name: "host",
    time,
    disk,
    network: new MemoryNetwork(time),
    seed: seed++,
  });
  const { soleVoter = false, brokerId = 1 } = options;
  return run(RaftLog.open(ports, { dataDirectory: "/data", brokerId, soleVoter }));
}

const keysOf = (prefix: string): string[] =>
  [...(disk.stores.get("/data/raft")?.keys() ?? [])].filter((key) => key.startsWith(prefix));

function entryKeyAt(index: number): string {
  return `65${index.toString(16).padStart(16, "0")}`;
}

test("an empty directory is pristine and has an identity that stays", async () => {
  const first = await open();
  expect(first.log.isPristine).toBe(true);
  expect(first.persisted.entries).toEqual([]);
  const second = await open();
  expect(second.log.directoryId).toBe(first.log.directoryId);
  expect(second.log.isPristine).toBe(true);
});

test("the formation is the first entry, and is remembered", async () => {
  const { log } = await open();
  await run(log.form(VOTERS));
  expect(log.isPristine).toBe(false);
  const again = await open();
  expect(again.log.formation).toEqual(VOTERS);
  expect(again.log.isPristine).toBe(false);
  expect(again.persisted.entries.map(({ index, term, kind }) => ({ index, term, kind }))).toEqual([
    { index: 1, term: 1, kind: "config" },
  ]);
  expect(again.persisted.hardState).toEqual({ term: 1, votedFor: undefined, commitIndex: 1 });
});

test("entries and hard state come back as they were written", async () => {
  const { log } = await open();
  const entries = [entry(1, 1), entry(2, 3, "", "no-op"), entry(3, 3)];
  const hardState = { term: 4, votedFor: VOTERS[1], commitIndex: 2 };
  await run(log.write(write(entries, hardState as HardState)));
  const { persisted } = await open();
  expect(persisted.entries).toEqual(entries);
  expect(persisted.hardState).toEqual(hardState);
});

test("entries replace what was stored at and above their index", async () => {
  const { log } = await open();
  await run(log.write(write([entry(1, 1), entry(2, 1), entry(3, 1), entry(4, 1)])));
  await run(log.write(write([entry(2, 2, "other")])));
  const { persisted } = await open();
  expect(persisted.entries).toEqual([entry(1, 1), entry(2, 2, "other")]);
});

test("a write without a hard state touches no disk", async () => {
  const { log } = await open();
  const before = disk.syncsCount;
  await run(
    log.write({ hardState: undefined, snapshot: undefined, entries: [], messagesAfterAppend: [] }),
  );
  expect(disk.syncsCount).toBe(before);
});

test("a received snapshot replaces the log", async () => {
  const { log } = await open();
  await run(log.write(write([entry(1, 1), entry(2, 1), entry(3, 1)])));
  await run(log.write(write([entry(11, 5)], { commitIndex: 10 }, snapshotAt(10, 4))));
  const { persisted, snapshot } = await open();
  expect(persisted.base).toEqual({ index: 10, term: 4 });
  expect(persisted.entries).toEqual([entry(11, 5)]);
  expect(snapshot).toEqual(snapshotAt(10, 4));
  expect(keysOf("65")).toEqual([entryKeyAt(11)]);
});

test("the log is compacted behind a snapshot, and only the newest snapshot is kept", async () => {
  const { log } = await open();
  await run(log.write(write(Array.from({ length: 10 }, (_, at) => entry(at + 1, 1)))));
  await run(log.saveSnapshot(snapshotAt(4, 1)));
  await run(log.saveSnapshot(snapshotAt(8, 1)));
  await run(log.saveSnapshot(snapshotAt(6, 1)));
  await run(log.compact({ index: 5, term: 1 }));
  const { persisted, snapshot } = await open();
  expect(snapshot?.head.index).toBe(8);
  expect(persisted.base).toEqual({ index: 5, term: 1 });
  expect(persisted.entries.map(({ index }) => index)).toEqual([6, 7, 8, 9, 10]);
  expect([...disk.files.keys()].filter((path) => path.includes("/snapshots/")).length).toBe(1);
});

test("after a failure nothing more is accepted", async () => {
  const { log } = await open();
  disk.failWrites = new OttlaError("DISK_FULL", "full");
  await expect(run(log.write(write([entry(1, 1)])))).rejects.toMatchObject({ code: "DISK_FULL" });
  disk.failWrites = undefined;
  await expect(run(log.write(write([entry(1, 1)])))).rejects.toMatchObject({ code: "DISK_FULL" });
});

test("another broker's directory is refused", async () => {
  await open({ brokerId: 1 });
  await expect(open({ brokerId: 2 })).rejects.toMatchObject({ code: "DIRECTORY_FOREIGN" });
});

test("a crash between log and mark costs nothing, at any step of any write", async () => {
  // Goal: at every point where the machine could stop, the log that is found keeps its mark.
  const writes = [
    write([entry(1, 1), entry(2, 1), entry(3, 1), entry(4, 1)], { commitIndex: 2 }),
    write([entry(3, 2), entry(4, 2)], { commitIndex: 2 }),
    write([entry(5, 3)], { term: 3, votedFor: VOTERS[0], commitIndex: 3 } as HardState),
    write([entry(11, 4)], { commitIndex: 10 }, snapshotAt(10, 4)),
    write([entry(11, 5)], { commitIndex: 10 }),
  ];
  for (let stop = 0; stop < 40; stop++) {
    disk = new MemoryDisk();
    const incarnation = startIncarnation({
      name: "host",
      time,
      disk,
      network: new MemoryNetwork(time),
      seed: 7,
    });
    let finished = false;
    RaftLog.open(incarnation.ports, { dataDirectory: "/data", brokerId: 1, soleVoter: false })
      .then(async ({ log }) => {
        for (const each of writes) await log.write(each);
        finished = true;
      })
      .catch(() => {});
    // Every step on the disk takes a millisecond.
    await time.pass(stop + 0.5);
    incarnation.crash();
    const directoryId = /"directoryId":"([^"]+)"/.exec(
      new TextDecoder().decode(disk.slots.get("/data/raft-mark")),
    )?.[1];
    const { log, persisted } = await open();
    if (directoryId !== undefined) expect(log.directoryId).toBe(directoryId);
    if (finished) {
      expect(persisted.entries).toEqual([entry(11, 5)]);
      return;
    }
  }
  throw new Error("the writes never finished");
});

describe("a log that broke a promise", () => {
  async function written(): Promise<string> {
    const { log } = await open();
    const hardState = { term: 2, votedFor: VOTERS[1], commitIndex: 2 } as HardState;
    await run(log.write(write([entry(1, 1), entry(2, 1), entry(3, 2)], hardState)));
    return log.directoryId;
  }

  const DAMAGES: readonly (readonly [string, () => void])[] = [
    ["its last entry is gone", () => disk.stores.get("/data/raft")?.delete(entryKeyAt(3))],
    ["an entry in the middle is gone", () => disk.stores.get("/data/raft")?.delete(entryKeyAt(2))],
    ["everything is gone", () => disk.stores.delete("/data/raft")],
    ["the mark is gone", () => disk.slots.clear()],
    ["the vote is gone", () => disk.stores.get("/data/raft")?.delete("68")],
    [
      "a bit of an entry flipped",
      () => {
        const pairs = disk.stores.get("/data/raft");
        const value = pairs?.get(entryKeyAt(2))?.value as Uint8Array;
        value[14] = (value[14] as number) ^ 1;
      },
    ],
    [
      "a bit of the hard state flipped",
      () => {
        const value = disk.stores.get("/data/raft")?.get("68")?.value as Uint8Array;
        value[9] = (value[9] as number) ^ 1;
      },
    ],
  ];

  test.each(DAMAGES)(
    "%s: the node returns as another, empty and not pristine",
    async (_, damage) => {
      const before = await written();
      damage();
      const { log, persisted } = await open();
      expect(log.directoryId).not.toBe(before);
      expect(log.isPristine).toBe(false);
      expect(persisted.entries).toEqual([]);
      expect(persisted.hardState.term).toBe(0);
      // And stays that.
      const again = await open();
      expect(again.log.directoryId).toBe(log.directoryId);
      expect(again.log.isPristine).toBe(false);
    },
  );

  test.each(DAMAGES)(
    "%s: a sole voter refuses to start, and changes nothing",
    async (_, damage) => {
      await written();
      damage();
      await expect(open({ soleVoter: true })).rejects.toMatchObject({ code: "DIRECTORY_DAMAGED" });
      await expect(open({ soleVoter: true })).rejects.toMatchObject({ code: "DIRECTORY_DAMAGED" });
    },
  );

  test("the old log is set aside for people", async () => {
    await written();
    disk.stores.get("/data/raft")?.delete(entryKeyAt(3));
    await open();
    expect([...disk.stores.keys()]).toContain("/data/raft-quarantine/raft");
  });
});

test("a defect above the mark was never promised: it is cut off", async () => {
  const { log } = await open();
  await run(log.write(write([entry(1, 1), entry(2, 1)])));
  const mark = disk.slots.get("/data/raft-mark") as Uint8Array;
  await run(log.write(write([entry(3, 1), entry(4, 1), entry(5, 1)])));
  // As if the machine had stopped before the mark was written, and the disk had a hole.
  disk.slots.set("/data/raft-mark", mark);
  disk.stores.get("/data/raft")?.delete(entryKeyAt(4));
  const again = await open();
  expect(again.log.directoryId).toBe(log.directoryId);
  expect(again.persisted.entries.map(({ index }) => index)).toEqual([1, 2, 3]);
  expect(keysOf("65")).toEqual([1, 2, 3].map(entryKeyAt));
});

test("a damaged snapshot is no ground to stand on when the log needs it", async () => {
  const { log } = await open();
  await run(log.write(write([entry(1, 1), entry(2, 1), entry(3, 1)])));
  await run(log.saveSnapshot(snapshotAt(2, 1)));
  await run(log.compact({ index: 2, term: 1 }));
  const [path, file] = [...disk.files].find(([name]) => name.includes("/snapshots/")) as [
    string,
    Uint8Array,
  ];
  file[file.length - 1] = (file.at(-1) as number) ^ 1;
  expect(path).toContain("0000000000000002-1.snapshot");
  const again = await open();
  expect(again.log.directoryId).not.toBe(log.directoryId);
});
