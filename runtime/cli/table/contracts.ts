/** Commands for those who write contracts. */

import type { ArgumentSpec, CommandSpec } from "../command.ts";

const APP = { about: "the file with the contracts", completes: "file" } as const satisfies ArgumentSpec;

export const CONTRACTS = {
  new: {
    summary: "makes a project: a contract, its test, a host",
    arguments: { DIR: { about: "a directory that is empty, or not there", completes: "directory" } },
    example: "new hello",
  },
  build: {
    summary: "builds a program of contracts: module, layout of the state, client with types",
    arguments: { "APP.ts": APP },
    options: {
      out: { about: "where APP.wasm goes; default: beside the source", value: "DIR", completes: "directory" },
      check: { about: "writes nothing; fails if the layout or the client would change" },
      watch: { about: "builds again whenever a source changes, until it is interrupted" },
    },
    about: `APP.layout.json, beside the source, says where each collection of the state lies. Keep it with the
source: what is in it never moves, and new collections are added to it. APP.client.ts, beside the source,
is the type for App.open<Client>(…). APP.wasm is what App.open takes as "program".`,
    no: "if it does not compile, or --check finds a difference",
    example: "build contracts/bank.ts --check",
  },
  interface: {
    summary: "prints the functions, events, failures and state of a program",
    arguments: { FILE: { about: "APP.ts, or the APP.wasm of a build", completes: "file" } },
    example: "interface bank.wasm",
  },
} as const satisfies Readonly<Record<string, CommandSpec>>;
