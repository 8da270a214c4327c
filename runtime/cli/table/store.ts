/** Commands that change a store, or make one. */

import type { ArgumentSpec, CommandSpec } from "../command.ts";

const DIR = { about: "the directory of the store", completes: "directory" } as const satisfies ArgumentSpec;
const BLOCK = { about: "a block, by height or id" } as const satisfies ArgumentSpec;
const NEW = { about: "a directory that is empty or does not exist", completes: "directory" } as const;

export const STORE = {
  "store prune": {
    summary: "forgets all but the newest blocks and those pinned, and frees their space",
    arguments: { DIR, KEEP: { about: "how many blocks stay", optional: true } },
    options: {
      below: { about: "instead of KEEP: the blocks below this height are forgotten", value: "HEIGHT" },
    },
    example: "store state prune 100",
  },
  "store pin": {
    summary: "pins a block, so that pruning keeps it",
    arguments: { DIR, BLOCK },
    example: "store state pin 7",
  },
  "store unpin": {
    summary: "unpins a block, so that it can be pruned",
    arguments: { DIR, BLOCK },
    example: "store state unpin 7",
  },
  "store repair": {
    summary: "goes back to the newest intact block",
    arguments: { DIR },
    about: 'Damaged blocks are forgotten. "stillpoint inspect DIR verify" lists them, and changes nothing.',
    example: "store state repair",
  },
  "store recover": {
    summary: "gives up the blocks that only the log of inputs has",
    arguments: { DIR },
    about:
      "For a log that is damaged, or that this version cannot run again (STORE_DIVERGED): the store " +
      "continues from its last checkpoint. The blocks that this loses are listed.",
    example: "store state recover",
  },
  "store salvage": {
    summary: "copies what can be read of a store that cannot be opened into a new one",
    arguments: { DIR, NEW },
    example: "store state salvage saved",
  },
  "store import": {
    summary: 'imports a block from a file of "inspect DIR export"',
    arguments: { DIR, FILE: { about: "the file", completes: "file" } },
    options: {
      id: { about: "required: the id of the block; nothing else is imported", value: "ID" },
      rehash: {
        about: "the file is portable: computes all hashes again, so the block may get another id",
      },
    },
    about: "Run it again to continue an import that was interrupted, also from another file.",
    no: "if the file does not hold the whole block with this id",
    example: "store copy import block.export --id 3f…",
  },
  "store backup": {
    summary: "copies a store with all acknowledged blocks, also while a runtime writes to it",
    arguments: { DIR, NEW },
    example: "store state backup copy",
  },
} as const satisfies Readonly<Record<string, CommandSpec>>;
