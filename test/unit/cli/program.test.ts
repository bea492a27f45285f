/** The command line as a whole: nouns, verbs, help, exit codes; nothing that needs a cluster. */
import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { completionNodes, completionScript } from "../../../src/cli/completion.ts";
import { EXIT, exitCodeOf } from "../../../src/cli/exit-codes.ts";
import { formatError, formatTable, UsageError } from "../../../src/cli/output.ts";
import { makeProgram } from "../../../src/cli/program.ts";
import { OttlaError } from "../../../src/model/errors.ts";

const PATHS = [
  "dev",
  "broker",
  "topic create",
  "topic list",
  "topic describe",
  "topic alter",
  "topic add-partitions",
  "topic delete",
  "topic delete-records",
  "partition elect-leader",
  "produce",
  "consume",
  "group list",
  "group describe",
  "group explain",
  "group delete",
  "group delete-offsets",
  "group reset-offsets",
  "cluster describe",
  "log verify",
  "completion",
];

describe("the program", () => {
  const nodes = completionNodes(makeProgram());
  const paths = nodes.map(({ path }) => path.join(" "));

  it("has every noun and verb", () => {
    expect(paths).toEqual(expect.arrayContaining(PATHS));
  });

  it.each(PATHS)("describes %s with examples", (path) => {
    const command = path.split(" ").reduce((parent, name) => {
      const child = parent.commands.find((each) => each.name() === name);
      if (child === undefined) throw new Error(`there is no ${name}`);
      return child;
    }, makeProgram());
    let help = "";
    command.configureOutput({ writeOut: (text) => (help += text) });
    command.outputHelp();
    expect(help).toContain("Examples:");
    expect(command.description()).not.toBe("");
  });
});

describe("completion", () => {
  it("offers nouns, verbs and options in bash", () => {
    const script = `${completionScript(makeProgram(), "bash")}
      COMP_WORDS=(ottla topic cr); COMP_CWORD=2; _ottla; echo "\${COMPREPLY[*]}"
      COMP_WORDS=(ottla --x topic create --part); COMP_CWORD=4; _ottla; echo "\${COMPREPLY[*]}"
      COMP_WORDS=(ottla pro); COMP_CWORD=1; _ottla; echo "\${COMPREPLY[*]}"`;
    const { stdout, status } = spawnSync("bash", ["-c", script], { encoding: "utf8" });
    expect(status).toBe(0);
    expect(stdout.trim().split("\n")).toEqual(["create", "--partitions", "produce"]);
  });

  it("has a script for each shell", () => {
    expect(completionScript(makeProgram(), "zsh")).toContain("#compdef ottla");
    expect(completionScript(makeProgram(), "fish")).toContain(
      "complete -c ottla -n '__fish_seen_subcommand_from topic; and __fish_seen_subcommand_from create' -l partitions",
    );
  });
});

describe("errors", () => {
  it("map to exit codes", () => {
    expect(exitCodeOf("TOPIC_ALREADY_EXISTS")).toBe(EXIT.REFUSED);
    expect(exitCodeOf("NO_BROKER_REACHABLE")).toBe(EXIT.UNREACHABLE);
    expect(exitCodeOf("NO_QUORUM")).toBe(EXIT.UNREACHABLE);
    expect(exitCodeOf("CONFIG_UNREADABLE")).toBe(EXIT.USAGE);
    expect(exitCodeOf("UNKNOWN_SERVER_ERROR")).toBe(EXIT.BROKEN);
  });

  it("say what is wrong and what to do", () => {
    const error = new OttlaError("INVALID_PARTITIONS", "partitions is 0; allowed is 1 to 10000");
    expect(formatError(error)).toEqual({
      text: "error: partitions is 0; allowed is 1 to 10000 (INVALID_PARTITIONS)\n  Partitions can only be added; see the allowed range.",
      exit: EXIT.REFUSED,
    });
    expect(formatError(new UsageError("nothing to do")).exit).toBe(EXIT.USAGE);
  });
});

describe("tables", () => {
  it("align columns and leave no blanks at the end", async () => {
    const table = await formatTable(
      ["Topic", "Isr"],
      [
        ["orders", "1,2"],
        ["a", ""],
      ],
    );
    expect(table).toBe("Topic   Isr\norders  1,2\na");
  });
});
