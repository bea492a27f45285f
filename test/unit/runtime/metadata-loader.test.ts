/** Committed entries become images, once, in order, and subscribers hear what changed. */
import { beforeEach, describe, expect, it } from "vitest";
import { encodeRecords } from "../../../src/metadata/record-codec.ts";
import type { MetadataRecord } from "../../../src/metadata/records.ts";
import { MetadataLoader } from "../../../src/runtime/metadata-loader.ts";
import type { CommittedEntry } from "../../../src/runtime/metadata-log.ts";
import { createMemoryPorts, type MemoryPorts } from "../../support/memory-ports.ts";

const FOUNDED: readonly MetadataRecord[] = [
  { type: "feature-level", name: "metadata.version", level: 1 },
  { type: "cluster", clusterId: "cluster" },
];

function topic(name: string): readonly MetadataRecord[] {
  return [
    { type: "topic", topicId: `id-${name}`, name },
    { type: "config", resource: "topic", name, key: "retention.ms", value: "1" },
    {
      type: "partition",
      topicId: `id-${name}`,
      partition: 0,
      replicas: [1],
      directories: [""],
      isr: [1],
      elr: [],
      lastKnownLeader: -1,
      adding: [],
      removing: [],
      leader: 1,
      leaderEpoch: 0,
      partitionEpoch: 0,
    },
  ];
}

function entry(index: number, records: readonly MetadataRecord[]): CommittedEntry {
  const payload = records.length === 0 ? new Uint8Array(0) : encodeRecords(records);
  return { index, term: 1, payload };
}

interface Heard {
  readonly partitions: readonly string[];
  readonly deleted: readonly string[];
  readonly configs: readonly string[];
  readonly index: number;
}

let memory: MemoryPorts;

beforeEach(() => {
  memory = createMemoryPorts({ auto: false });
});

function loaderThatTells(): { readonly loader: MetadataLoader; readonly heard: Heard[] } {
  const loader = new MetadataLoader({ ports: memory.ports });
  const heard: Heard[] = [];
  loader.subscribe((delta, image) => {
    heard.push({
      partitions: [...delta.changedPartitions.keys()],
      deleted: [...delta.deletedTopics],
      configs: [...delta.changedConfigs],
      index: image.index,
    });
    expect(loader.image).toBe(image);
  });
  return { loader, heard };
}

describe("the metadata loader", () => {
  it("publishes once what was committed together, and entries of Raft's own only move the index", () => {
    const { loader, heard } = loaderThatTells();
    loader.apply([entry(1, []), entry(2, FOUNDED), entry(3, topic("a"))]);
    loader.apply([entry(4, [])]);
    loader.apply([entry(5, [{ type: "remove-topic", topicId: "id-a" }])]);
    expect(heard).toEqual([
      { partitions: ["id-a"], deleted: [], configs: ["topic:a"], index: 3 },
      { partitions: [], deleted: [], configs: [], index: 4 },
      { partitions: [], deleted: ["id-a"], configs: ["topic:a"], index: 5 },
    ]);
  });

  it("tells of a snapshot only what differs from what it had", () => {
    const { loader } = loaderThatTells();
    loader.apply([entry(1, FOUNDED), entry(2, topic("a")), entry(3, topic("b"))]);
    const behind = loaderThatTells();
    behind.loader.apply([entry(1, FOUNDED), entry(2, topic("a")), entry(3, topic("c"))]);
    const bytes = loader.save();
    behind.loader.load({ index: 3, term: 1, bytes });
    expect(behind.heard.at(-1)).toEqual({
      partitions: ["id-b"],
      deleted: ["id-c"],
      configs: ["topic:c", "topic:b"],
      index: 3,
    });
    expect(behind.loader.image).toEqual(loader.image);
    expect(behind.loader.save()).toEqual(bytes);
  });

  it.each([
    ["of a newer Ottla", new TextEncoder().encode('[["shard",1,{}]]')],
    ["that does not fit", encodeRecords([{ type: "remove-topic", topicId: "no" }])],
  ])("stops the broker at an entry %s, and keeps its image", (_what, payload) => {
    const { loader, heard } = loaderThatTells();
    loader.apply([entry(1, FOUNDED)]);
    const { image } = loader;
    expect(() => loader.apply([{ index: 2, term: 1, payload }])).toThrow();
    expect(memory.fatals).toHaveLength(1);
    expect(loader.image).toBe(image);
    expect(heard).toHaveLength(1);
  });
});
