/**
 * Golden scripts: text files that read as a tutorial and run as a test.
 *
 *   # A comment, kept as it is.
 *   command word key=value
 *   input, if the command takes any
 *   ----
 *   the whole observable output
 *
 * Blank lines separate blocks. With UPDATE_GOLDEN=1 the outputs are written anew: read the diff
 * before you commit it, for the script then says whatever the code does.
 */
export interface Command {
  readonly name: string;
  /** Words without `=`, in order. */
  readonly words: readonly string[];
  readonly options: ReadonlyMap<string, string>;
  /** The lines between the command and `----`. */
  readonly input: string;
}

type Part =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "block"; readonly head: string; readonly output: string };

/** Returns the output of a command; throws if the script asks for something that does not exist. */
export type Interpreter = (command: Command) => string;

export function parseScript(content: string): readonly Part[] {
  const parts: Part[] = [];
  const lines = content.split("\n");
  for (let at = 0; at < lines.length; ) {
    const line = lines[at] as string;
    if (line === "" || line.startsWith("#")) {
      parts.push({ type: "text", text: line });
      at++;
      continue;
    }
    const separator = lines.indexOf("----", at);
    if (separator < 0) throw new Error(`no ---- behind: ${line}`);
    const blank = lines.indexOf("", separator);
    const end = blank < 0 ? lines.length : blank;
    parts.push({
      type: "block",
      head: lines.slice(at, separator).join("\n"),
      output: lines.slice(separator + 1, end).join("\n"),
    });
    at = end;
  }
  return parts;
}

export function parseCommand(head: string): Command {
  const [first = "", ...input] = head.split("\n");
  const [name = "", ...rest] = first.split(" ").filter((word) => word !== "");
  const words = rest.filter((word) => !word.includes("="));
  const options = new Map(
    rest
      .filter((word) => word.includes("="))
      .map((word) => {
        const at = word.indexOf("=");
        return [word.slice(0, at), word.slice(at + 1)] as const;
      }),
  );
  return { name, words, options, input: input.join("\n") };
}

/** Runs every command of a script; returns the script with the outputs that came. */
export function runScript(content: string, interpret: Interpreter): string {
  return parseScript(content)
    .map((part) => {
      if (part.type === "text") return part.text;
      const output = interpret(parseCommand(part.head)).trimEnd();
      if (output.includes("\n\n")) throw new Error(`output of "${part.head}" has a blank line`);
      return `${part.head}\n----${output === "" ? "" : `\n${output}`}`;
    })
    .join("\n");
}
