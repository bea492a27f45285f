/** Why a group does not move, in sentences; or that it does. */
import type { GroupDescription, GroupMemberDescription } from "../client/index.ts";
import type { GroupFacts, GroupPartition } from "./group-facts.ts";

export type FindingKind =
  | "no-members"
  | "rebalancing"
  | "not-joined"
  | "not-assigned"
  | "no-leader"
  | "unknown-partition"
  | "out-of-range"
  | "nobody-has-it"
  | "unknown-topic"
  | "not-committing"
  | "idle-members"
  | "waiting"
  | "no-partitions"
  | "done";

export interface Finding {
  readonly kind: FindingKind;
  readonly sentence: string;
}

export interface Explanation {
  readonly groupId: string;
  readonly state: string;
  /** Ms since 1970; null not known. */
  readonly sinceMs: number | null;
  readonly findings: readonly Finding[];
}

/** Three automatic commits could have been made meanwhile. */
const SILENT_MS = 15_000;
/** So many partitions or members are named; of the rest the number is told. */
const NAMED_COUNT = 5;
const PARTITIONS_COUNT = 10;

/** `nowMs` in ms since 1970, by a clock that may differ a little from the brokers'. */
export function explainGroup(facts: GroupFacts, nowMs: number): Explanation {
  const { group } = facts;
  const { groupId, state, stateTimestampMs } = group;
  const findings = [
    ...membership(group, nowMs),
    ...topics(facts),
    ...partitions(facts),
    ...progress(facts, nowMs),
  ];
  return { groupId, state, sinceMs: stateTimestampMs < 0 ? null : stateTimestampMs, findings };
}

function membership(group: GroupDescription, nowMs: number): Finding[] {
  const { groupId, leader, members, state, stateTimestampMs } = group;
  const since = stateTimestampMs < 0 ? "" : ` since ${ago(stateTimestampMs, nowMs)}`;
  switch (state) {
    case "Empty":
    case "Dead": {
      const sentence = `Group ${groupId} has no members${since}: nobody consumes for it.`;
      return [{ kind: "no-members", sentence }];
    }
    case "PreparingRebalance": {
      const late = members.filter(({ waitsFor }) => waitsFor !== "join");
      const joined = members.length - late.length;
      const sentence = `Group ${groupId} rebalances${since}: ${joined} of ${count(members.length, "member")} have joined again, and nothing is delivered until all have.`;
      return [
        { kind: "rebalancing", sentence },
        ...late.slice(0, NAMED_COUNT).map(
          (member): Finding => ({
            kind: "not-joined",
            sentence: `${capital(named(member))} has not joined again: it has not polled since. The group goes on without it after ${span(member.rebalanceTimeoutMs)} at the latest.`,
          }),
        ),
        ...more("not-joined", late.length, "member"),
      ];
    }
    case "CompletingRebalance": {
      const assigning = members.find(({ memberId }) => memberId === leader);
      const sentence = `Group ${groupId} rebalances${since}: its members have joined and wait for ${assigning === undefined ? "their leader" : named(assigning)} to divide the partitions.`;
      const late = members.filter(({ waitsFor }) => waitsFor !== "sync");
      return [
        { kind: "rebalancing", sentence },
        ...late.slice(0, NAMED_COUNT).map(
          (member): Finding => ({
            kind: "not-assigned",
            sentence: `${capital(named(member))} has not asked for its part yet.`,
          }),
        ),
        ...more("not-assigned", late.length, "member"),
      ];
    }
    case "Stable": {
      const idle = members.filter(({ assignment }) => assignment.length === 0);
      if (idle.length === 0 || group.protocolType !== "consumer") return [];
      const sentence = `${count(idle.length, "member")} of ${members.length} ${idle.length === 1 ? "has" : "have"} no partition: ${list(idle.map(named))}.`;
      return [{ kind: "idle-members", sentence }];
    }
  }
}

function topics({ group, partitions: known, subscribed, unknownTopics }: GroupFacts): Finding[] {
  const findings = unknownTopics.map(
    (topic): Finding => ({
      kind: "unknown-topic",
      sentence: `Members have subscribed to topic ${topic}, which does not exist.`,
    }),
  );
  if (group.state !== "Stable") return findings;
  const taken = new Set(
    known
      .filter(({ member }) => member !== null)
      .map(({ partition, topic }) => `${topic}-${partition}`),
  );
  for (const { name, partitions: all } of subscribed) {
    const free = all.filter(({ partition }) => !taken.has(`${name}-${partition}`));
    if (free.length === 0) continue;
    const names = free.map(({ partition }) => `${name}-${partition}`);
    const sentence = `Nobody has ${list(names)}, though members have subscribed to ${name}: their leader did not assign ${free.length === 1 ? "it" : "them"}.`;
    findings.push({ kind: "nobody-has-it", sentence });
  }
  return findings;
}

