/** Ways in which a log, or who reads it, can go wrong; each breaks a valid history in one place. */
import type { HistoryLine, InvokeOf } from "../format.ts";
import { ACKS_ALL, FAIL, FROM_OFFSET, FROM_START } from "../tables.ts";
import {
  type Mutator,
  type PollLine,
  type Site,
  withAck,
  withAdded,
  withLastRecord,
  withLine,
  withRecords,
  withRecordsOf,
} from "./editing.ts";

const loseOne: Mutator = (site) => {
  const key = site.pick(site.keptKeys);
  if (key === undefined) return undefined;
  const last = site.lastRead(key);
  const lost = site.pick(
    site.committed(key).filter((each) => each.offset < last && site.isReadOnce(each)),
  );
  if (lost === undefined) return undefined;
  const lines = withRecords(site.lines, (records, { key: name }) =>
    name === key.name ? records.filter(([offset]) => offset !== lost.offset) : records,
  );
  return { lines, expected: ["lost-write"] };
};

const loseTail: Mutator = (site) => {
  const key = site.pick(site.keptKeys);
  const lost = key && site.pick(site.committed(key).filter((each) => site.isReadOnce(each)));
  if (lost === undefined) return undefined;
  const lines = withRecords(site.lines, (records, { key: name }) =>
    name === lost.key.name ? records.filter(([offset]) => offset < lost.offset) : records,
  );
  return { lines, expected: ["unseen"] };
};

const loseWithoutOffset: Mutator = (site) => {
  const sends = site.keptKeys.flatMap((key) => site.sent(key));
  const lost = site.pick(
    sends.filter(
      (each) =>
        site.isOk(each) &&
        each.offset === -1 &&
        each.key.sent.acks[each.id] === ACKS_ALL &&
        site.isRead(each) &&
        each.completedAt < site.final.of,
    ),
  );
  if (lost === undefined) return undefined;
  const lines = withRecords(site.lines, (records, { key }) =>
    key === lost.key.name ? records.filter(([, value]) => value !== lost.value) : records,
  );
  return { lines, expected: ["unseen"] };
};

/** The log lost its end after it was read. */
const truncate: Mutator = (site) => {
  const { of } = site.final;
  const key = site.pick(site.keptKeys);
  const earlier = site.polls
    .filter(({ i }) => i < of)
    .flatMap(({ recs }) => recs[key?.name ?? ""] ?? []);
  const from = site.pick(earlier)?.[0];
  if (key === undefined || from === undefined) return undefined;
  const lines = withRecords(site.lines, (records, { poll, key: name }) =>
    name === key.name && poll.i > of ? records.filter(([offset]) => offset < from) : records,
  );
  return { lines, expected: ["vanished"] };
};

const forgetOne: Mutator = (site) => {
  const { of } = site.final;
  const key = site.pick(site.keptKeys);
  const earlier = site.polls
    .filter(({ i }) => i < of)
    .flatMap(({ recs }) => recs[key?.name ?? ""] ?? []);
  const gone = site.pick(earlier)?.[0];
  if (key === undefined || gone === undefined) return undefined;
  const lines = withRecords(site.lines, (records, { poll, key: name }) =>
    name === key.name && poll.i > of ? records.filter(([offset]) => offset !== gone) : records,
  );
  return { lines, expected: ["vanished"] };
};

/** A leader acknowledged alone what it had promised to replicate. */
const weakAckTaken: Mutator = (site) => {
  const weak = site.keptKeys
    .flatMap((key) => site.sent(key))
    .filter((each) => site.isOk(each) && each.offset >= 0 && each.key.sent.acks[each.id] === 1)
    .filter((each) => !site.isRead(each) && each.completedAt < site.final.of);
  const promoted = site.pick(weak);
  if (promoted === undefined) return undefined;
  const lines = withLine(
    site.lines,
    promoted.invokedAt,
    (line) => ({ ...line, acks: "all" }) as HistoryLine,
  );
  return { lines, expected: ["lost-write", "unseen"] };
};

/** A poll with at least `count` records of one key. */
function pollOf(
  site: Site,
  count: number,
): { readonly poll: PollLine; readonly key: string } | undefined {
  const all = site.polls.flatMap((poll) =>
    Object.entries(poll.recs)
      .filter(([, records]) => records.length >= count)
      .map(([key]) => ({ poll, key })),
  );
  return site.pick(all);
}

