/** `ottla completion`: scripts for shells, made from the command's own table of nouns and verbs. */
import { Argument, type Command } from "commander";
import { write } from "./output.ts";

type Shell = "bash" | "zsh" | "fish";

export function registerCompletion(program: Command): void {
  program
    .command("completion")
    .description("print a completion script for a shell")
    .addArgument(new Argument("<shell>").choices(["bash", "zsh", "fish"]))
    .addHelpText(
      "after",
      `
Examples:
  $ source <(ottla completion bash)
  $ ottla completion zsh > "\${fpath[1]}/_ottla"
  $ ottla completion fish > ~/.config/fish/completions/ottla.fish`,
    )
    .action(async (shell: Shell) => {
      await write(completionScript(program, shell));
    });
}

/** What may follow a path of words such as `topic create`. */
export interface CompletionNode {
  readonly path: readonly string[];
  readonly words: readonly { readonly word: string; readonly description: string }[];
}

export function completionNodes(
  command: Command,
  path: readonly string[] = [],
): readonly CompletionNode[] {
  const subcommands = command.commands.map((child) => ({
    word: child.name(),
    description: child.description(),
  }));
  const options = command.options
    .filter((option) => !option.hidden)
    .map((option) => ({
      word: option.long ?? (option.short as string),
      description: option.description,
    }));
  const help = { word: "--help", description: "show what this command does" };
  const nodes: CompletionNode[] = [{ path, words: [...subcommands, ...options, help] }];
  for (const child of command.commands) {
    nodes.push(...completionNodes(child, [...path, child.name()]));
  }
  return nodes;
}

export function completionScript(program: Command, shell: Shell): string {
  const nodes = completionNodes(program);
  if (shell === "fish") return fishScript(program.name(), nodes);
  const bash = bashScript(program.name(), nodes);
  if (shell === "bash") return bash;
  return `#compdef ${program.name()}\nautoload -U +X bashcompinit && bashcompinit\n${bash}`;
}

function bashScript(name: string, nodes: readonly CompletionNode[]): string {
  const cases = nodes.map(
    ({ path, words }) =>
      `    "${path.join(" ")}") words="${words.map(({ word }) => word).join(" ")}" ;;`,
  );
  return `_${name}() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path="" words="" word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in
      -*) ;;
      *) _${name}_knows "\${path:+$path }$word" && path="\${path:+$path }$word" ;;
    esac
  done
  case "$path" in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
_${name}_knows() {
  case "$1" in
    ${nodes
      .filter(({ path }) => path.length > 0)
      .map(({ path }) => `"${path.join(" ")}"`)
      .join("|")}) return 0 ;;
  esac
  return 1
}
complete -o default -F _${name} ${name}
`;
}

function fishScript(name: string, nodes: readonly CompletionNode[]): string {
  const quote = (text: string): string => `'${text.replaceAll(/['\\]/g, "\\$&")}'`;
  const lines = [`complete -c ${name} -f`];
  for (const { path, words } of nodes) {
    for (const { word, description } of words) {
      const condition =
        path.length === 0
          ? "__fish_use_subcommand"
          : path.map((step) => `__fish_seen_subcommand_from ${step}`).join("; and ");
      const what = word.startsWith("--") ? `-l ${word.slice(2)}` : `-a ${word}`;
      lines.push(`complete -c ${name} -n ${quote(condition)} ${what} -d ${quote(description)}`);
    }
  }
  return `${lines.join("\n")}\n`;
}
