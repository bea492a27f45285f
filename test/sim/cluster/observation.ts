/**
 * Brings what happens in a cluster to those who want to hear of it. Everything is seen from
 * outside: on the network, on the disks, at the brokers' use cases, and in what a broker tells of
 * its metadata and of its quorum. After an event only the processes that ran in it are asked.
 */
import {
  EMPTY_IMAGE,
  type MetadataImage,
  type PartitionImage,
} from "../../../src/metadata/image.ts";
import type { RaftStreamMessage } from "../../../src/raft/messages.ts";
import type { MetadataLogStatus } from "../../../src/runtime/metadata-log.ts";
import type { DeliveredMessage, SentMessage } from "../world/sim-network.ts";
import type { SimNode } from "../world/sim-node.ts";
import type { RunningBroker } from "./cluster.ts";
import { ControllerTap } from "./controller-tap.ts";
import { ObservedMetadata } from "./observed-metadata.ts";
import type { Invariant, RunContext } from "./run-context.ts";
import { partitionByKey, partitionsOf } from "./run-context.ts";

type Hook = keyof Invariant;
export type HookArguments<Name extends Hook> = Parameters<NonNullable<Invariant[Name]>>;

/** Who listens to what; most listen to little. */
export class Told {
  readonly #invariants: Invariant[] = [];
  /** Bound once: a property looked up by a name that varies costs more than most checks. */
  readonly #hearing = new Map<Hook, readonly ((...told: never[]) => void)[]>();

  add(invariants: readonly Invariant[]): void {
    this.#invariants.push(...invariants);
    this.#hearing.clear();
  }

  hears(hook: Hook): boolean {
    return this.#hearingOf(hook).length > 0;
  }

  tell<Name extends Hook>(hook: Name, ...told: HookArguments<Name>): void {
    const hearing = this.#hearingOf(hook) as readonly ((...told: HookArguments<Name>) => void)[];
    for (const hear of hearing) hear(...told);
  }

  #hearingOf(hook: Hook): readonly ((...told: never[]) => void)[] {
    let hearing = this.#hearing.get(hook);
    if (hearing === undefined) {
      hearing = this.#invariants.flatMap((invariant) => invariant[hook]?.bind(invariant) ?? []);
      this.#hearing.set(hook, hearing);
    }
    return hearing;
  }
}

/** What is remembered of a process that runs. */
export interface Observed {
  readonly node: SimNode;
  readonly running: RunningBroker | undefined;
  image: MetadataImage | undefined;
}

export class Observation {
  readonly told = new Told();
  #newest: MetadataImage = EMPTY_IMAGE;
  readonly #context: RunContext;
  readonly #metadata = new ObservedMetadata();
  readonly #controllers: ControllerTap;
  readonly #statuses = new Map<
    string,
    { readonly life: number; readonly status: MetadataLogStatus }
  >();
  readonly #onPartition: (text: string) => void;