const swapInPoll: Mutator = (site) => {
  const at = pollOf(site, 2);
  if (at === undefined) return undefined;
  const length = at.poll.recs[at.key]?.length ?? 0;
  const index = site.prng.below(length - 1);
  const lines = withRecordsOf(site.lines, at, (records) => {
    const [left, right] = records.slice(index, index + 2);
    if (left === undefined || right === undefined) return records;
    return [...records.slice(0, index), right, left, ...records.slice(index + 2)];
  });
  return { lines, expected: ["int-nonmonotonic-poll"] };
};

const repeatInPoll: Mutator = (site) => {
  const at = pollOf(site, 1);
  if (at === undefined) return undefined;
  const length = at.poll.recs[at.key]?.length ?? 0;
  const index = site.prng.below(length);
  const lines = withRecordsOf(site.lines, at, (records) => [
    ...records.slice(0, index + 1),
    ...records.slice(index),
  ]);
  return { lines, expected: ["int-nonmonotonic-poll"] };
};

/** One reader misses a record in the middle of a poll that another reader got. */
function holeInPoll(site: Site): readonly HistoryLine[] | undefined {
  const holes = site.keys.flatMap((key) =>
    site.polls.flatMap((poll) =>
      (poll.recs[key.name] ?? [])
        .slice(1, -1)
        .filter(([offset]) => site.readersOf(key, offset) > 1)
        .map(([offset]) => ({ poll, key: key.name, offset })),
    ),
  );
  const hole = site.pick(holes);
  return (
    hole &&
    withRecordsOf(site.lines, hole, (records) =>
      records.filter(([offset]) => offset !== hole.offset),
    )
  );
}

const skipInPoll: Mutator = (site) => {
  const lines = holeInPoll(site);
  return lines && { lines, expected: ["int-poll-skip"] };
};

const breakChain: Mutator = (site) => {
  const lines = holeInPoll(site);
  return lines && { lines, expected: ["next-chain"] };
};

const skipBetweenPolls: Mutator = (site) => {
  const steps = site
    .continuing()
    .filter(({ poll, key }) => (poll.recs[key.name]?.length ?? 0) > 1)
    .filter(({ key, next }) => site.readersOf(key, next) > 1);
  const step = site.pick(steps);
  if (step === undefined) return undefined;
  const at = { poll: step.poll, key: step.key.name };
  return {
    lines: withRecordsOf(site.lines, at, (records) => records.slice(1)),
    expected: ["poll-skip"],
  };
};

const deliverAgain: Mutator = (site) => {
  const step = site.pick(site.continuing());
  if (step === undefined) return undefined;
  const { key, poll, next } = step;
  const value = key.sent.names[key.readValues[key.readOffsets.indexOf(next - 1)] ?? -1];
  if (value === undefined) return undefined;
  const lines = withRecordsOf(site.lines, { poll, key: key.name }, (records) => [
    [next - 1, value],
    ...records,
  ]);
  return { lines, expected: ["nonmonotonic-poll"] };
};

/** The first delivery of each assign that named an offset, with the line of the assign. */
function seeks(site: Site) {
  return site.keys.flatMap((key) => {
    const { from, start, end, assignedAt, reset, process } = key.deliveries;
    const met = new Set<string>();
    return from.flatMap((each, delivery) => {
      const reader = `${process[delivery]} ${assignedAt[delivery]}`;
      if (met.has(reader)) return [];
      met.add(reader);
      if (each !== FROM_OFFSET || reset[delivery] !== -1) return [];
      if (start[delivery] === end[delivery]) return [];
      const assign = site.lines.find(({ i }) => i === assignedAt[delivery]) as InvokeOf<"assign">;
      // A later assign may have kept the position that an earlier one asked for.
      if (typeof assign.seek !== "object" || assign.seek[key.name] === undefined) return [];
      return [{ key, assign, first: key.readOffsets[start[delivery] as number] as number }];
    });
  });
}

function withSeek(
  site: Site,
  { assign, key }: { readonly assign: InvokeOf<"assign">; readonly key: string },
  offset: number,
): readonly HistoryLine[] {
  return withLine(
    site.lines,
    assign.i,
    (line) => ({ ...line, seek: { ...(assign.seek as object), [key]: offset } }) as HistoryLine,
  );
}

const seekTooFar: Mutator = (site) => {
  const seek = site.pick(
    seeks(site).filter(({ key, first }) => key.readOffsets.includes(first - 1)),
  );
  if (seek === undefined) return undefined;
  const { key, assign, first } = seek;
  return {
    lines: withSeek(site, { assign, key: key.name }, site.prng.below(first)),
    expected: ["poll-skip"],
  };
};

