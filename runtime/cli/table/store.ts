/** Commands that change a store, or make one. */

import type { ArgumentSpec, CommandSpec } from "../command.ts";

const DIR = { about: "the directory of the store", completes: "directory" } as const satisfies ArgumentSpec;
const BLOCK = { about: "a block, by height or id" } as const satisfies ArgumentSpec;
const NEW = { about: "a directory that is empty, or not there", completes: "directory" } as const;

export const STORE = {
  "store prune": {
    summary: "forgets all but the newest blocks and those pinned, and frees their space",
    arguments: { DIR, KEEP: { about: "how many blocks stay" } },
    example: "store state prune 100",
  },
  "store pin": {
    summary: "keeps a block, whatever is pruned",
    arguments: { DIR, BLOCK },
    example: "store state pin 7",
  },
  "store unpin": {
    summary: "lets a pinned block be pruned again",
    arguments: { DIR, BLOCK },
    example: "store state unpin 7",
  },
  "store repair": {
    summary: "goes back to the newest intact block",
    arguments: { DIR },
    about: 'What is damaged is forgotten. "stillpoint inspect DIR verify" says first what that would be.',
    example: "store state repair",
  },
  "store salvage": {
    summary: "saves into a new store what can be read of one that cannot be opened",
    arguments: { DIR, NEW },
    example: "store state salvage saved",
  },
  "store import": {
    summary: 'takes a block from a file that "inspect DIR export" has written',
    arguments: { DIR, FILE: { about: "the file", completes: "file" } },
    options: { id: { about: "the id of the block that is wanted: nothing else is taken", value: "ID" } },
    about: "An import that was interrupted goes on, also from another file.",
    no: "if the file is not what the id says",
    example: "store copy import block.export --id 3f…",
  },
  "store backup": {
    summary: "copies a store with all that is acknowledged, while it is written to",
    arguments: { DIR, NEW },
    example: "store state backup copy",
  },
} as const satisfies Readonly<Record<string, CommandSpec>>;
