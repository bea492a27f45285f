/**
 * What the clients of one run do, drawn from the seed swarm style: which kinds of clients there are
 * at all, and how busy each is. Some runs only write and read, some are all administration.
 */
import type { Prng } from "../../../src/base/prng.ts";
import { type AssignorName, COMPRESSIONS, type Compression } from "../../../src/client/index.ts";
import type { Acks } from "../../history/format.ts";

export interface ProducerPlan {
  readonly acks: Acks;
  readonly idempotent: boolean;
  readonly compression: Compression;
  /** Null: the SDK decides. */
  readonly lingerMs: number | null;
  readonly maxInFlight: number;
  /** Mean time between two bursts. */
  readonly intervalMs: number;
  /** Most records of one burst. */
  readonly burstCount: number;
  readonly valueBytes: number;
  readonly deliveryTimeoutMs: number;
  readonly requestTimeoutMs: number;
}

export interface ConsumerPlan {
  /** "tail" reads everything from the beginning on, "wander" assigns, seeks and pauses at will. */
  readonly habit: "tail" | "wander";
  readonly pollMs: number;
  readonly prefetchBytes: number;
  readonly autoOffsetReset: "earliest" | "latest" | "none";
}

export interface GroupPlan {
  readonly groupId: string;
  readonly membersCount: number;
  /** Of them, those with an instance id. */
  readonly staticCount: number;
  readonly strategy: AssignorName;
  readonly sessionTimeoutMs: number;
  readonly maxPollIntervalMs: number;
  /** 0: commits by hand. */
  readonly autoCommitMs: number;
  readonly pollMs: number;
  /** One poll in so many is followed by a rest of up to `slowMs`. */
  readonly slowOneIn: number;
  readonly slowMs: number;
  /** Mean time until one of its members is frozen, for up to twice its session; 0: none is. */
  readonly freezeMs: number;
}

export interface AdminPlan {
  readonly intervalMs: number;
  /** Topics that are created, written to, deleted and created again. */
  readonly churns: boolean;
  /** Whether records may be deleted, by offset or by retention. */
  readonly deletes: boolean;
  readonly flips: boolean;
  readonly elects: boolean;
  readonly grows: boolean;
}

export interface WorkloadPlan {
  readonly topics: readonly {
    readonly name: string;
    readonly partitionsCount: number;
    readonly configs: Readonly<Record<string, string>>;
    /** As `LastingTopic.keysCount`. */
    readonly keysCount: number | undefined;
  }[];
  readonly producers: readonly ProducerPlan[];
  readonly consumers: readonly ConsumerPlan[];
  readonly groups: readonly GroupPlan[];
  /** Whether the offsets topic is compacted early. */
  readonly compactsOffsets: boolean;
  readonly admin: AdminPlan | undefined;
  /** What brokers are configured with because of the workload. */
  readonly properties: Readonly<Record<string, string>>;
  /** Mean time between two crashes of a client process; 0: none crashes. */
  readonly crashMs: number;
  /** Mean time between two breaks of a client's connections to one broker; 0: none. */
  readonly breakMs: number;
}

/** Records a second over all producers, about. */
const RECORDS_PER_SECOND = [15, 60, 150] as const;

export function drawWorkload(prng: Prng, minIsr: number): WorkloadPlan {
  const topicsCount = prng.chance(1, 4) ? 2 : 1;
  const admin = prng.chance(1, 2) ? drawAdmin(prng.fork("admin")) : undefined;
  const compaction = prng.fork("compaction");
  const segments = prng.fork("segments");
  const isCompacted = compaction.chance(1, 3);
  const topics = ["orders", "payments"].slice(0, topicsCount).map((name) => {
    const partitionsCount = prng.between(1, 4);
    const configs = {
      "min.insync.replicas": String(minIsr),
      ...(prng.chance(1, 3) ? { "segment.bytes": String(1024 * 1024) } : {}),
      // Else a segment is never full within a run, and retention finds only what it closes itself.
      ...(admin?.deletes === true && segments.chance(1, 2)
        ? { "internal.segment.bytes": String(segments.pick([800, 3_000])) }
        : {}),
    };
    if (!isCompacted || compaction.chance(1, 4)) {
      return { name, partitionsCount, configs, keysCount: undefined };
    }
    const keysCount = compaction.pick([1, 4, 20]);
    return {
      name,
      partitionsCount,
      configs: { ...configs, ...drawCompaction(compaction) },
      keysCount,
    };
  });
  const grouping = prng.fork("groups");
  const groups = grouping.chance(1, 3) ? drawGroups(grouping) : [];
  const producersCount = prng.between(1, 4);
  const perSecond = prng.pick(RECORDS_PER_SECOND);
  return {
    topics,
    producers: Array.from({ length: producersCount }, (_, index) =>
      drawProducer(prng.fork(`producer ${index}`), index, perSecond / producersCount),
    ),
    consumers: Array.from({ length: prng.pick([1, 1, 2, 3]) }, (_, index) => ({
      habit: index === 0 || prng.chance(1, 3) ? "tail" : "wander",
      pollMs: prng.pick([30, 100, 400]),
      prefetchBytes: prng.pick([16 * 1024, 1024 * 1024]),
      // Where nothing may be deleted nobody is ever out of range: a reset would be seen as a skip.
      autoOffsetReset: admin?.deletes === true ? "none" : prng.pick(["none", "earliest", "latest"]),
    })),
    admin,
    groups,
    compactsOffsets: groups.length > 0 && grouping.chance(1, 2),
    properties: {
      ...(isCompacted || groups.length > 0 ? drawCleaner(compaction) : {}),
      ...(groups.length > 0 ? drawCoordinator(grouping) : {}),
    },
    crashMs: prng.pick([0, 0, 4_000, 15_000]),
    breakMs: prng.pick([0, 0, 800, 5_000]),
  };
}

