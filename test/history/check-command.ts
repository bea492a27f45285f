/**
 * The command `check-history`: judges a history that clients wrote, and shows the lines that prove
 * what is wrong with it.
 */
import { readFile } from "node:fs/promises";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { type CheckOptions, checkHistory, type Verdict } from "./check.ts";
import type { HistoryLine } from "./format.ts";
import { HistoryFile } from "./history-file.ts";
import { mergeHistories } from "./merge.ts";
import { HistoryError } from "./parse.ts";
import { tableOf } from "./report.ts";

const EXIT = { VALID: 0, INVALID: 1, USAGE: 2, UNKNOWN: 3 } as const;

interface Options {
  readonly json?: boolean;
  readonly mayLose?: "prefix";
  readonly minOk: number;
}

function percent(text: string): number {
  const value = Number(text);
  if (/^\d{1,3}$/.test(text) && value <= 100) return value;
  throw new InvalidArgumentError("It must be an integer of 0 to 100.");
}

function makeProgram(): Command {
  return new Command("check-history")
    .description(
      "Judges a history of sends, polls and calls: was anything lost, doubled, reordered or made up?\n" +
        "The format of a history and the anomalies are described in test/history/.",
    )
    .argument("<files...>", "JSON lines; - for standard input. Several files are merged by time")
    .option("--json", "print the verdict as JSON")
    .addOption(
      new Option("--may-lose <what>", "retention may remove the beginning of any log").choices([
        "prefix",
      ]),
    )
    .option("--min-ok <percent>", "unknown, if fewer operations are ok", percent, 50)
    .showHelpAfterError("Run it with --help for its options and examples.")
    .exitOverride()
    .addHelpText(
      "after",
      `
Examples:
  $ npm run check-history -- run.jsonl               the verdict, with the lines that prove it
  $ npm run check-history -- client-*.jsonl          one run, one file of each client
  $ npm run check-history -- --json - < run.jsonl    for a program

Exit codes: 0 valid, 1 invalid, 2 wrong usage or no history, 3 unknown (it proves too little).`,
    );
}

/** What the command reads and writes; a test gives its own. */
export interface CommandIo {
  readonly stdin: AsyncIterable<Uint8Array | string>;
  readonly out: (text: string) => void;
  readonly error: (text: string) => void;
}

async function read(name: string, { stdin }: CommandIo): Promise<HistoryFile> {
  if (name !== "-") return new HistoryFile(name, await readFile(name));
  const chunks: Buffer[] = [];
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk as Uint8Array));
  return new HistoryFile("standard input", Buffer.concat(chunks));
}

interface Judged {
  readonly verdict: Verdict;
  /** Number and text of the line with this index. */
  readonly find: (index: number) => string;
}

function judge(files: readonly HistoryFile[], options: CheckOptions): Judged {
  const [only] = files;
  if (files.length === 1 && only !== undefined) {
    const verdict = naming(only, () => checkHistory(only.lines(), options));
    return { verdict, find: (index) => lineOf(only, index) };
  }
  /** By new index: file and index there. */
  const origins: { readonly source: number; readonly index: number }[] = [];
  const verdict = checkHistory(merged(files, origins), options);
  return {
    verdict,
    find: (index) => {
      const { source, index: before } = origins[index] as (typeof origins)[number];
      const file = files[source] as HistoryFile;
      return `${file.name} ${lineOf(file, before)}`;
    },
  };
}

function* merged(
  files: readonly HistoryFile[],
  origins: { readonly source: number; readonly index: number }[],
): Generator<HistoryLine, void, undefined> {
  const histories = files.map((file) => namingEach(file));
  for (const { line, source, index } of mergeHistories(histories)) {
    origins.push({ source, index });
    yield line;
  }
}

function* namingEach(file: HistoryFile): Generator<HistoryLine, void, undefined> {
  const lines = file.lines();
  for (;;) {
    const { done, value } = naming(file, () => lines.next());
    if (done === true) return;
    yield value;
  }
}

/** An error names the file, and the line that was read last where it names none itself. */
function naming<Result>(file: HistoryFile, run: () => Result): Result {
  try {
    return run();
  } catch (thrown) {
    if (!(thrown instanceof HistoryError)) throw thrown;
    const line = thrown.lineNumber === undefined ? `line ${file.lineNumber}: ` : "";
    throw new HistoryError(`${file.name}: ${line}${thrown.message}`);
  }
}

function lineOf(file: HistoryFile, index: number): string {
  const found = file.find(index);
  return found === undefined ? `i ${index}` : `line ${found.number}: ${found.text}`;
}

/** Never rejects; returns the exit code. */
export async function runCheckHistory(words: readonly string[], io: CommandIo): Promise<number> {
  try {
    return await check(words, io);
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.VALID : EXIT.USAGE;
    // A file that cannot be read is a slip of the one who named it, as is one that is no history.
    io.error(`error: ${(thrown as Error).message}\n`);
    return EXIT.USAGE;
  }
}

async function check(words: readonly string[], io: CommandIo): Promise<number> {
  const program = makeProgram().configureOutput({ writeOut: io.out, writeErr: io.error });
  program.parse(words, { from: "user" });
  const options = program.opts<Options>();
  const files: HistoryFile[] = [];
  for (const name of program.args) files.push(await read(name, io));
  const { verdict, find } = judge(files, {
    minOkPercent: options.minOk,
    ...(options.mayLose === undefined ? {} : { mayLose: options.mayLose }),
  });
  io.out(options.json === true ? `${JSON.stringify(verdict, null, 2)}\n` : tableOf(verdict, find));
  const { VALID, INVALID, UNKNOWN } = EXIT;
  return { valid: VALID, invalid: INVALID, unknown: UNKNOWN }[verdict.verdict];
}
