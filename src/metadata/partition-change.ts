/**
 * What becomes of a partition when replicas leave or join its ISR, or its leader has to change: the
 * one place that elects leaders and keeps the ELR (KIP-966). Whoever decides says what is new; this
 * says what follows from it.
 *
 * - A leader comes from the ISR, else from the ELR: both hold every record below the high watermark.
 * - While the ISR is below `min.insync.replicas` the high watermark stands still, so who leaves the
 *   ISR then still holds everything below it, and goes to the ELR; once the ISR is large enough the
 *   high watermark may move on, and the ELR is void.
 * - A replica that lost records, or whose storage failed, is in neither.
 * - A reassignment ends when every replica of its target is in the ISR (C13). The end is a record of
 *   its own behind the one that brought the last of them in: who is elected in it was in the ISR
 *   before it, as in every other election.
 * - While nobody leads, a last leader whose storage failed is remembered, or the first other member
 *   to which that happens; when both ran empty, the last member. It held everything below the high
 *   watermark, which cannot move without a leader. So it leads again once it says that its log is
 *   whole, also while others are in the ELR: those may never come back, or without their disks. In
 *   favour of any other replica the election is unclean.
 */
import { type BrokerId, NONE, type PartitionIndex, type TopicId } from "../model/ids.ts";
import type { MetadataImage, TopicImage } from "./image.ts";
import { isUncleanAllowed, minIsrOf } from "./image-configs.ts";
import type { MetadataRecord, PartitionChangeRecord, PartitionState } from "./records.ts";

export interface PartitionGoal {
  /** The ISR that is wanted; default: as it is. */
  readonly isr?: readonly BrokerId[];
  /** Replicas that do not hold what they should any more, or cannot be read. */
  readonly lost?: readonly BrokerId[];
  /** Of those in `lost`: they said themselves that their log's tail is gone. */
  readonly tailLost?: boolean;
  /** Of those in `lost`: their storage failed, and their log may be whole. */
  readonly unreadable?: boolean;
  /** Prefers the first replica to the present leader. */
  readonly preferred?: boolean;
  /** The last known leader may lead again if it is this one, and its tail was not lost. */
  readonly returned?: BrokerId;
  /** Allows an unclean election. */
  readonly unclean?: boolean;
  readonly directories?: PartitionState["directories"];
}

/** Who may lead. `yes` goes before `last-resort`: a broker that is shutting down. */
export type Electable = (id: BrokerId) => "yes" | "last-resort" | "no";

export function changePartition(
  topicId: TopicId,
  partition: PartitionIndex,
  state: PartitionState,
  goal: PartitionGoal,
  options: { readonly electable: Electable; readonly minIsr: number },
): PartitionChangeRecord | undefined {
  const next = elect(state, goal, options);
  const inOrder = (ids: readonly BrokerId[]): readonly BrokerId[] =>
    state.replicas.filter((id) => ids.includes(id));
  const isr = sameMembers(next.isr, state.isr) ? state.isr : inOrder(next.isr);
  const elr = isr.length >= options.minIsr ? [] : inOrder(next.eligible.filter(not(isr)));
  const last = lastKnownOf(state, goal, { leader: next.leader, isr, elr });
  const change: PartitionChangeRecord = {
    type: "partition-change",
    topicId,
    partition,
    ...(isr === state.isr ? {} : { isr }),
    ...(sameMembers(elr, state.elr) ? {} : { elr }),
    ...(last.id === state.lastKnownLeader ? {} : { lastKnownLeader: last.id }),
    ...(last.lost === (state.lastKnownLeaderLost ?? false)
      ? {}
      : { lastKnownLeaderLost: last.lost }),
    ...(goal.directories === undefined ? {} : { directories: goal.directories }),
    ...(next.leader === state.leader ? {} : { leader: next.leader }),
    ...(next.unclean ? { unclean: true as const } : {}),
  };
  return Object.keys(change).length > 3 ? change : undefined;
}

/**
 * The record that ends the partition's reassignment, if every replica that stays is in sync: those
 * that are to go leave replicas and ISR, and another leads if the leader is one of them.
 */
export function endReassignment(
  topicId: TopicId,
  partition: PartitionIndex,
  state: PartitionState,
  electable: Electable,
): PartitionChangeRecord | undefined {
  const { adding, directories, isr, removing, replicas } = state;
  if (adding.length === 0 && removing.length === 0) return undefined;
  const target = replicas.filter(not(removing));
  if (target.length === 0 || !target.every((id) => isr.includes(id))) return undefined;
  const staying = target.includes(state.leader) ? state.leader : undefined;
  const leader =
    staying ??
    target.find((id) => electable(id) === "yes") ??
    target.find((id) => electable(id) === "last-resort");
  if (leader === undefined) return undefined;
  return {
    type: "partition-change",
    topicId,
    partition,
    replicas: target,
    directories: target.map((id) => directories[replicas.indexOf(id)] ?? ""),
    isr: target,
    elr: [],
    adding: [],
    removing: [],
    ...(leader === state.leader ? {} : { leader }),
  };
}

/** The record, if there is one, and the end of a reassignment that it leads to. */
export function withEnd(
  topicId: TopicId,
  partition: PartitionIndex,
  before: PartitionState,
  change: PartitionChangeRecord | undefined,
  electable: Electable,
): readonly PartitionChangeRecord[] {
  const { replicas, directories, isr, adding, removing, leader } = { ...before, ...change };
  const after = { ...before, replicas, directories, isr, adding, removing, leader };
  const end = endReassignment(topicId, partition, after, electable);
  return [change, end].filter((record) => record !== undefined);
}