  constructor(context: RunContext, onPartition: (text: string) => void) {
    const { told } = this;
    this.#context = context;
    this.#onPartition = onPartition;
    this.#controllers = new ControllerTap(context, {
      onControllerRequest: (request) => told.tell("onControllerRequest", request),
      onControllerReply: (reply) => told.tell("onControllerReply", reply),
    });
    const { network, logs, quorum, states } = context;
    network.onSend.push((sent) => this.#onSent(sent));
    network.onDeliver.push((delivered) => this.#onDelivered(delivered));
    network.onStreamEnd.push((ended) => told.tell("onStreamEnd", ended));
    logs.observers.push({
      onWritten: (...written) => told.tell("onWritten", ...written),
      onRemoved: (...removed) => told.tell("onRemoved", ...removed),
      onCompacted: (...written) => told.tell("onCompacted", ...written),
    });
    quorum.observers.push({
      onRaftWritten: (...written) => told.tell("onRaftWritten", ...written),
      onRaftRemoved: (...removed) => told.tell("onRaftRemoved", ...removed),
      onHardState: (...changed) => told.tell("onHardState", ...changed),
      onRaftBase: (...changed) => told.tell("onRaftBase", ...changed),
    });
    states.observers.push({
      onSavedHighWatermark: (...saved) => told.tell("onSavedHighWatermark", ...saved),
      onHead: (...saved) => told.tell("onHead", ...saved),
      onCheckpoint: (...saved) => told.tell("onCheckpoint", ...saved),
    });
  }

  /** The newest metadata that any broker has applied. */
  get newest(): MetadataImage {
    return this.#newest;
  }

  attach(machine: SimNode): void {
    const { logs, quorum, states } = this.#context;
    logs.attach(machine);
    quorum.attach(machine);
    states.attach(machine);
    machine.disk.onWriteAfterFailure = (path) =>
      this.told.tell("onWriteAfterFailure", machine.name, path);
  }

  /** Looks at a process that has run. */
  look(observed: Observed): void {
    const { node, running } = observed;
    const { incarnation } = node;
    if (running === undefined || incarnation === undefined) return;
    const status = running.quorum?.();
    if (status !== undefined) this.#lookAtQuorum(node.name, incarnation.life, status);
    const image = running.api.image();
    if (image === observed.image) return;
    const before = observed.image;
    observed.image = image;
    const older = this.#newest;
    if (image.index > older.index) this.#newest = image;
    this.told.tell("onImage", { node: node.name, before, after: image });
    if (image.index > older.index) this.#tellPartitions(older, image);
  }

  #tellPartitions(older: MetadataImage, newer: MetadataImage): void {
    for (const [key, after] of partitionsOf(newer)) {
      const before = partitionByKey(older, key);
      // Not by the partition epoch: that it rises with each change is what C5 looks for. A snapshot
      // brings equal states as new objects.
      if (before === after || (before !== undefined && isEqual(before, after))) continue;
      const { leader, leaderEpoch, partitionEpoch, isr, elr } = after;
      this.#onPartition(
        `${key} leader ${leader} epoch ${leaderEpoch}/${partitionEpoch} ISR ${isr.join(",")} ELR ${elr.join(",")}`,
      );
      this.told.tell("onPartition", { key, before, after });
    }
  }

  #lookAtQuorum(node: string, life: number, after: MetadataLogStatus): void {
    const known = this.#statuses.get(node);
    const before = known?.life === life ? known.status : undefined;
    if (before !== undefined && isSame(before, after)) return;
    this.#statuses.set(node, { life, status: after });
    for (const entry of this.#context.quorum.takeApplied(node, after)) {
      this.told.tell("onCommitted", entry);
      if (!this.told.hears("onMetadata")) continue;
      const step = this.#metadata.step(entry);
      if (step !== undefined) this.told.tell("onMetadata", step);
    }
    this.told.tell("onQuorum", { node, life, before, after });
  }

  #onSent(sent: SentMessage): void {
    this.told.tell("onSent", sent);
    if (sent.channel === "raft") {
      const message = sent.message as RaftStreamMessage;
      if (message.type === "hello") return;
      this.told.tell("onRaftSent", { node: sent.from.node.name, life: sent.from.life, message });
    } else this.#controllers.onSent(sent);
  }

  #onDelivered({ to, channel, message }: DeliveredMessage): void {
    if (channel !== "raft") return;
    const delivered = message as RaftStreamMessage;
    if (delivered.type === "hello") return;
    const { node, life } = to;
    this.told.tell("onRaftDelivered", { node: node.name, life, message: delivered });
  }
}

function isSame(left: MetadataLogStatus, right: MetadataLogStatus): boolean {
  return (
    left.term === right.term &&
    left.role === right.role &&
    left.appliedIndex === right.appliedIndex &&
    left.commitIndex === right.commitIndex &&
    left.lastIndex === right.lastIndex &&
    left.leaderId === right.leaderId
  );
}

function isEqual(before: PartitionImage, after: PartitionImage): boolean {
  if (before.partitionEpoch !== after.partitionEpoch) return false;
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]) as Set<
    keyof PartitionImage
  >;
  return [...keys].every((key) => JSON.stringify(before[key]) === JSON.stringify(after[key]));
}
