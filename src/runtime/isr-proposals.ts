/**
 * Carries the ISR changes that this broker's leaders want to the controller: one request under way
 * at a time, with every partition in it that has a change when it leaves.
 */
import type {
  AlterPartition,
  AlterPartitionItem,
  ControllerRequests,
} from "../metadata/commands.ts";
import { type ErrorCode, toOttlaError } from "../model/errors.ts";
import { type BrokerEpoch, type BrokerId, partitionKey } from "../model/ids.ts";
import type { Ports } from "../ports/ports.ts";
import type { IsrMember } from "../replica/partition-leader.ts";
import type { LeaderReplica } from "./leader-replica.ts";
import { OncePerTurn } from "./once-per-turn.ts";

export interface IsrProposalsOptions {
  readonly self: BrokerId;
  readonly brokerEpoch: () => BrokerEpoch;
  /** The current epoch of a broker that may be in an ISR; undefined if it may not. */
  readonly epochOf: (id: BrokerId) => BrokerEpoch | undefined;
  readonly send: (
    request: AlterPartition,
  ) => Promise<ControllerRequests["alter-partition"]["reply"]>;
}

const REFUSED_PAUSE_MS = 200;
/**
 * Refusals of a proposal that was judged in its own epochs: it is not in force. Any other says only
 * that they have passed, or are not known there. A request whose answer was lost is sent again, and
 * its first copy may be what moved the epoch: the members count until the metadata tells.
 */
const JUDGED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "INELIGIBLE_REPLICA",
  "INVALID_REQUEST",
]);

export class IsrProposals {
  readonly #ports: Ports;
  readonly #options: IsrProposalsOptions;
  readonly #due = new Set<LeaderReplica>();
  readonly #flush: OncePerTurn;
  #inFlight = false;
  #closed = false;

  constructor(ports: Ports, options: IsrProposalsOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#flush = new OncePerTurn(ports, () => this.#sendDue());
  }

  /** The replica's ISR may have to change: asked again when the request leaves. */
  check(replica: LeaderReplica): void {
    this.#due.add(replica);
    if (!this.#inFlight) this.#flush.schedule();
  }

  close(): void {
    this.#closed = true;
    this.#due.clear();
  }

  #sendDue(): void {
    if (this.#closed || this.#inFlight) return;
    const nowMs = this.#ports.clock.monotonicMs();
    const replicas = new Map<string, LeaderReplica>();
    const partitions: AlterPartitionItem[] = [];
    for (const replica of this.#due) {
      if (replica.closed || nowMs < replica.isrNotBeforeMs) continue;
      const newIsr = replica.proposeIsr(this.#options.epochOf);
      if (newIsr === undefined) continue;
      const { topicId, partition } = replica.name;
      replicas.set(partitionKey(topicId, partition), replica);
      const { leaderEpoch, partitionEpoch } = replica;
      const lost = lostOf(replica, newIsr);
      partitions.push({ topicId, partition, leaderEpoch, partitionEpoch, newIsr, ...lost });
    }
    this.#due.clear();
    if (partitions.length === 0) return;
    this.#inFlight = true;
    this.#propose(partitions, replicas)
      .finally(() => {
        this.#inFlight = false;
        if (this.#due.size > 0) this.#flush.schedule();
      })
      .catch((error: unknown) => this.#ports.fatal("an ISR change could not be handled", error));
  }

  async #propose(
    partitions: readonly AlterPartitionItem[],
    replicas: ReadonlyMap<string, LeaderReplica>,
  ): Promise<void> {
    const { self, brokerEpoch, send } = this.#options;
    try {
      const reply = await send({ brokerId: self, brokerEpoch: brokerEpoch(), partitions });
      const open = new Map(replicas);
      for (const { topicId, partition, error } of reply.partitions) {
        const key = partitionKey(topicId, partition);
        const replica = open.get(key);
        if (replica === undefined) continue;
        open.delete(key);
        // An accepted change stays under way until its metadata arrives here.
        if (error === null) continue;
        this.#failed(replica);
        if (JUDGED.has(error.code)) replica.onProposalRefused();
        else replica.onProposalLost();
      }
      for (const replica of open.values()) {
        this.#count();
        replica.onProposalLost();
      }
    } catch (thrown) {
      const { code } = toOttlaError(thrown);
      if (!this.#closed) this.#ports.logger.warn("no answer to an ISR change", { code });
      for (const replica of replicas.values()) {
        this.#failed(replica);
        replica.onProposalLost();
      }
    }
  }

  #count(): void {
    this.#ports.meter.count("kafka_server_replicamanager_failedisrupdates_total", {}, 1);
  }

  #failed(replica: LeaderReplica): void {
    this.#count();
    replica.isrNotBeforeMs = this.#ports.clock.monotonicMs() + REFUSED_PAUSE_MS;
  }
}

/** Those that lost what they had fsynced must not stay eligible either. */
function lostOf(
  replica: LeaderReplica,
  newIsr: readonly IsrMember[],
): Pick<AlterPartitionItem, "lost"> {
  const lost: BrokerId[] = [];
  for (const { id, lostTail } of replica.followers()) {
    if (lostTail && !newIsr.some(({ brokerId }) => brokerId === id)) lost.push(id);
  }
  return lost.length === 0 ? {} : { lost };
}