interface Election {
  readonly leader: BrokerId;
  readonly isr: readonly BrokerId[];
  /** Holds everything below the high watermark, in the ISR or not. */
  readonly eligible: readonly BrokerId[];
  readonly unclean: boolean;
}

function elect(
  state: PartitionState,
  goal: PartitionGoal,
  { electable }: { readonly electable: Electable },
): Election {
  const lost = goal.lost ?? [];
  const isr = (goal.isr ?? state.isr).filter(not(lost));
  const eligible = [...new Set([...state.isr, ...state.elr, ...isr])].filter(not(lost));
  const pick = (ids: readonly BrokerId[]): BrokerId =>
    ids.find((id) => electable(id) === "yes") ??
    ids.find((id) => electable(id) === "last-resort") ??
    NONE;
  const inIsr = state.replicas.filter((id) => isr.includes(id));

  const first = state.replicas[0] ?? NONE;
  if (goal.preferred === true && isr.includes(first) && electable(first) === "yes") {
    return { leader: first, isr, eligible, unclean: false };
  }
  if (isr.includes(state.leader) && electable(state.leader) !== "no") {
    return { leader: state.leader, isr, eligible, unclean: false };
  }
  const fromIsr = pick(inIsr);
  if (fromIsr !== NONE) return { leader: fromIsr, isr, eligible, unclean: false };

  const fromElr = pick(state.replicas.filter((id) => eligible.includes(id)));
  if (fromElr !== NONE) return { leader: fromElr, isr: [fromElr], eligible, unclean: false };

  const last = state.lastKnownLeader;
  const lastMayReturn =
    goal.returned === last && state.lastKnownLeaderLost !== true && !lost.includes(last);
  if (last !== NONE && lastMayReturn && electable(last) !== "no") {
    return { leader: last, isr: [last], eligible: [...eligible, last], unclean: false };
  }
  if (goal.unclean === true) {
    // The last known leader comes first: it most likely holds the most.
    const order = [last, ...state.replicas].filter((id) => id !== NONE);
    const any = pick(order.filter(not(lost)));
    if (any !== NONE) return { leader: any, isr: [any], eligible: [any], unclean: true };
  }
  return { leader: NONE, isr: [], eligible, unclean: false };
}

function lastKnownOf(
  state: PartitionState,
  goal: PartitionGoal,
  next: Pick<PartitionState, "leader" | "isr" | "elr">,
): { readonly id: BrokerId; readonly lost: boolean } {
  const nobody = { id: NONE, lost: false };
  if (next.leader !== NONE) return nobody;
  const members = [...next.isr, ...next.elr];
  const before = [...state.isr, ...state.elr];
  const unreadable = goal.unreadable === true ? (goal.lost ?? []) : [];
  const last = [state.leader, state.lastKnownLeader];
  if (members.length === 0) last.push(...before);
  else last.push(...unreadable.filter((one) => before.includes(one)));
  const id = last.find((one) => one !== NONE && !members.includes(one));
  if (id === undefined) return nobody;
  const lostNow = goal.tailLost === true && (goal.lost ?? []).includes(id);
  const lostBefore = id === state.lastKnownLeader && state.lastKnownLeaderLost === true;
  const lost = lostNow || lostBefore;
  // Of no more use than those behind it, while there are others.
  return lost && members.length > 0 ? nobody : { id, lost };
}

function not(ids: readonly BrokerId[]): (id: BrokerId) => boolean {
  return (id) => !ids.includes(id);
}

function sameMembers(left: readonly BrokerId[], right: readonly BrokerId[]): boolean {
  return left.length === right.length && left.every((id) => right.includes(id));
}

/** Every registered broker that is not fenced may lead; one that is shutting down only at need. */
export function electableIn(
  image: MetadataImage,
  except: ReadonlySet<BrokerId> = new Set(),
): Electable {
  return (id) => {
    const broker = image.brokers.get(id);
    if (broker === undefined || broker.fenced || except.has(id)) return "no";
    return broker.inControlledShutdown ? "last-resort" : "yes";
  };
}

/**
 * Changes every partition that `goalOf` has a goal for. `properties` are the active controller's;
 * an unclean election is allowed where the topic allows it, unless the goal says otherwise.
 */
export function changePartitions(
  image: MetadataImage,
  options: {
    readonly electable: Electable;
    readonly properties: ReadonlyMap<string, string>;
    readonly goalOf: (
      state: PartitionState,
      topic: TopicImage,
      partition: PartitionIndex,
    ) => PartitionGoal | undefined;
  },
): MetadataRecord[] {
  const records: MetadataRecord[] = [];
  for (const topic of image.topics.values()) {
    let unclean: boolean | undefined;
    for (let partition = 0; partition < topic.partitions.length; partition++) {
      const state = topic.partitions[partition] as PartitionState;
      const goal = options.goalOf(state, topic, partition);
      if (goal === undefined) continue;
      unclean ??= isUncleanAllowed(image, topic.name, options.properties);
      const change = changePartition(
        topic.id,
        partition,
        state,
        { unclean, ...goal },
        {
          electable: options.electable,
          minIsr: minIsrOf(image, topic.name, state.replicas.length),
        },
      );
      records.push(...withEnd(topic.id, partition, state, change, options.electable));
    }
  }
  return records;
}