const seekTooShort: Mutator = (site) => {
  const seek = site.pick(seeks(site));
  if (seek === undefined) return undefined;
  const { key, assign, first } = seek;
  return {
    lines: withSeek(site, { assign, key: key.name }, first + site.prng.between(1, 3)),
    expected: ["nonmonotonic-poll"],
  };
};

/** A reader from the beginning misses the first record. */
const missBeginning: Mutator = (site) => {
  const starts = site.keptKeys.flatMap((key) => {
    const { from, start, end, completedAt } = key.deliveries;
    return from.flatMap((each, delivery) => {
      const first = start[delivery] as number;
      if (each !== FROM_START || (end[delivery] as number) - first < 2) return [];
      if (site.readersOf(key, key.readOffsets[first] as number) < 2) return [];
      return [{ key: key.name, at: completedAt[delivery] as number }];
    });
  });
  const miss = site.pick(starts);
  const poll = site.polls.find(({ i }) => i === miss?.at);
  if (miss === undefined || poll === undefined) return undefined;
  return {
    lines: withRecordsOf(site.lines, { poll, key: miss.key }, (records) => records.slice(1)),
    expected: ["poll-skip"],
  };
};

/** A reader jumps over what was deleted, and nobody told it to. */
const silentReset: Mutator = (site) => {
  const resets = site.keys.flatMap((key) => {
    const { from, next, reset, completedAt, start, end } = key.deliveries;
    return reset.flatMap((to, delivery) => {
      const before = next[delivery] as number;
      if (to < 0 || from[delivery] === FROM_START || before < 0) return [];
      if (start[delivery] === end[delivery]) return [];
      const known = [...key.readOffsets, ...site.committed(key).map(({ offset }) => offset)];
      if (!known.some((offset) => offset >= before && offset < to)) return [];
      return [{ key: key.name, at: completedAt[delivery] as number }];
    });
  });
  const reset = site.pick(resets);
  if (reset === undefined) return undefined;
  const lines = withLine(site.lines, reset.at, (line) => {
    const { resets: all, ...rest } = line as PollLine;
    const others = Object.entries(all ?? {}).filter(([key]) => key !== reset.key);
    return { ...rest, resets: Object.fromEntries(others) } as HistoryLine;
  });
  return { lines, expected: ["poll-skip"] };
};

/** One reader finds another value where others read too. */
const otherValue: Mutator = (site) => {
  const places = site.keys.flatMap((key) =>
    site.polls.flatMap((poll) =>
      (poll.recs[key.name] ?? [])
        .filter(([offset]) => site.readersOf(key, offset) > 1)
        .map(([offset, value]) => ({ poll, key: key.name, offset, value, names: key.sent.names })),
    ),
  );
  const place = site.pick(places);
  const other = place && site.pick(place.names.filter((name) => name !== place.value));
  if (place === undefined || other === undefined) return undefined;
  const lines = withRecordsOf(site.lines, place, (records) =>
    records.map((record) => (record[0] === place.offset ? [place.offset, other] : record)),
  );
  return { lines, expected: ["inconsistent-offset"] };
};

/** Everybody reads another value than was acknowledged at this offset. */
const overwrite: Mutator = (site) => {
  const read = site.keys
    .flatMap((key) => site.committed(key))
    .filter((each) => site.isReadOnce(each));
  const victim = site.pick(read);
  const other = victim && site.pick(victim.key.sent.names.filter((name) => name !== victim.value));
  if (victim === undefined || other === undefined) return undefined;
  const lines = withRecords(site.lines, (records, { key }) =>
    key === victim.key.name
      ? records.map((record) => (record[0] === victim.offset ? [record[0], other] : record))
      : records,
  );
  return { lines, expected: ["inconsistent-offset"] };
};

const appendTwice: Mutator = (site) => {
  const key = site.pick(site.finalKeys);
  const read = key && site.sent(key).filter((each) => site.isRead(each) && site.isIdempotent(each));
  const twice = read && site.pick(read);
  if (twice === undefined) return undefined;
  if (site.lastRead(twice.key) !== (site.final.ends[twice.key.name] as number) - 1)
    return undefined;
  const lines = withLastRecord(site, twice.key.name, twice.value);
  return lines && { lines, expected: ["duplicate"] };
};