function drawProducer(prng: Prng, index: number, recordsPerSecond: number): ProducerPlan {
  // The first one always makes the promise that matters most.
  const kind = index === 0 ? 0 : prng.below(6);
  const burstCount = prng.pick([1, 4, 20]);
  return {
    acks: kind === 4 ? 1 : kind === 5 ? 0 : "all",
    idempotent: kind < 3,
    compression: prng.chance(1, 2) ? "none" : prng.pick(COMPRESSIONS),
    lingerMs: prng.pick([null, null, 0, 30]),
    maxInFlight: prng.between(1, 5),
    intervalMs: Math.max(2, Math.round((500 * (burstCount + 1)) / recordsPerSecond)),
    burstCount,
    valueBytes: prng.pick([10, 200, 2_000]),
    deliveryTimeoutMs: prng.pick([1_500, 10_000, 120_000]),
    requestTimeoutMs: prng.pick([1_000, 5_000, 30_000]),
  };
}

function drawGroups(prng: Prng): readonly GroupPlan[] {
  return Array.from({ length: prng.pick([1, 1, 2]) }, (_, index) => {
    const membersCount = prng.between(1, 5);
    const sessionTimeoutMs = prng.pick([600, 1_500, 4_000]);
    return {
      groupId: `group-${index + 1}`,
      membersCount,
      staticCount: prng.chance(1, 3) ? prng.between(1, membersCount) : 0,
      strategy: prng.pick(["range", "roundrobin", "sticky", "cooperative-sticky"] as const),
      sessionTimeoutMs,
      maxPollIntervalMs: prng.pick([2_000, 60_000]),
      autoCommitMs: prng.pick([0, 100, 1_000]),
      pollMs: prng.pick([50, 300]),
      slowOneIn: prng.pick([5, 50]),
      slowMs: prng.pick([50, 400, 3_000]),
      freezeMs: prng.pick([0, 2_000, 6_000]),
    };
  });
}

function drawCoordinator(prng: Prng): Readonly<Record<string, string>> {
  return {
    "offsets.topic.num.partitions": String(prng.between(1, 3)),
    "group.initial.rebalance.delay.ms": prng.pick(["0", "0", "300"]),
    "group.min.session.timeout.ms": "300",
    "group.coordinator.append.linger.ms": prng.pick(["-1", "0", "5"]),
  };
}

/** Small segments that are closed early, and little patience with what is dirty. */
function drawCompaction(prng: Prng): Readonly<Record<string, string>> {
  const rollMs = prng.pick([0, 400, 2_000]);
  const lagMs = prng.pick([0, 0, 1_000]);
  return {
    // Without retention of their own, logs that may also be deleted lose nothing within a run.
    "cleanup.policy": prng.chance(1, 3) ? "compact,delete" : "compact",
    "internal.segment.bytes": String(prng.pick([800, 3_000, 20_000])),
    ...(rollMs === 0 ? {} : { "segment.ms": String(rollMs) }),
    "min.cleanable.dirty.ratio": prng.pick(["0", "0.01", "0.3", "0.6"]),
    "delete.retention.ms": String(prng.pick([0, 300, 4_000])),
    "min.compaction.lag.ms": String(lagMs),
    ...(prng.chance(1, 4) ? { "max.compaction.lag.ms": "1500" } : {}),
  };
}

function drawCleaner(prng: Prng): Readonly<Record<string, string>> {
  return {
    "log.cleaner.backoff.ms": String(prng.pick([30, 300, 1_500])),
    "log.cleaner.threads": String(prng.between(1, 2)),
    // So slow that much happens while a log is cleaned.
    ...(prng.chance(1, 3) ? { "log.cleaner.io.max.bytes.per.second": "30000" } : {}),
  };
}

function drawAdmin(prng: Prng): AdminPlan {
  return {
    intervalMs: prng.pick([50, 300, 1_500]),
    churns: prng.chance(1, 2),
    deletes: prng.chance(1, 3),
    flips: prng.chance(1, 2),
    elects: prng.chance(1, 2),
    grows: prng.chance(1, 3),
  };
}
