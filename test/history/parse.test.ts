/** A history that is read leniently is judged wrongly: every slip is named. */
import { describe, expect, it } from "vitest";
import { checkHistory } from "./check.ts";
import { type HistoryLine, HistoryWriter } from "./format.ts";
import { HistoryError, LINE_LENGTH_MAX, parseLine } from "./parse.ts";

const SEND = {
  i: 0,
  t: 0,
  p: "w",
  type: "invoke",
  f: "send",
  key: "orders-0",
  value: "w/1",
  acks: "all",
  idempotent: true,
};
const POLL = { i: 1, t: 0, p: "c", type: "ok", f: "poll", of: 0, recs: {} };
const ASSIGN = { i: 0, t: 0, p: "c", type: "invoke", f: "assign", keys: ["a-0"], seek: "none" };

function parse(line: unknown): unknown {
  return parseLine(JSON.stringify(line), 7);
}

describe("a line", () => {
  it.each([
    SEND,
    POLL,
    { ...POLL, recs: { "a-0": [[0, "v", 3, 1, 0, 9]] }, resets: { "a-0": 4 } },
    ASSIGN,
    { ...ASSIGN, seek: { "a-0": 4 } },
    { i: 1, t: 0, p: "w", type: "ok", f: "send", of: 0 },
    { i: 1, t: 0, p: "w", type: "info", f: "send", of: 0, error: "REQUEST_TIMED_OUT" },
    { i: 1, t: 0, p: "w", type: "invoke", f: "deleteRecords", key: "orders@2-0", before: -1 },
    { i: 1, t: 0, p: "nemesis", type: "info", f: "fault", kind: "x", targets: [], phase: "end" },
    { i: 1, t: 0, p: "x", type: "info", f: "state", brokers: {} },
  ])("is taken as it is: %j", (line) => {
    expect(parse(line)).toEqual(line);
  });

  it.each(["", "   ", "# a remark"])("may be for people: %j", (text) => {
    expect(parseLine(text, 1)).toBeUndefined();
  });

  it.each([
    [{ ...SEND, i: -1 }, 'field "i" is -1, allowed: an integer of 0'],
    [{ ...SEND, t: 1.5 }, 'field "t" is 1.5, allowed: an integer'],
    [{ ...SEND, p: "" }, 'field "p" is "", allowed: text of 1 to 128'],
    [
      { ...SEND, type: "maybe" },
      'field "type" is "maybe", allowed: "invoke", "ok", "fail", "info"',
    ],
    [{ ...SEND, f: "txn" }, 'field "f" is "txn", allowed: assign, poll, send'],
    [{ ...SEND, f: undefined }, 'field "f" is missing'],
    [{ ...SEND, key: "orders" }, 'field "key" is "orders", allowed: a key "topic-partition"'],
    [{ ...SEND, value: 3 }, 'field "value" is 3, allowed: text of 1 to 256'],
    [{ ...SEND, acks: "1" }, 'field "acks" is "1", allowed: 0, 1, "all"'],
    [{ ...SEND, idempotent: undefined }, 'field "idempotent" is missing, allowed: true or false'],
    [{ ...SEND, offset: 3 }, 'field "offset" is unknown for invoke of send, allowed: i, t, p'],
    [
      { ...POLL, recs: { "a-0": [[0]] } },
      'field "recs" is {"a-0":[[0]]}, allowed: an object of rec',
    ],
    [{ ...POLL, recs: { a: [] } }, 'field "recs" is {"a":[]}'],
    [{ ...POLL, recs: { "a-0": [[0, "v", 1, 2, 3, 4, 5]] } }, 'field "recs" is'],
    [{ ...POLL, of: undefined }, 'field "of" is missing'],
    [{ ...ASSIGN, keys: ["a-0", "a-0"] }, 'field "keys" is ["a-0","a-0"], allowed: a list of diff'],
    [
      { ...ASSIGN, seek: "latest" },
      'field "seek" is "latest", allowed: "none", "beginning", "end"',
    ],
    [
      { i: 0, t: 0, p: "c", type: "invoke", f: "crash" },
      'field "type" is "invoke", allowed: "info"',
    ],
    [[], "is [], a JSON object is allowed"],
  ])("is refused: %j", (line, told) => {
    expect(() => parse(line)).toThrow(HistoryError);
    expect(() => parse(line)).toThrow(`line 7: ${told}`);
  });

  it("is refused when it is no JSON, or too long", () => {
    expect(() => parseLine("{i:0}", 3)).toThrow(/^line 3: is no JSON/);
    const long = "x".repeat(LINE_LENGTH_MAX + 1);
    expect(() => parseLine(long, 3)).toThrow(`line 3: has ${LINE_LENGTH_MAX + 1} characters`);
  });
});

describe("lines together", () => {
  const send = (i: number, more: object = {}): HistoryLine =>
    ({ ...SEND, i, value: `w/${i}`, ...more }) as HistoryLine;
  const ok = (i: number, of: number, more: object = {}): HistoryLine =>
    ({ i, t: 0, p: "w", type: "ok", f: "send", of, ...more }) as HistoryLine;
  const reads = (i: number, more: object = {}): HistoryLine =>
    ({ i, t: 0, p: "c", type: "invoke", f: "poll", ...more }) as HistoryLine;
  const crash = (i: number, p: string): HistoryLine => ({ i, t: 0, p, type: "info", f: "crash" });

  it.each<[string, readonly HistoryLine[]]>([
    ['field "i" of the line with i 1 is 1, allowed: more than 1', [send(1), send(1)]],
    ['field "t" of the line with i 1 is 0, allowed: 5', [send(0, { t: 5 }), send(1)]],
    ['field "of" of the line with i 1 is 9', [send(0), ok(1, 9)]],
    ['field "of" of the line with i 2 is 0', [send(0), ok(1, 0), ok(2, 0)]],
    ['field "of" of the line with i 1 is 0', [send(0), ok(1, 0, { p: "v" })]],
    ['field "of" of the line with i 1 is 0', [send(0), ok(1, 0, { f: "listOffsets" })]],
    ['field "value" of the line with i 1 is "w/0"', [send(0), send(1, { value: "w/0" })]],
    ['field "f" of the line with i 1 is "poll"', [reads(0), reads(1)]],
    ['field "p" of the line with i 1 is "w", allowed: another name', [crash(0, "w"), send(1)]],
  ])("are refused: %s", (told, lines) => {
    expect(() => checkHistory(lines)).toThrow(HistoryError);
    expect(() => checkHistory(lines)).toThrow(told);
  });

  it("may complete in any order, or never", () => {
    const { counts } = checkHistory([send(0), send(1), ok(2, 1), ok(3, 0), send(4)]);
    expect(counts.operations.send).toEqual({ ok: 2, fail: 0, info: 1 });
  });

  it("are numbered by the writer, in ns of its clock", () => {
    let nowMs = 1;
    const writer = new HistoryWriter({ nowMs: () => nowMs });
    const of = writer.write({ p: "c", type: "invoke", f: "poll" });
    nowMs = 1.25;
    writer.write({ p: "c", type: "ok", f: "poll", of, recs: {} });
    expect(writer.lines).toEqual([
      { i: 0, t: 1_000_000, p: "c", type: "invoke", f: "poll" },
      { i: 1, t: 1_250_000, p: "c", type: "ok", f: "poll", of: 0, recs: {} },
    ]);
  });
});
