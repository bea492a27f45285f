/**
 * Fetch sessions (KIP-227): the broker remembers what a consumer fetches, so that a request names
 * only what changes and an answer only what is new. A consumer of a thousand partitions then sends
 * and gets a few.
 */
import { ZERO_UUID } from "../../kafka-wire/reader.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Random } from "../../ports/random.ts";

/** What a client asks of one partition. */
export interface FetchTarget {
  /** "" where the client names topics by id. */
  readonly topic: string;
  /** Zero where it names them by name. */
  readonly topicId: string;
  readonly partition: number;
  readonly currentLeaderEpoch: number;
  readonly fetchOffset: number;
  readonly lastFetchedEpoch: number;
  readonly partitionMaxBytes: number;
}

export interface SessionPartition {
  target: FetchTarget;
  /** As told last; -1: not yet. */
  highWatermark: number;
  logStartOffset: number;
}

export interface FetchSession {
  readonly id: number;
  /** The request's that comes next. */
  epoch: number;
  /** Whether topics are named by id. */
  readonly byId: boolean;
  /** In the order in which they are served. */
  readonly partitions: Map<string, SessionPartition>;
  usedMs: number;
}

/** Kafka's own: a session that was used within this time does not make room for another. */
const EVICTABLE_MS = 120_000;
const EPOCH_END = 0x7fff_ffff;

export class FetchSessions {
  readonly #ports: { readonly clock: Clock; readonly random: Random };
  readonly #slotsCount: number;
  /** The one used longest ago first. */
  readonly #sessions = new Map<number, FetchSession>();

  /** `slotsCount`: `max.incremental.fetch.session.cache.slots` */
  constructor(ports: { readonly clock: Clock; readonly random: Random }, slotsCount: number) {
    this.#ports = ports;
    this.#slotsCount = slotsCount;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Undefined where all slots are taken by sessions in use: the client sends whole requests then. */
  create(targets: readonly FetchTarget[], byId: boolean): FetchSession | undefined {
    const nowMs = this.#ports.clock.monotonicMs();
    if (this.#sessions.size >= this.#slotsCount) {
      const [oldest] = this.#sessions.values();
      if (oldest === undefined || nowMs - oldest.usedMs < EVICTABLE_MS) return undefined;
      this.#sessions.delete(oldest.id);
    }
    let id = 0;
    while (id === 0 || this.#sessions.has(id)) id = this.#ports.random.below(EPOCH_END);
    const partitions = new Map<string, SessionPartition>();
    for (const target of targets) partitions.set(keyOf(target), fresh(target));
    const session = { id, epoch: 1, byId, partitions, usedMs: nowMs };
    this.#sessions.set(id, session);
    return session;
  }

  remove(id: number): void {
    this.#sessions.delete(id);
  }

  find(id: number): FetchSession | undefined {
    return this.#sessions.get(id);
  }

  /** The session's next request has come: it counts as used, and the one after it is awaited. */
  advance(session: FetchSession): void {
    session.epoch = session.epoch === EPOCH_END ? 1 : session.epoch + 1;
    session.usedMs = this.#ports.clock.monotonicMs();
    this.#sessions.delete(session.id);
    this.#sessions.set(session.id, session);
  }
}

/** Takes over what the request changes: new partitions, new positions, and what it forgets. */
export function updateSession(
  session: FetchSession,
  targets: readonly FetchTarget[],
  forgotten: readonly Pick<FetchTarget, "topic" | "topicId" | "partition">[],
): void {
  for (const target of targets) {
    const known = session.partitions.get(keyOf(target));
    if (known === undefined) session.partitions.set(keyOf(target), fresh(target));
    else known.target = target;
  }
  for (const target of forgotten) session.partitions.delete(keyOf(target));
}

/** Who was served goes behind the others, so that each gets its turn. */
export function moveBehind(session: FetchSession, partition: SessionPartition): void {
  const key = keyOf(partition.target);
  session.partitions.delete(key);
  session.partitions.set(key, partition);
}

function fresh(target: FetchTarget): SessionPartition {
  return { target, highWatermark: -1, logStartOffset: -1 };
}

/** By id where the client names topics so; the name is then not known here, or may change. */
function keyOf(of: Pick<FetchTarget, "topic" | "topicId" | "partition">): string {
  return `${of.topicId === ZERO_UUID ? of.topic : of.topicId}/${of.partition}`;
}
