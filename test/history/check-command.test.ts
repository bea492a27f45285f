/** What a person who runs the command sees, and what a pipeline gets as exit code. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import type { Verdict } from "./check.ts";
import { runCheckHistory } from "./check-command.ts";

const directory = mkdtempSync(join(tmpdir(), "check-history-"));
afterAll(() => rmSync(directory, { recursive: true }));

function golden(name: string): string {
  return fileURLToPath(new URL(`golden/${name}.jsonl`, import.meta.url));
}

function file(name: string, lines: readonly object[]): string {
  const path = join(directory, name);
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  return path;
}

async function run(words: readonly string[], stdin: readonly string[] = []) {
  let out = "";
  let error = "";
  const code = await runCheckHistory(words, {
    stdin: (async function* () {
      for (const each of stdin) yield Buffer.from(each);
    })(),
    out: (text) => {
      out += text;
    },
    error: (text) => {
      error += text;
    },
  });
  return { code, out, error };
}

describe("check-history", () => {
  it("ends with 0 for a valid history, and tells what was in it", async () => {
    const { code, out } = await run([golden("ack-too-old-not-under-way")]);
    expect(code).toBe(0);
    expect(out).toMatch(/^send +2 +0 +0$/m);
    expect(out).toMatch(/^valid$/m);
  });

  it("ends with 1 for an invalid history, and shows the lines", async () => {
    const { code, out } = await run([golden("duplicate-retry-appended")]);
    expect(code).toBe(1);
    expect(out).toContain("duplicate (1)");
    expect(out).toMatch(/line 3: .*"value":"w\/1"/);
    expect(out).toMatch(/line 9: .*"recs"/);
    expect(out).toMatch(/^invalid: 1 of duplicate$/m);
  });

  it("ends with 3 when the history proves nothing, and says why", async () => {
    const { code, out } = await run([golden("unseen-not-after-failed-final-read")]);
    expect(code).toBe(3);
    expect(out).toContain("unknown: the final read is not complete");
  });

  it("takes the bound of ok operations from the options", async () => {
    const path = golden("unseen-not-deleted-to-the-end");
    expect((await run([path, "--min-ok", "100"])).code).toBe(0);
    const half = golden("phantom-not-when-unknown");
    expect((await run([half, "--min-ok", "100"])).code).toBe(3);
  });

  it("believes that retention may remove a beginning when told so", async () => {
    const path = golden("lost-prefix-earliest");
    expect((await run([path])).code).toBe(1);
    expect((await run([path, "--may-lose", "prefix"])).code).toBe(0);
  });

  it("reads standard input, and prints JSON", async () => {
    const lines = [
      { i: 0, t: 0, p: "w", type: "invoke", f: "admin", call: "electLeaders", args: {} },
      { i: 1, t: 1, p: "w", type: "ok", f: "admin", of: 0 },
    ];
    const text = lines.map((line) => JSON.stringify(line)).join("\n");
    const { code, out } = await run(["--json", "-"], [text.slice(0, 20), text.slice(20)]);
    expect(code).toBe(0);
    const verdict = JSON.parse(out) as Verdict;
    expect(verdict).toMatchObject({ verdict: "valid", anomalies: [], counts: { lines: 2 } });
  });

  it("merges the files of several clients, and names the file of a line", async () => {
    const writer = file("writer.jsonl", [
      {
        i: 0,
        t: 10,
        p: "w",
        type: "invoke",
        f: "send",
        key: "o-0",
        value: "a",
        acks: 1,
        idempotent: true,
      },
      { i: 1, t: 30, p: "w", type: "ok", f: "send", of: 0, offset: 0 },
    ]);
    const reader = file("reader.jsonl", [
      { i: 0, t: 15, p: "r", type: "invoke", f: "assign", keys: ["o-0"], seek: "beginning" },
      { i: 1, t: 16, p: "r", type: "ok", f: "assign", of: 0 },
      { i: 2, t: 17, p: "r", type: "invoke", f: "poll" },
      {
        i: 3,
        t: 40,
        p: "r",
        type: "ok",
        f: "poll",
        of: 2,
        recs: {
          "o-0": [
            [0, "a"],
            [1, "a"],
          ],
        },
      },
    ]);
    const { code, out } = await run([writer, reader]);
    expect(code).toBe(1);
    expect(out).toContain(`${writer} line 1: `);
    expect(out).toContain(`${reader} line 4: `);
  });

  it("names line, field and value of what is no history", async () => {
    const path = file("bad.jsonl", [
      {
        i: 0,
        t: 0,
        p: "w",
        type: "invoke",
        f: "send",
        key: "o-0",
        value: "a",
        acks: 2,
        idempotent: true,
      },
    ]);
    const { code, error } = await run([path]);
    expect(code).toBe(2);
    expect(error).toContain(`${path}: line 1: field "acks" is 2, allowed: 0, 1, "all"`);
  });

  it("names the line that cannot follow those before", async () => {
    const path = file("order.jsonl", [
      { i: 4, t: 0, p: "w", type: "info", f: "crash" },
      { i: 4, t: 0, p: "v", type: "info", f: "crash" },
    ]);
    const { code, error } = await run([path]);
    expect(code).toBe(2);
    expect(error).toContain(
      `${path}: line 2: field "i" of the line with i 4 is 4, allowed: more than 4`,
    );
  });

  it.each([
    [[], "missing required argument"],
    [["--colour"], "unknown option"],
    [["x", "--min-ok", "200"], "integer of 0 to 100"],
    [["x", "--may-lose", "all"], "Allowed choices are prefix"],
    [[join(directory, "absent.jsonl")], "ENOENT"],
  ])("ends with 2 for %j", async (words, told) => {
    const { code, error } = await run(words);
    expect(code).toBe(2);
    expect(error).toContain(told);
  });

  it("helps with examples", async () => {
    const { code, out } = await run(["--help"]);
    expect(code).toBe(0);
    expect(out).toContain("npm run check-history -- run.jsonl");
    expect(out).toContain("Exit codes: 0 valid");
  });
});