const ackBesides: Mutator = (site) => {
  const read = site.keys
    .flatMap((key) => site.committed(key))
    .filter((each) => site.isRead(each) && site.isIdempotent(each));
  const wrong = site.pick(read);
  return wrong && { lines: withAck(site.lines, wrong, wrong.offset + 1), expected: ["duplicate"] };
};

const leakFailed: Mutator = (site) => {
  const failed = site.finalKeys
    .flatMap((key) => site.sent(key))
    .filter(({ key, id }) => key.sent.outcome[id] === FAIL)
    .filter(({ key }) => site.lastRead(key) === (site.final.ends[key.name] as number) - 1)
    .filter(({ key }) => site.lastRead(key) >= 0);
  const leaked = site.pick(failed);
  if (leaked === undefined) return undefined;
  const lines = withLastRecord(site, leaked.key.name, leaked.value);
  return lines && { lines, expected: ["phantom"] };
};

const makeUp: Mutator = (site) => {
  const at = pollOf(site, 1);
  if (at === undefined) return undefined;
  const index = site.prng.below(at.poll.recs[at.key]?.length ?? 1);
  const lines = withRecordsOf(site.lines, at, (records) =>
    records.map(([offset, value], each) => [offset, each === index ? "nobody/1" : value]),
  );
  return { lines, expected: ["phantom"] };
};

const readBeforeSent: Mutator = (site) => {
  const sent = site.keys.flatMap((key) => site.sent(key)).filter((each) => site.isRead(each));
  const early = site.pick(sent);
  if (early === undefined) return undefined;
  const { key, value, invokedAt } = early;
  const poll = site.polls.find(({ recs }) => recs[key.name]?.some(([, each]) => each === value));
  const invoke = site.lines.find(({ i }) => i === invokedAt);
  if (poll === undefined || invoke?.f !== "send" || invoke.type !== "invoke") return undefined;
  const { i: _i, t: _t, ...late } = invoke;
  const without = site.lines.filter(
    (line) => line.i !== invokedAt && !("of" in line && line.of === invokedAt),
  );
  return {
    lines: withAdded(without, poll.i, [{ ...late, p: "late" }]),
    expected: ["phantom"],
  };
};

const ackTooOld: Mutator = (site) => {
  const sends = site.keys
    .flatMap((key) => site.committed(key))
    .filter(({ key, id }) => (key.sent.knownBefore[id] as number) >= 0);
  const old = site.pick(sends);
  if (old === undefined) return undefined;
  const known = old.key.sent.knownBefore[old.id] as number;
  return {
    lines: withAck(site.lines, old, site.prng.between(0, known)),
    expected: ["ack-too-old"],
  };
};

const overtake: Mutator = (site) => {
  const pairs = site.keys.flatMap((key) => {
    const sends = site.committed(key).filter((each) => site.isIdempotent(each));
    const { process } = key.sent;
    return sends.flatMap((first) =>
      sends
        .filter(({ id }) => id !== first.id && process[id] === process[first.id])
        .filter(({ invokedAt }) => invokedAt > first.invokedAt)
        .map((second) => ({ first, second })),
    );
  });
  const pair = site.pick(pairs);
  if (pair === undefined) return undefined;
  const { first, second } = pair;
  const lines = withAck(withAck(site.lines, first, second.offset), second, first.offset);
  return { lines, expected: ["nonmonotonic-send"] };
};

const staleEnd: Mutator = (site) => {
  const listed = site.keys
    .flatMap((key) => key.listed)
    .filter(({ which, knownBefore }) => which === "latest" && knownBefore >= 0);
  const stale = site.pick(listed);
  if (stale === undefined) return undefined;
  const offset = site.prng.between(0, stale.knownBefore);
  const lines = withLine(
    site.lines,
    stale.completedAt,
    (line) => ({ ...line, offset }) as HistoryLine,
  );
  return { lines, expected: ["stale-end"] };
};

const finalEndsEarly: Mutator = (site) => {
  const final = site.tables.finals.at(-1);
  const key = site.pick(
    site.finalKeys.filter(({ name }) => (final?.knownBefore.get(name)?.offset ?? -1) >= 0),
  );
  if (final === undefined || key === undefined) return undefined;
  const end = site.prng.between(0, final.knownBefore.get(key.name)?.offset ?? 0);
  const lines = withLine(
    site.lines,
    site.final.i,
    (line) => ({ ...line, ends: { ...site.final.ends, [key.name]: end } }) as HistoryLine,
  );
  return { lines, expected: ["stale-end"] };
};

