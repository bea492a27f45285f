import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { EXIT, runCommand } from "./program.ts";

// Wrong usage: a clear message, exit code 2, and nothing is run.

let directory: string;
let said: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "sim-program-"));
  said = "";
  vi.spyOn(process.stderr, "write").mockImplementation((chunk) => {
    said += String(chunk);
    return true;
  });
});

afterEach(async () => {
  vi.restoreAllMocks();
  await rm(directory, { recursive: true });
});

test.each([
  [["--bogus"], "unknown option '--bogus'"],
  [["extra"], "too many arguments"],
  [["--seed", "4294967296"], "integer from 0 to 4294967295"],
  [["--seed", "-1"], "integer from 0 to 4294967295"],
  [["--seed", "one"], "integer from 0"],
  [["--seeds", "0"], "integer from 1"],
  [["--seeds", "10", "--from", "4294967290"], "seeds end at 4294967295"],
  [["--minutes", "0"], "above 0"],
  [["--seed", "1", "--seeds", "2"], "cannot be used with"],
  [["--quorum", "--log"], "cannot be used with"],
  [["--raft", "--quorum"], "cannot be used with"],
  [["--raft", "--faults", "disk"], "cannot be used with"],
  [["--log", "--faults", "disk"], "cannot be used with"],
  [["--scenario", "all", "--faults", "disk"], "cannot be used with"],
  [["--faults", "crash,earthquake"], 'fault "earthquake" is neither a class (process'],
  [["--scenario", "no-such-story"], "no such scenario"],
  [["--plan", "/no/such/file"], "cannot be read"],
  [["--workers", "0"], "integer from 1 to 64"],
])("%j is refused", async (words, message) => {
  expect(await runCommand(words)).toBe(EXIT.USAGE);
  expect(said).toContain(message);
});

test.each([
  ["{", "is not JSON"],
  ["{}", "kind"],
  ['{"kind":"cluster","seed":1,"plan":{}}', "the plan is not valid"],
  [
    '{"kind":"cluster","seed":1,"plan":{"durationMs":1,"heal":{"mode":"whole"},"faults":[{"atMs":1,"kind":"quake","durationMs":1}]}}',
    'fault 0 of the plan is of no known kind: "quake"',
  ],
  [
    '{"kind":"cluster","seed":1,"plan":{"durationMs":1,"heal":{"mode":"whole"},"faults":[{"atMs":1,"kind":"crash","on":"the moon","durationMs":1}]}}',
    "fault 0 of the plan is not valid",
  ],
])("a plan %s is refused", async (content, message) => {
  const path = join(directory, "plan.json");
  writeFileSync(path, content);
  expect(await runCommand(["--plan", path])).toBe(EXIT.USAGE);
  expect(said).toContain(message);
});

test("help is no mistake", async () => {
  vi.spyOn(process.stdout, "write").mockReturnValue(true);
  expect(await runCommand(["--help"])).toBe(EXIT.HELD);
});
