/** All commands, as data. The code of each is found by main.ts. */

import type { CommandSpec } from "./command.ts";
import type { Section } from "./help.ts";
import { CONTRACTS } from "./table/contracts.ts";
import { INSPECT } from "./table/inspect.ts";
import { MODULES } from "./table/modules.ts";
import { STORE } from "./table/store.ts";

const OTHERS = {
  completion: {
    summary: "prints the completion script of a shell",
    arguments: { SHELL: { about: "bash, zsh or fish", choices: ["bash", "zsh", "fish"] } },
    about: `  bash: eval "$(stillpoint completion bash)" in ~/.bashrc
  zsh: eval "$(stillpoint completion zsh)" in ~/.zshrc, after compinit
  fish: stillpoint completion fish > ~/.config/fish/completions/stillpoint.fish`,
    example: "completion bash",
  },
} as const satisfies Readonly<Record<string, CommandSpec>>;

export const TABLE = { ...CONTRACTS, ...INSPECT, ...STORE, ...MODULES, ...OTHERS } as const;

export type CommandName = keyof typeof TABLE;

/** The specification of a command, for its code. */
export type Spec<Name extends CommandName> = (typeof TABLE)[Name];

export const GROUPS: Readonly<Record<string, string>> = {
  inspect: "Reads a store, as of its last checkpoint, also while a runtime writes to it",
  store: "Changes a store that no runtime has open, or makes a copy",
  proof: "Checks proofs",
};

/** Examples that the package brings along, which have options of their own. */
export const EXAMPLES: Readonly<Record<string, string>> = {
  evm: "Ethereum blocks with their contracts, on a virtual machine that is a guest",
  ledger: "value transfers of real blocks",
  parallel: "one root, many children side by side",
  exchange: "signed swaps over several processes",
};

/** Names in older versions and other tools, and those here; capitals stand for the next word. */
export const OTHER_NAMES: Readonly<Record<string, string>> = {
  "store blocks": "inspect DIR blocks",
  "store verify": "inspect DIR verify",
  "store diverge": "inspect DIR diverge",
  "store export": "inspect DIR export",
  verify: "inspect DIR verify",
  trace: "inspect DIR trace",
  diff: "inspect DIR diff",
  blocks: "inspect DIR blocks",
  prune: "store DIR prune",
  backup: "store DIR backup",
  init: "new DIR",
  create: "new DIR",
  check: "build APP.ts --check",
  watch: "build APP.ts --watch",
  abi: "interface FILE",
  node: "dev APP.ts",
  start: "dev APP.ts",
  serve: "dev APP.ts",
  web: "inspect DIR --web",
  explorer: "inspect DIR --web",
  call: "query CALL",
  send: "submit CALL",
};

/** The overview of --help. */
export const SECTIONS: readonly Section[] = [
  { title: "Contracts", lines: linesOf(CONTRACTS) },
  {
    title: "Stores",
    lines: [
      [
        "inspect DIR WORD",
        "reads one: blocks, process, memory, diff, diverge, trace, profile, recording, proof, pins, " +
          "verify, export; --web shows it in a browser",
      ],
      ["store DIR WORD", "changes one: prune, pin, unpin, repair, recover, salvage, import, backup"],
      ["proof check FILE", INSPECT["proof check"].summary],
    ],
  },
  { title: "Single modules", lines: linesOf(MODULES) },
  { title: "Examples", lines: Object.entries(EXAMPLES) },
  {
    title: "Others",
    lines: [...linesOf(OTHERS), ["COMMAND --help", "the options of a command"], ["--version", "the version"]],
  },
];

function linesOf(part: Readonly<Record<string, CommandSpec>>): [string, string][] {
  return Object.entries(part).map(([name, spec]) => [
    [name, ...Object.keys(spec.arguments ?? {})].join(" "),
    spec.summary,
  ]);
}