const startTooHigh: Mutator = (site) => {
  const listed = site.keptKeys
    .flatMap((key) => key.listed)
    .filter(({ which }) => which === "earliest");
  const high = site.pick(listed);
  if (high === undefined) return undefined;
  const lines = withLine(
    site.lines,
    high.completedAt,
    (line) => ({ ...line, offset: site.prng.between(1, 4) }) as HistoryLine,
  );
  return { lines, expected: ["lost-prefix"] };
};

/** The log lost its beginning, and tells a reader so. */
const resetWithoutCause: Mutator = (site) => {
  const kept = site.keptKeys.map(({ name }) => name);
  const places = site.polls.flatMap((poll) =>
    Object.entries(poll.recs)
      .filter(([key, records]) => kept.includes(key) && records.length > 1)
      .map(([key, records]) => ({ poll, key, to: records[1]?.[0] ?? 0 })),
  );
  const place = site.pick(places);
  if (place === undefined) return undefined;
  const fewer = withRecordsOf(site.lines, place, (records) => records.slice(1));
  const lines = withLine(
    fewer,
    place.poll.i,
    (line) =>
      ({
        ...line,
        resets: { ...(line as PollLine).resets, [place.key]: place.to },
      }) as HistoryLine,
  );
  return { lines, expected: ["lost-prefix"] };
};

/** Deletions that were acknowledged and removed something. */
function deletions(site: Site) {
  return site.keys.flatMap((key) =>
    key.deletions
      .filter(({ lowWatermark }) => lowWatermark > 0)
      .map(({ completedAt, invokedAt, lowWatermark, before }) => ({
        key,
        completedAt,
        invokedAt,
        lowWatermark,
        before,
      })),
  );
}

const readDeleted: Mutator = (site) => {
  const places = deletions(site).flatMap((deletion) =>
    deletion.key.readOffsets
      .map((offset, read) => ({ ...deletion, offset, id: deletion.key.readValues[read] as number }))
      .filter(({ offset, lowWatermark }) => offset < lowWatermark),
  );
  const place = site.pick(places);
  if (place === undefined) return undefined;
  const { key, offset, id, completedAt } = place;
  const p = "reader-of-deleted";
  const value = key.sent.names[id] as string;
  const lines = withAdded(site.lines, completedAt, [
    { p, type: "invoke", f: "assign", keys: [key.name], seek: { [key.name]: offset } },
    { p, type: "ok", f: "assign", of: 0 },
    { p, type: "invoke", f: "poll" },
    { p, type: "ok", f: "poll", of: 2, recs: { [key.name]: [[offset, value]] } },
  ]);
  return { lines, expected: ["below-log-start"] };
};

const startBelowDeleted: Mutator = (site) => {
  const place = site.pick(deletions(site));
  if (place === undefined) return undefined;
  const { key, completedAt, lowWatermark } = place;
  const p = "lister-of-deleted";
  const offset = site.prng.below(lowWatermark);
  const lines = withAdded(site.lines, completedAt, [
    { p, type: "invoke", f: "listOffsets", key: key.name, which: "earliest" },
    { p, type: "ok", f: "listOffsets", of: 0, offset },
  ]);
  return { lines, expected: ["below-log-start"] };
};

const deletedTooLittle: Mutator = (site) => {
  const place = site.pick(deletions(site).filter(({ before }) => before > 0));
  if (place === undefined) return undefined;
  const lowWatermark = site.prng.below(place.before);
  const lines = withLine(
    site.lines,
    place.completedAt,
    (line) => ({ ...line, lowWatermark }) as HistoryLine,
  );
  return { lines, expected: ["below-log-start"] };
};

export const LOG_MUTATORS: Readonly<Record<string, Mutator>> = {
  loseOne,
  loseTail,
  loseWithoutOffset,
  truncate,
  forgetOne,
  weakAckTaken,
  swapInPoll,
  repeatInPoll,
  skipInPoll,
  breakChain,
  skipBetweenPolls,
  deliverAgain,
  seekTooFar,
  seekTooShort,
  missBeginning,
  silentReset,
  otherValue,
  overwrite,
  appendTwice,
  ackBesides,
  leakFailed,
  makeUp,
  readBeforeSent,
  ackTooOld,
  overtake,
  staleEnd,
  finalEndsEarly,
  startTooHigh,
  resetWithoutCause,
  readDeleted,
  startBelowDeleted,
  deletedTooLittle,
};
