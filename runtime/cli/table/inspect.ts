/** Commands that read a store, and change nothing. */

import type { ArgumentSpec, CommandSpec, OptionSpec } from "../command.ts";

const DIR = { about: "the directory of the store", completes: "directory" } as const satisfies ArgumentSpec;
const PATH = { about: "numbers of children from the root: /1, /1/7; the root is /" } as const;
const BLOCK = {
  about: "the block to look at, by height or id; default: the newest",
  value: "BLOCK",
} as const satisfies OptionSpec;

export const INSPECT = {
  "inspect blocks": {
    summary: "lists the blocks that the store holds",
    arguments: { DIR },
    options: {
      last: { about: "only so many, the newest", value: "N", range: [1, 2 ** 32] },
    },
    example: "inspect state blocks --last 10",
  },
  "inspect process": {
    summary: "shows a process: what it is, has and may use, and its children",
    arguments: { DIR, PATH: { ...PATH, optional: true } },
    options: {
      block: BLOCK,
      from: { about: "lists children from this number on", value: "N", range: [0, 2 ** 20] },
      count: { about: "lists so many children; default 100", value: "N", range: [0, 2 ** 20] },
    },
    no: "if there is no such process",
    example: "inspect state process /1",
  },
  "inspect memory": {
    summary: "prints bytes of a process",
    arguments: {
      DIR,
      PATH,
      ADDRESS: { about: "where to begin; 0x… is hexadecimal" },
      LENGTH: { about: "how many bytes; default 256", optional: true },
    },
    options: { block: BLOCK, raw: { about: "writes the bytes themselves, for a pipe" } },
    example: "inspect state memory /1 0x1000 64",
  },
  "inspect diff": {
    summary: "what differs between two blocks, down to ranges of bytes",
    arguments: {
      DIR,
      A: { about: "a block, by height or id" },
      B: { about: "another; default: the newest", optional: true },
    },
    options: { limit: { about: "most differences; default 1000", value: "N", range: [0, 2 ** 32] } },
    no: "if anything differs",
    example: "inspect state diff 7 8",
  },
  "inspect diverge": {
    summary: "the first block in which two stores differ, and how",
    arguments: { DIR, OTHER: { about: "the directory of another store", completes: "directory" } },
    options: {
      by: {
        about: "compare ids (default), or what the roots said, whatever their programs",
        value: "WHAT",
        choices: ["id", "data"],
      },
    },
    no: "if they differ",
    example: "inspect state diverge other",
  },
  "inspect trace": {
    summary: "runs a block once more and lists all that happened in it",
    arguments: { DIR, BLOCK: { about: "by height or id; default: the newest", optional: true } },
    options: { faults: { about: "only what faulted, with stacks" } },
    about: "The block before must be there as well. No other process may have the store open for writing.",
    example: "inspect state trace 8 --faults",
  },
  "inspect proof": {
    summary: "proves what bytes a process has, to whoever knows the block's id",
    arguments: {
      DIR,
      PATH,
      ADDRESS: { about: "where the bytes begin; 0x… is hexadecimal" },
      LENGTH: { about: "how many" },
    },
    options: {
      block: BLOCK,
      out: { about: "where the proof goes", value: "FILE", short: "o", completes: "file" },
    },
    about: 'It is checked with "stillpoint proof check FILE", which needs no store.',
    example: "inspect state proof /1 0x1000 64 -o balance.proof",
  },
  "inspect pins": {
    summary: "lists the blocks that are pinned: kept whatever else is pruned",
    arguments: { DIR },
    example: "inspect state pins",
  },
  "inspect verify": {
    summary: "hashes everything anew, and names what is damaged",
    arguments: { DIR },
    no: "if anything is damaged",
    example: "inspect state verify",
  },
  "inspect export": {
    summary: "writes a block to a file, whole or as what differs from another",
    arguments: { DIR, FILE: { about: "the file to write", completes: "file" } },
    options: {
      block: { ...BLOCK, about: "the block to write, by height or id; default: the newest" },
      base: { about: "writes only what differs from this block", value: "BLOCK" },
    },
    about: 'Another store takes it with "stillpoint store DIR import FILE".',
    example: "inspect state export block.export --base 7",
  },
  "proof check": {
    summary: "checks a proof, without a store",
    arguments: {
      FILE: { about: "a proof that inspect has written, or bytes of runtime.prove", completes: "file" },
    },
    options: {
      id: { about: "the id of the block, from someone you trust", value: "ID" },
      root: { about: "the root of the block instead: bare proofs need it", value: "ROOT" },
    },
    about:
      "Without --id it prints which block the proof speaks of: that id must come from someone you trust.",
    no: "if the proof shows nothing, or speaks of another block",
    example: "proof check balance.proof",
  },
} as const satisfies Readonly<Record<string, CommandSpec>>;
