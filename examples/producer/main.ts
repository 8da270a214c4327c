/** npm run producer -- serve|follow|read|replicate [OPTION…] */

import { hostname } from "node:os";
import { resolve } from "node:path";
import {
  type Command,
  choiceOption,
  EXIT_OK,
  integerOption,
  parseOptions,
  print,
  printError,
  runCommand,
} from "../../runtime/cli/terminal.ts";
import { UsageError } from "../../runtime/index.ts";
import type { Address } from "./bank.ts";
import { openLog } from "./log.ts";
import { ProducerNode } from "./node.ts";
import { ReadingNode } from "./reader.ts";
import { replicate } from "./replica.ts";

const HELP = `A block producer: payments over HTTP, into durable blocks, with proofs.

  producer serve --store DIR --founder ADDRESS    makes blocks; ADDRESS gets all the money of a new bank
      --port N            default 8545; 0: any
      --block-ms N        a payment waits so long for others, 1 to 60,000; default 50
      --block-count N     so many do not wait, and are the most of a block; default 500
      --durability WHICH  block: readers of the store see a block at once; default: logged, within two seconds
      --upgrade           a bank with another program than guest/bank.ts gets this one; else it is not served
      --workers N         worker threads, of "replicate" as well; default: one for each core, at most 8
      --log WHERE         a directory, or nats://HOST:PORT/STREAM: each block goes in there first
      --name NAME         with --log: who this node is, whenever it is started; default: the host and DIR
  producer follow --store DIR --log WHERE         makes the log's blocks again, answers reads, stands by, and
                                                  takes over at SIGUSR2; other options as "serve"
  producer read --store DIR                       answers reads from the store of a producer on this machine
      --port N            default 8546
  producer replicate --store DIR --from URL       takes the state of another node, and makes its blocks again
      --id ID             the block to begin with, if it is known from elsewhere

Options of a node that listens:
  --allow-host NAME       another name of this machine, for the header Host; as often as need be
  --allow-origin ORIGIN   pages that may send requests; as often as need be
  --help                  this text

Each prints a line of JSON when it is ready and for each block, and ends cleanly at SIGTERM or SIGINT.`;

const TEXT = { type: "string" } as const;
const LISTENING = {
  port: TEXT,
  "allow-host": { type: "string", multiple: true },
  "allow-origin": { type: "string", multiple: true },
} as const;

const command: Command = {
  name: "producer",
  help: HELP,
  run: async ([what = "", ...args]) => {
    const run = { serve, follow, read, replicate: replicateFrom }[what];
    if (run === undefined) throw new UsageError("BAD_OPTION", "say serve, follow, read or replicate");
    await run(args);
    return EXIT_OK;
  },
};

const serve = (args: string[]): Promise<void> => runNode(args, false);
const follow = (args: string[]): Promise<void> => runNode(args, true);

async function runNode(args: string[], follows: boolean): Promise<void> {
  const { values } = parseOptions(args, {
    ...LISTENING,
    store: TEXT,
    founder: TEXT,
    workers: TEXT,
    "block-ms": { type: "string", default: "50" },
    "block-count": { type: "string", default: "500" },
    durability: { type: "string", default: "logged" },
    upgrade: { type: "boolean", default: false },
    log: TEXT,
    name: TEXT,
  });
  const store = given("store", values.store);
  const founder = follows ? values.founder : given("founder", values.founder);
  if (founder !== undefined && !/^0x[0-9a-f]{40}$/.test(founder)) {
    throw new UsageError("BAD_OPTION", "--founder takes an address, 0x and 40 digits in lower case");
  }
  const place = follows ? given("log", values.log) : values.log;
  const open = place === undefined ? null : await openLog(place);
  const writer = values.name ?? `${hostname()}:${resolve(store)}`;
  const node = await ProducerNode.open({
    store,
    ...(founder === undefined ? {} : { founder: founder as Address }),
    ...(open === null ? {} : { log: { log: open.log, writer, follows } }),
    onBlock: ({ height, id }) => say({ kind: "commit", height, block: id }),
    durability: choiceOption("durability", values.durability, ["block", "logged"] as const),
    everyMs: integerOption("block-ms", values["block-ms"], 1, 60_000),
    count: integerOption("block-count", values["block-count"], 1, 5_000),
    upgrade: values.upgrade,
    ...workersOf(values),
    ...listening(values, 8545),
  });
  const { genesis: chain } = node.bank.runtime;
  say({ ready: node.url, chain, height: node.bank.head.height, ...(await node.turn.standing()) });
  const promote = (): void => {
    node.turn
      .promote()
      .then(async () => say({ kind: "promoted", ...(await node.turn.standing()) }))
      .catch((error) => printError(`producer: not promoted: ${error.message}`));
  };
  process.on("SIGUSR2", promote);
  try {
    await Promise.race([asked(), node.turn.failed]);
  } finally {
    process.off("SIGUSR2", promote);
    await node.stop();
    await open?.close();
  }
  say({ stopped: node.bank.head.id, height: node.bank.head.height });
}

async function read(args: string[]): Promise<void> {
  const { values } = parseOptions(args, { ...LISTENING, store: TEXT });
  const reader = await ReadingNode.open({
    store: given("store", values.store),
    onEvent: ({ kind, height, block }) => say({ kind, height, block }),
    ...listening(values, 8546),
  });
  say({ ready: reader.url });
  await Promise.race([asked(), reader.following]);
  await reader.stop();
}

async function replicateFrom(args: string[]): Promise<void> {
  const { values } = parseOptions(args, { store: TEXT, from: TEXT, id: TEXT, workers: TEXT });
  const [url, store] = [given("from", values.from), given("store", values.store)];
  if (!URL.canParse(url)) throw new UsageError("BAD_OPTION", "--from takes the URL of a node");
  const stop = new AbortController();
  void asked().then(() => stop.abort());
  const last = await replicate({
    url: url.replace(/\/$/, ""),
    store,
    ...(values.id === undefined ? {} : { id: values.id }),
    ...workersOf(values),
    signal: stop.signal,
    onBlock: ({ height, id }) => say({ kind: "commit", height, block: id }),
    onRetry: (error) => printError(`producer: tried again: ${(error as Error).message}`),
  });
  say({ stopped: last?.id ?? null, height: last?.height ?? null });
}

function given(name: string, value: string | undefined): string {
  if (value !== undefined && value !== "") return value;
  throw new UsageError("BAD_OPTION", `--${name} is missing`);
}

function workersOf({ workers }: { readonly workers?: string }): { readonly workers?: number } {
  return workers === undefined ? {} : { workers: integerOption("workers", workers, 1, 64) };
}

function listening(
  values: { readonly port?: string; readonly "allow-host"?: string[]; readonly "allow-origin"?: string[] },
  port: number,
) {
  return {
    port: integerOption("port", values.port ?? String(port), 0, 65_535),
    hosts: values["allow-host"] ?? [],
    origins: values["allow-origin"] ?? [],
  };
}

/** Resolves when somebody wants the process to end; who insists ends it at once. */
function asked(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
  });
}

function say(line: object): void {
  print(JSON.stringify(line));
}

await runCommand(command, process.argv.slice(2));
