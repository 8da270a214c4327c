/** Commands for those who write contracts. */

import type { ArgumentSpec, CommandSpec, OptionSpec } from "../command.ts";

const APP = {
  about: "the file with the contracts; default: that of package.json",
  completes: "file",
  optional: true,
} as const satisfies ArgumentSpec;

/** The app that a command works on. */
const OF_APP = {
  app: {
    about: 'APP.ts or APP.wasm; default: "stillpoint": { "app": … } in package.json',
    value: "FILE",
    completes: "file",
  },
  setup: {
    about: "arguments of the setups of a new chain, by contract: JSON, or a JSON file; default as for --app",
    value: "JSON",
    completes: "file",
  },
} as const satisfies Readonly<Record<string, OptionSpec>>;

const TARGET = {
  store: {
    about: "the app in this store, which no runtime may have open",
    value: "DIR",
    completes: "directory",
  },
  url: { about: 'the app of this node, as "stillpoint dev" starts one', value: "URL" },
  ...OF_APP,
  from: { about: "the caller: an address, or $0 to $9 for a test account; default $0", value: "ADDRESS" },
  gas: { about: "the gas limit of the call", value: "N", range: [0, 2 ** 48] },
  signed: { about: "the app in the store takes signed transactions: a test account signs" },
  chain: {
    about: 'with --signed: the name of its chain; default "stillpoint dev", as "stillpoint dev --signed"',
    value: "NAME",
  },
} as const satisfies Readonly<Record<string, OptionSpec>>;

const CALL = {
  CALL: { about: "a contract and its function, as Bank.pay" },
  "NAME=VALUE": { about: "its arguments, or one JSON object", optional: true, repeated: true },
} as const satisfies Readonly<Record<string, ArgumentSpec>>;

const RUNNING = {
  workers: { about: "worker threads", value: "N", range: [1, 64] },
  runner: { about: "how batches run", value: "NAME", choices: ["parallel", "sequential"] },
} as const satisfies Readonly<Record<string, OptionSpec>>;

export const CONTRACTS = {
  new: {
    summary: "makes a project: a contract, its test, a host",
    arguments: { DIR: { about: "a directory that is empty or does not exist", completes: "directory" } },
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
  test: {
    summary: "runs the tests of a project with node --test",
    arguments: {
      FILE: {
        about: "files with tests; default: all in the project",
        completes: "file",
        optional: true,
        repeated: true,
      },
    },
    options: {
      watch: { about: "runs them again when they, or what they import, change" },
      name: { about: "only tests whose name matches", value: "PATTERN" },
      "update-gas": { about: "rewrites the gas snapshots of expectGas instead of comparing them" },
      coverage: { about: "shows which lines of guests ran, and writes coverage/lcov.info" },
    },
    about: `--json prints a line for each test, { "name", "file", "line", "outcome", "ms" } and "error" if it
failed, and then the counts. With --watch a test is run again also when the source of a contract that it
opens changes. --coverage counts what TestContract and TestProcess run, which changes no gas; editors and
genhtml read the file.`,
    no: "if a test fails",
    example: "test --name overdraft",
  },
  dev: {
    summary:
      "runs a local node that follows the sources: JSON-RPC, test accounts, a block for each transaction",
    arguments: { "APP.ts": APP },
    options: {
      store: { about: "keeps its blocks there; default: in memory", value: "DIR", completes: "directory" },
      port: { about: "where it listens on 127.0.0.1; default 8545; 0: any", value: "N", range: [0, 65535] },
      setup: OF_APP.setup,
      signed: { about: "accepts only signed transactions; the node signs for the test accounts" },
      "no-mining": { about: "makes no block until the method mine is called" },
      record: { about: "records how blocks run: see stillpoint inspect DIR recording" },
      "query-gas": { about: "the gas limit of queries; default 10^9", value: "N", range: [1, 2 ** 40] },
      "allow-origin": { about: "pages of this origin may send requests", value: "ORIGIN", repeated: true },
    },
    about: `A change of the sources becomes an upgrade: the state stays. If it does not compile, or the lock
file does not allow it, the error is printed and the old program runs on. An account has what the setup gives
it; "$0" to "$9" stand for the test accounts there.`,
    example: "dev contracts/bank.ts --port 8545",
  },
  submit: {
    summary: "submits a transaction, and makes a block of it",
    arguments: CALL,
    options: {
      ...TARGET,
      key: {
        about: "with --signed: signs with the secp256k1 secret in this file, 64 hexadecimal digits",
        value: "FILE",
        completes: "file",
      },
    },
    no: "if the transaction fails",
    example: "submit Bank.pay to=$1 amount=5 --url http://127.0.0.1:8545",
  },
  query: {
    summary: "calls a view, which changes nothing",
    arguments: CALL,
    options: {
      ...TARGET,
      block: { about: "the block to query, by height; default: the latest", value: "N", range: [0, 2 ** 48] },
    },
    no: "if the view fails",
    example: "query Bank.balanceOf who=$0 --store state",
  },
  run: {
    summary: "makes blocks from a file of transactions, a block for each line",
    arguments: { BLOCKS: { about: "a file with JSON in each line", completes: "file" } },
    options: { store: TARGET.store, ...OF_APP, ...RUNNING },
    about: `A line is a list of transactions, or { "time": MS, "transactions": [...] }. A transaction is
{ "call": "Bank.pay", "args": { "to": "$1", "amount": 5 }, "from": "$0", "gas": N, "expect": "overdraft" };
"expect" is its wanted outcome: "ok", or the name of a failure.`,
    no: 'if a transaction does not end as "expect" says',
    example: "run blocks.jsonl --workers 2",
  },
  replay: {
    summary: "runs the blocks of a store again, in memory, and compares roots, data and gas",
    arguments: { DIR: { about: "the directory of the store", completes: "directory" } },
    options: {
      from: {
        about: "the first height; default: the first that can be replayed",
        value: "N",
        range: [1, 2 ** 48],
      },
      to: { about: "the last height; default: that of the head", value: "N", range: [1, 2 ** 48] },
      ...RUNNING,
    },
    no: "if a block comes out differently",
    example: "replay state --workers 4",
  },
  compare: {
    summary: "compares two versions of a program on the same transactions: gas, outcomes, state",
    arguments: {
      OLD: { about: "APP.ts or APP.wasm; the transactions are those of its clients", completes: "file" },
      NEW: { about: "the other version: APP.ts or APP.wasm", completes: "file" },
      BLOCKS: { about: 'transactions, as in a file for "stillpoint run"', completes: "file" },
    },
    options: {
      setup: {
        about: "arguments of the setups of both: JSON, or a JSON file; default: those of package.json",
        value: "JSON",
        completes: "file",
      },
    },
    no: "if an outcome or the state differs",
    example: "compare old.wasm contracts/bank.ts blocks.jsonl",
  },
  "upgrade-check": {
    summary: "says whether a program can take over the state of another",
    arguments: {
      OLD: {
        about: "APP.ts, APP.wasm, or the directory of a store whose app is to be upgraded",
        completes: "file",
      },
      NEW: { about: "the new program: APP.ts or APP.wasm", completes: "file" },
    },
    about: "Lists state added or removed, migrations that would run, and functions that clients would miss.",
    no: "if the new program would read the state wrongly",
    example: "upgrade-check state contracts/bank.ts",
  },
  interface: {
    summary: "prints the functions, events, failures and state of a program",
    arguments: { FILE: { about: "APP.ts, or the APP.wasm of a build", completes: "file" } },
    example: "interface bank.wasm",
  },
} as const satisfies Readonly<Record<string, CommandSpec>>;