function partitions({ partitions: all }: GroupFacts): Finding[] {
  const findings: Finding[] = [];
  for (const one of all) {
    const { currentOffset, logEndOffset, logStartOffset, metadata } = one;
    const name = nameOf(one);
    if (metadata === undefined) {
      const sentence = `Partition ${name} does not exist any more.`;
      findings.push({ kind: "unknown-partition", sentence });
    } else if (metadata.leader < 0) {
      const sentence = `Partition ${name} has no leader: nothing can be read from it until one of its replicas on brokers ${metadata.replicas.join(", ")} is back.`;
      findings.push({ kind: "no-leader", sentence });
    } else if (logEndOffset === null || logStartOffset === null) {
      const sentence = `The leader of partition ${name}, broker ${metadata.leader}, does not answer.`;
      findings.push({ kind: "no-leader", sentence });
    } else if (currentOffset !== null && currentOffset < logStartOffset) {
      const sentence = `The committed offset ${currentOffset} of ${name} is below the log's start ${logStartOffset}: those records are deleted. The consumer goes on as its auto.offset.reset says.`;
      findings.push({ kind: "out-of-range", sentence });
    } else if (currentOffset !== null && currentOffset > logEndOffset) {
      const sentence = `The committed offset ${currentOffset} of ${name} is above the log's end ${logEndOffset}. The consumer goes on as its auto.offset.reset says.`;
      findings.push({ kind: "out-of-range", sentence });
    }
  }
  if (findings.length <= PARTITIONS_COUNT) return findings;
  const left = findings.length - PARTITIONS_COUNT;
  const kind = findings[PARTITIONS_COUNT]?.kind ?? "no-leader";
  const sentence = `Of ${count(left, "more partition")} there is as much to say; describe shows them.`;
  return [...findings.slice(0, PARTITIONS_COUNT), { kind, sentence }];
}

function progress({ group, partitions: all }: GroupFacts, nowMs: number): Finding[] {
  const behind = all.filter(({ lag }) => lag !== null && lag > 0);
  const records = behind.reduce((sum, { lag }) => sum + (lag ?? 0), 0);
  if (group.state !== "Stable") {
    if (records === 0) return [];
    const sentence = `${count(records, "record")} wait in ${count(behind.length, "partition")}.`;
    return [{ kind: "waiting", sentence }];
  }
  const silent = behind.filter(
    ({ committedAtMs, member }) =>
      member !== null && (committedAtMs === null || nowMs - committedAtMs > SILENT_MS),
  );
  const findings: Finding[] = [];
  for (const [member, held] of byMember(silent)) {
    const waiting = held.reduce((sum, { lag }) => sum + (lag ?? 0), 0);
    const last = Math.max(...held.map(({ committedAtMs }) => committedAtMs ?? 0));
    const since = last === 0 ? "" : ` since ${ago(last, nowMs)}`;
    const sentence = `${capital(named(member))} has ${list(held.map(nameOf))}, where ${count(waiting, "record")} wait, and has committed nothing there${since}: it has not polled, it has not finished what it got, or it does not commit.`;
    findings.push({ kind: "not-committing", sentence });
  }
  const unread = all.filter(
    ({ currentOffset, logEndOffset, logStartOffset, member }) =>
      member !== null && currentOffset === null && (logEndOffset ?? 0) > (logStartOffset ?? 0),
  );
  if (unread.length > 0) {
    const sentence = `Nothing is committed yet for ${list(unread.map(nameOf))}, where there are records: consumers begin there as their auto.offset.reset says.`;
    findings.push({ kind: "not-committing", sentence });
  }
  if (findings.length > 0) return findings;
  if (all.length === 0) {
    const sentence = `Group ${group.groupId} is Stable, and no partition is known to be its own.`;
    return [{ kind: "no-partitions", sentence }];
  }
  // What nobody could be asked about may well wait.
  if (records === 0 && all.some(({ lag }) => lag === null)) return [];
  if (records === 0) {
    const sentence = `Nothing waits: group ${group.groupId} has processed all that is in its ${count(all.length, "partition")}.`;
    return [{ kind: "done", sentence }];
  }
  const last = Math.max(...behind.map(({ committedAtMs }) => committedAtMs ?? 0));
  const sentence = `The group moves: ${count(records, "record")} wait in ${count(behind.length, "partition")}, and it last committed there ${ago(last, nowMs)}.`;
  return [{ kind: "waiting", sentence }];
}

function byMember(
  partitionsHeld: readonly GroupPartition[],
): ReadonlyMap<GroupMemberDescription, readonly GroupPartition[]> {
  const out = new Map<GroupMemberDescription, GroupPartition[]>();
  for (const one of partitionsHeld) {
    if (one.member === null) continue;
    out.set(one.member, [...(out.get(one.member) ?? []), one]);
  }
  return out;
}

function nameOf({ partition, topic }: GroupPartition): string {
  return `${topic}-${partition}`;
}

function named({ clientId, groupInstanceId, host, memberId }: GroupMemberDescription): string {
  const instance = groupInstanceId === null ? "" : `instance ${groupInstanceId}, `;
  return `member ${memberId} (${instance}client ${clientId || '""'} on ${host})`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, NAMED_COUNT).join(", ");
  const left = names.length - NAMED_COUNT;
  return left > 0 ? `${shown} and ${left} more` : shown;
}

function more(kind: FindingKind, found: number, what: string): Finding[] {
  const left = found - NAMED_COUNT;
  if (left <= 0) return [];
  return [{ kind, sentence: `The same goes for ${count(left, `more ${what}`)}.` }];
}

function count(value: number, what: string): string {
  return `${value} ${what}${value === 1 ? "" : "s"}`;
}

function ago(timeMs: number, nowMs: number): string {
  return `${new Date(timeMs).toISOString()} (${span(Math.max(0, nowMs - timeMs))} ago)`;
}

function span(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}
