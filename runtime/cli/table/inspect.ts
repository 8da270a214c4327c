/** Commands that read a store, and change nothing. */

import type { ArgumentSpec, CommandSpec, OptionSpec } from "../command.ts";

const DIR = { about: "the directory of the store", completes: "directory" } as const satisfies ArgumentSpec;
const PATH = { about: "numbers of children from the root: /1, /1/7; the root is /" } as const;
const BLOCK = {
  about: "the block to look at, by height or id; default: the newest",
  value: "BLOCK",
} as const satisfies OptionSpec;
const MADE = `A state that the store does not have is made in memory, from a copy of the nearest one below. A
runtime may have the store open meanwhile.`;

export const INSPECT = {
  "inspect blocks": {
    summary: "lists the blocks that the store holds",
    arguments: { DIR },
    options: {
      last: { about: "only the newest N", value: "N", range: [1, 2 ** 32] },
    },
    example: "inspect state blocks --last 10",
  },
  "inspect process": {
    summary: "shows a process: program, status, memory, quotas and children",
    arguments: { DIR, PATH: { ...PATH, optional: true } },
    options: {
      block: BLOCK,
      from: { about: "the first child to list, by number", value: "N", range: [0, 2 ** 20] },
      count: { about: "how many children to list; default 100", value: "N", range: [0, 2 ** 20] },
    },
    no: "if there is no such process",
    about: MADE,
    example: "inspect state process /1",
  },
  "inspect memory": {
    summary: "prints bytes of the memory of a process",
    arguments: {
      DIR,
      PATH,
      ADDRESS: { about: "the address of the first byte; 0x… is hexadecimal" },
      LENGTH: { about: "how many bytes; default 256", optional: true },
    },
    options: { block: BLOCK, raw: { about: "writes the bytes as they are, for a pipe" } },
    about: MADE,
    example: "inspect state memory /1 0x1000 64",
  },
  "inspect diff": {
    summary: "shows what differs between two blocks, down to ranges of bytes",
    arguments: {
      DIR,
      A: { about: "a block, by height or id" },
      B: { about: "another; default: the newest", optional: true },
    },
    options: {
      limit: { about: "maximum number of differences; default 1000", value: "N", range: [0, 2 ** 32] },
    },
    no: "if anything differs",
    about: MADE,
    example: "inspect state diff 7 8",
  },
  "inspect diverge": {
    summary: "finds the first block in which two stores differ, and shows how",
    arguments: { DIR, OTHER: { about: "the directory of another store", completes: "directory" } },
    options: {
      by: {
        about: "compares ids, the default, or only the data of blocks, for chains with different programs",
        value: "WHAT",
        choices: ["id", "data"],
      },
    },
    no: "if they differ",
    about: MADE,
    example: "inspect state diverge other",
  },
  "inspect trace": {
    summary: "runs a block once more, and shows its activations, calls and transactions as a tree",
    arguments: { DIR, BLOCK: { about: "by height or id; default: the newest", optional: true } },
    options: {
      faults: { about: "only faults, with stacks" },
      calls: { about: "also calls that went well" },
      failed: { about: "the latest attempt that failed, at the height BLOCK if it is given: see --record" },
      app: {
        about: "the source of the app's program: also what its calls of debug print",
        value: "FILE",
        completes: "file",
      },
    },
    about: `Of a block of an app, each transaction is shown with its arguments and outcome, what it printed,
emitted and changed in state. --json prints a line for each event, and for each transaction.

The store must hold the parent of the block too. While another process has it open for writing, a copy of
that state is used, of at most 4 GiB.`,
    example: "inspect state trace 8 --app contracts/bank.ts",
  },
  "inspect recording": {
    summary: "lists the recordings of how blocks ran, or shows one of them",
    arguments: {
      DIR,
      BLOCK: { about: "by height or id; default: all that were recorded are listed", optional: true },
    },
    options: {
      failed: { about: "the latest attempt at that height that failed" },
      again: { about: "runs the block once more for it, whether it was recorded or not" },
      workers: { about: "worker threads of that run", value: "N", range: [1, 64] },
    },
    about: `A runtime records with the option "record", stillpoint dev with --record. A block that was not
recorded is run once more, from its parent, which the store must hold; while another process has it open for
writing, from a copy. --json prints what stillpoint/debug names BlockRecording.`,
    example: "inspect state recording 8",
  },
  "inspect profile": {
    summary: "shows where a block of an app spends its gas, by function and line",
    arguments: { DIR, BLOCK: { about: "by height or id; default: the newest", optional: true } },
    options: {
      app: { about: "the source of the app's program: for lines", value: "FILE", completes: "file" },
      svg: { about: "writes a flame graph", value: "FILE", completes: "file" },
      speedscope: { about: "writes a file for speedscope.app", value: "FILE", completes: "file" },
      samples: { about: "how many runs it is made of; default 1000", value: "N", range: [1, 1_000_000] },
    },
    about: `Runs its transactions again, many times, each with less gas than it needs: where a run stops is
where its gas goes. The store must hold the parent of the block too; a copy of that state is used while
another process has it open for writing.`,
    example: "inspect state profile 8 --app contracts/bank.ts --svg gas.svg",
  },
  "inspect proof": {
    summary: "writes a proof of bytes in a process, for anybody who knows the block's id",
    arguments: {
      DIR,
      PATH,
      ADDRESS: { about: "the address of the first byte; 0x… is hexadecimal" },
      LENGTH: { about: "how many bytes" },
    },
    options: {
      block: BLOCK,
      out: {
        about: "where the proof goes; default: standard output",
        value: "FILE",
        short: "o",
        completes: "file",
      },
    },
    about: 'It is checked with "stillpoint proof check FILE", which needs no store.',
    example: "inspect state proof /1 0x1000 64 -o balance.proof",
  },
  "inspect pins": {
    summary: "lists the pinned blocks, which pruning keeps",
    arguments: { DIR },
    example: "inspect state pins",
  },
  "inspect verify": {
    summary: "hashes everything again, and lists what is damaged",
    arguments: { DIR },
    no: "if anything is damaged",
    example: "inspect state verify",
  },
  "inspect export": {
    summary: "writes a block to a file: all of it, or its difference from another",
    arguments: { DIR, FILE: { about: "the file to write", completes: "file" } },
    options: {
      block: { ...BLOCK, about: "the block to write, by height or id; default: the newest" },
      base: { about: "writes only the difference from this block", value: "BLOCK" },
      portable: {
        about:
          "writes a format that depends on no hash: for a version of stillpoint that hashes in another way",
      },
    },
    about:
      'Another store imports it with "stillpoint store DIR import FILE", with --rehash if it is portable.',
    example: "inspect state export block.export --base 7",
  },
  "inspect web": {
    summary: "shows the store in a browser: blocks, processes, memory, batches, differences, proofs",
    isFlag: true,
    arguments: { DIR },
    options: {
      port: { about: "where it listens on 127.0.0.1; default 8547; 0: any", value: "N", range: [0, 65535] },
      other: {
        about: "another store, to compare with",
        value: "DIR",
        completes: "directory",
        repeated: true,
      },
      sources: {
        about: "sources of a program, for stacks with lines: APP.ts, or APP.wasm of compile --sources",
        value: "FILE",
        completes: "file",
        repeated: true,
      },
    },
    about: `The page is served on this machine only, and reads: nothing that is asked of it can change the
store. New blocks appear while a runtime writes. See docs/inspector.md.`,
    example: "inspect state --web",
  },
  "proof check": {
    summary: "checks a proof, without a store",
    arguments: {
      FILE: {
        about: 'a file of "inspect DIR proof", or the bytes that runtime.prove returns',
        completes: "file",
      },
    },
    options: {
      id: { about: "the id of the block, from someone you trust", value: "ID" },
      root: { about: "the root of the block: needed for bytes of runtime.prove", value: "ROOT" },
    },
    about: "Without --id it prints the id of the block; compare it with one from someone you trust.",
    no: "if the proof is not valid, or is of another block",
    example: "proof check balance.proof",
  },
} as const satisfies Readonly<Record<string, CommandSpec>>;
