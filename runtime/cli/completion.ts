/**
 * Completions for bash, zsh and fish. The scripts call `stillpoint --complete WORD…`, whose answer follows
 * from the table, so new commands need no new scripts.
 */

import { badWord } from "../arguments.ts";
import { didYouMean } from "../suggest.ts";
import { type CommandSpec, type Completion, type Handler, secondWord } from "./command.ts";
import { COMMON, findCommand, membersOf } from "./parse.ts";
import { EXAMPLES, GROUPS, type Spec, TABLE } from "./table.ts";
import { EXIT_OK, print } from "./terminal.ts";

/** What a shell offers next: words, one a line, or files, or directories. */
export interface Offer {
  readonly words: readonly string[];
  readonly files: Completion;
}

const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_stillpoint() {
  local words kind
  words=$(stillpoint --complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null) || return
  kind=\${words%%$'\\n'*}
  words=\${words#"$kind"}
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
  [ "$kind" = file ] && COMPREPLY+=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}"))
  [ "$kind" = directory ] && COMPREPLY+=($(compgen -d -- "\${COMP_WORDS[COMP_CWORD]}"))
  [ "$kind" = none ] || compopt -o filenames
}
complete -F _stillpoint stillpoint`,
  zsh: `#compdef stillpoint
_stillpoint() {
  local -a lines
  lines=("\${(@f)$(stillpoint --complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  [[ -n \${lines[2]} ]] && compadd -- "\${(@)lines[2,-1]}"
  case \${lines[1]} in
    file) _files ;;
    directory) _files -/ ;;
  esac
}
compdef _stillpoint stillpoint`,
  fish: `function __stillpoint_complete
  set -l lines (stillpoint --complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)
  for line in $lines[2..]
    test -n "$line"; and echo $line
  end
  switch "$lines[1]"
    case file
      __fish_complete_path (commandline -ct)
    case directory
      __fish_complete_directories (commandline -ct)
  end
end
complete -c stillpoint -f -a '(__stillpoint_complete)'`,
};

export const completion: Handler<Spec<"completion">> = async ({ args }) => {
  const script = SCRIPTS[args.SHELL];
  const known = Object.keys(SCRIPTS);
  if (script === undefined) {
    throw badWord("SHELL", args.SHELL, known.join(", "), didYouMean(args.SHELL, known));
  }
  print(script);
  return EXIT_OK;
};

/** Answers a script: the kind of files, then words, one a line. The last of `words` is being typed. */
export function complete(words: readonly string[]): string {
  const { words: offered, files } = offer(words.slice(0, -1), words.at(-1) ?? "");
  return [files, ...offered].join("\n");
}

export function offer(before: readonly string[], typed: string): Offer {
  const [first] = before;
  if (first === undefined) {
    const plain = Object.keys(TABLE).filter((name) => !name.includes(" "));
    return said([...plain, ...Object.keys(GROUPS), ...Object.keys(EXAMPLES), "--help", "--version"], typed);
  }
  const table: Readonly<Record<string, CommandSpec>> = TABLE;
  const found = findCommand(table, before);
  if (found !== null) return offerOf(table[found.name] as CommandSpec, found.rest, typed);
  const members = membersOf(table, first);
  if (members.length === 0) return said([], typed);
  const seconds = members.map((name) => secondWord(name, table[name] as CommandSpec));
  // The directory may come first, or the word.
  return { ...said(seconds, typed), files: before.length === 1 && first !== "proof" ? "directory" : "none" };
}

function offerOf(spec: CommandSpec, words: readonly string[], typed: string): Offer {
  const options = { ...spec.options, ...COMMON };
  const last = words.at(-1);
  const named = last?.startsWith("--") ? options[last.slice(2)] : Object.values(options).find(isShort(last));
  if (named?.value !== undefined) return said(named.choices ?? [], typed, named.completes);
  if (typed.startsWith("-"))
    return said(
      Object.keys(options).map((name) => `--${name}`),
      typed,
    );
  let place = 0;
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    if (!word.startsWith("-")) place++;
    else if (!word.includes("=") && takesValue(options, word)) i++;
  }
  const argument = Object.values(spec.arguments ?? {})[place];
  return said(argument?.choices ?? [], typed, argument?.completes);
}

function takesValue(options: NonNullable<CommandSpec["options"]>, word: string): boolean {
  const option = word.startsWith("--") ? options[word.slice(2)] : Object.values(options).find(isShort(word));
  return option?.value !== undefined;
}

function isShort(word: string | undefined) {
  return ({ short }: { readonly short?: string }): boolean => short !== undefined && word === `-${short}`;
}

function said(words: readonly string[], typed: string, files: Completion = "none"): Offer {
  return { words: words.filter((word) => word.startsWith(typed)), files };
}
