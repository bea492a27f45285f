/**
 * O1: the committed offset of a group and partition is one register: what is fetched is the last
 * commit that was acknowledged before, or one that may have been made since, whoever coordinates;
 * O2: so a new coordinator shows nothing older; O4: and it vanishes only on request, as long as the
 * group lives; O6: what is committed lies within the partition. Only what the coordinator of the
 * newest metadata shows is judged: one that was cut off may show what was committed before its fall.
 * Source: Kafka's group coordinator; Gibbons and Korach 1997 for the register.
 */
import type { CommitOffset } from "../../../src/group/calls.ts";
import { OFFSETS_TOPIC, partitionOfGroup } from "../../../src/group/partition-of.ts";
import { topicByName } from "../../../src/metadata/image.ts";
import { partitionKey } from "../../../src/model/ids.ts";
import type { GroupCalled } from "../cluster/observed-groups.ts";
import { type Invariant, logEnd, type RunContext } from "../cluster/run-context.ts";

const STATEMENT = "O1 what is fetched is what was committed last";
const NOTHING = "nothing";
/** Refused before anything was proposed. */
const CERTAIN: ReadonlySet<string> = new Set([
  "COORDINATOR_LOAD_IN_PROGRESS",
  "FENCED_INSTANCE_ID",
  "ILLEGAL_GENERATION",
  "REBALANCE_IN_PROGRESS",
  "UNKNOWN_MEMBER_ID",
]);

/** A change of one register, by steps of the run. */
interface Write {
  readonly value: string;
  readonly beganAt: number;
  /** Infinity: nobody was told that it was made. */
  endedAt: number;
}

/** The writes that may still be seen; those that were certainly overwritten are forgotten. */
class Register {
  #writes: Write[] = [{ value: NOTHING, beganAt: -1, endedAt: -1 }];

  begin(value: string, at: number): Write {
    const write = { value, beganAt: at, endedAt: Number.POSITIVE_INFINITY };
    this.#writes.push(write);
    return write;
  }

  /** Refused for certain. */
  drop(write: Write): void {
    this.#writes = this.#writes.filter((each) => each !== write);
  }

  /** What a read that began then may give. */
  seenSince(beganAt: number): readonly Write[] {
    return this.#writes.filter(
      ({ endedAt }) =>
        !this.#writes.some((other) => other.beganAt > endedAt && other.endedAt < beganAt),
    );
  }

  /** Nobody will ever read again what was overwritten before all reads that are under way. */
  forget(beforeAt: number): void {
    this.#writes = [...this.seenSince(beforeAt)];
  }
}

export function offsets(context: RunContext): Invariant {
  const registers = new Map<string, Register>();
  const began = new WeakMap<GroupCalled, number>();
  const writes = new WeakMap<GroupCalled, Map<string, Write>>();
  const reading = new Set<GroupCalled>();
  let step = 0;

  function registerOf(groupId: string, topic: string, partition: number): Register {
    const id = `${groupId} ${topic}-${partition}`;
    const known = registers.get(id) ?? new Register();
    registers.set(id, known);
    return known;
  }

  /** In the newest metadata, and by that of the broker itself. */
  function coordinates(node: string, groupId: string): boolean {
    const images = [context.newestImage(), context.imageOf(node)];
    return images.every((image) => {
      const partitions = image && topicByName(image, OFFSETS_TOPIC)?.partitions;
      if (partitions === undefined) return false;
      const leader = partitions[partitionOfGroup(groupId, partitions.length)]?.leader;
      return leader === context.brokerIdOf(node);
    });
  }

  function checkBounds(node: string, groupId: string, one: CommitOffset): void {
    const image = context.newestImage();
    const topicId = image.topicIds.get(one.topic);
    if (topicId === undefined) return;
    let end = 0;
    const key = partitionKey(topicId, one.partition);
    // Of a log of which all was deleted its start is what is left.
    for (const node of context.nodes) end = Math.max(end, logEnd(context, node, key));
    if (one.offset <= end || context.anyWiped) return;
    context.fail(
      "O6 committed offsets lie within the log",
      `${groupId} commits ${one.offset} of ${one.topic}-${one.partition} at ${node}, nobody has more than ${end}`,
    );
  }

  function oldestRead(): number {
    let oldest = step;
    for (const call of reading) oldest = Math.min(oldest, began.get(call) ?? step);
    return oldest;
  }

  return {
    onLife({ node }) {
      for (const call of reading) if (call.node === node.name) reading.delete(call);
    },
    onGroupCall(call) {
      step++;
      began.set(call, step);
      const { name, request } = call;
      if (name === "fetch") reading.add(call);
      if (name === "delete-group") {
        for (const [id, register] of registers) {
          if (!id.startsWith(`${request.groupId} `)) continue;
          register.begin(NOTHING, step);
        }
      }
      if (name !== "commit" && name !== "delete-offsets") return;
      const made = new Map<string, Write>();
      writes.set(call, made);
      const { groupId } = request;
      const changes =
        name === "commit"
          ? request.offsets.map((one) => [one, `${one.offset} ${one.metadata}`] as const)
          : request.partitions.map((one) => [one, NOTHING] as const);
      for (const [{ topic, partition }, value] of changes) {
        made.set(`${topic}-${partition}`, registerOf(groupId, topic, partition).begin(value, step));
      }
    },
    onGroupAnswer(answered) {
      step++;
      const { call, name, request, result } = answered;
      if (name === "commit" || name === "delete-offsets") {
        const made = writes.get(call);
        if (result.error !== undefined && CERTAIN.has(result.error.code)) {
          for (const write of made?.values() ?? []) {
            for (const register of registers.values()) register.drop(write);
          }
        }
        for (const { topic, partition, error } of result.partitions) {
          const write = made?.get(`${topic}-${partition}`);
          if (write === undefined || error !== undefined) continue;
          write.endedAt = step;
          registerOf(request.groupId, topic, partition).forget(oldestRead());
        }
        if (name !== "commit" || result.error !== undefined) return;
        for (const one of request.offsets) checkBounds(call.node, request.groupId, one);
        return;
      }
      if (name !== "fetch") return;
      reading.delete(call);
      if (result.error !== undefined || !coordinates(call.node, request.groupId)) return;
      for (const { topic, partition, error, offset, metadata } of result.partitions) {
        if (error !== undefined) continue;
        const register = registerOf(request.groupId, topic, partition);
        const value = offset < 0 ? NOTHING : `${offset} ${metadata}`;
        const seen = register.seenSince(began.get(call) ?? step);
        const found = seen.filter((write) => write.value === value);
        if (found.length === 0) {
          const wanted = seen.map((write) => write.value).join(" or ");
          context.fail(
            STATEMENT,
            `${call.node} shows ${value} of ${request.groupId} in ${topic}-${partition}, it must be ${wanted}`,
          );
          return;
        }
        // What was seen has been made.
        const [one, another] = found;
        if (one !== undefined && another === undefined) one.endedAt = Math.min(one.endedAt, step);
      }
    },
  };
}
