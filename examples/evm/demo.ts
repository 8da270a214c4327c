/**
 * The EVM as a command: whole Ethereum blocks with their contracts through a root process and its children,
 * one committed block each; the transactions of a block are a batch. What comes of a block is compared with
 * what its header says.
 */

import { existsSync } from "node:fs";
import { basename } from "node:path";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import {
  type Command,
  complain,
  EXIT_FAILED,
  EXIT_OK,
  formatTable,
  grouped,
  integerOption,
  Progress,
  parseOptions,
  print,
} from "../../runtime/cli/terminal.ts";
import { StillpointError, UsageError } from "../../runtime/errors.ts";
import { type BatchReport, programHash, Runtime, type RuntimeOptions } from "../../runtime/index.ts";
import { formatBatches } from "../batches.ts";
import { loadGuest } from "../guests.ts";
import { RUNNING_HELP, RUNNING_OPTIONS, runningOptions, writeTimeline } from "../running.ts";
import { type EvmBlock, listBlocks, readBlock, readCodes } from "./block.ts";
import { comparedFields, differences } from "./compare.ts";
import { decodeResult, type ExecutedBlock } from "./decode.ts";
import { encodeBlock, type Programs } from "./encode.ts";
import { type TraceStep, traceTransaction } from "./trace.ts";

/**
 * What a block may use of the runtime's gas: an Ethereum block of 30 million gas takes up to four billion.
 */
const GAS_LIMIT = 40_000_000_000;
/** Characters of a trace that are written together. */
const TRACE_CHUNK = 1 << 16;
const NOT_SUPPORTED = /not supported: ([a-z ]+)/;

/** A block that ran. */
interface Line {
  readonly block: EvmBlock;
  readonly executed: ExecutedBlock;
  readonly wrong: readonly string[];
  /** Root of the runtime's state after the block. */
  readonly root: string;
  readonly runtimeGas: number;
  /** Wall time of producing the block. */
  readonly ms: number;
  /** Of the transactions. */
  readonly batch: BatchReport | undefined;
}

export const evmCommand: Command = {
  name: "evm",
  help: `Executes Ethereum blocks with their contracts, and compares them with what the chain recorded.

  --blocks DIR   blocks to execute: every <number>.json.gz in DIR, with their codes in codes-*.json.gz;
                 default: the dozen that come with the sources
  --block N      of these only block N
${RUNNING_HELP}
  --json         one JSON object for each block on standard output, and nothing else there
  --trace INDEX  instead, a trace of the transaction with that index in the block of --block (EIP-3155):
                 a line of JSON for each opcode, then output, gas used and whether it passed
  --help         this text

Exit code 1 if a block does not agree with its header.`,
  run: runEvm,
};

/** What a runtime needs to execute blocks, and the programs that its root makes children from. */
export async function evmRuntime(
  options: Partial<RuntimeOptions> = {},
): Promise<{ readonly runtime: Runtime; readonly programs: Programs }> {
  const guests = (["evm/root", "evm/evm", "evm/senders"] as const).map(loadGuest);
  const [root, evm, senders] = (await Promise.all(guests)) as [Uint8Array, Uint8Array, Uint8Array];
  const runtime = await Runtime.open({ root, programs: [evm, senders], gasLimit: GAS_LIMIT, ...options });
  return { runtime, programs: { evm: programHash(evm), senders: programHash(senders) } };
}

async function runEvm(args: string[]): Promise<number> {
  const { values } = parseOptions(args, {
    blocks: { type: "string" },
    block: { type: "string" },
    trace: { type: "string" },
    ...RUNNING_OPTIONS,
    json: { type: "boolean", default: false },
  });
  const directory = values.blocks ?? ownBlocks();
  const running = runningOptions(values);
  const files = chosenBlocks(directory, values.block);
  if (values.trace !== undefined) return runTrace(files, directory, values.trace);
  const codes = readCodes(directory);
  const reports: BatchReport[] = [];
  const onBatch = (report: BatchReport): unknown => reports.push(report);
  const progress = new Progress();
  progress.show("compiling the programs");
  const { runtime, programs } = await evmRuntime({ onBatch, ...running });
  const lines: Line[] = [];
  const unsupported: string[] = [];
  try {
    for (const file of files) {
      const block = readBlock(file);
      progress.show(`block ${block.number}, ${lines.length + 1} of ${files.length}`);
      const metadata = encodeBlock(block, codes, programs);
      const line = await produceLine(runtime, block, metadata, reports);
      progress.clear();
      if (typeof line === "string") {
        unsupported.push(line);
        complain(`block ${block.number}: not supported: ${line}`);
        continue;
      }
      lines.push(line);
      if (values.json) print(formatJson(line));
      for (const difference of line.wrong) complain(`block ${block.number}: ${difference}`);
    }
  } finally {
    progress.clear();
    await runtime.close();
  }
  writeTimeline(runtime, values.timeline);
  const agreeing = lines.filter(({ wrong }) => wrong.length === 0).length;
  if (!values.json) {
    print(formatLines(lines));
    print(formatBatches(reports));
    const left = unsupported.length === 0 ? "" : `, ${unsupported.length} not supported`;
    print(`${agreeing} of ${lines.length} blocks agree with their headers${left}.`);
  }
  return agreeing === lines.length ? EXIT_OK : EXIT_FAILED;
}

/** The files of the blocks in a directory, or of the one with that number. */
function chosenBlocks(directory: string, number: string | undefined): string[] {
  const files = listBlocks(directory);
  if (number === undefined) return files;
  const wanted = integerOption("block", number, 0, Number.MAX_SAFE_INTEGER);
  const chosen = files.filter((file) => basename(file) === `${wanted}.json.gz`);
  if (chosen.length > 0) return chosen;
  const numbers = files.map((file) => basename(file, ".json.gz")).join(", ");
  const message = `--block: ${directory} holds no block ${wanted}; it has ${numbers}`;
  throw new UsageError("BAD_OPTION", message, { option: "block", value: number });
}

/** Prints the trace of a transaction of the only block. */
async function runTrace(files: readonly string[], directory: string, index: string): Promise<number> {
  const wanted = integerOption("trace", index, 0, 2 ** 31);
  const [file, other] = files as [string, string?];
  if (other !== undefined) {
    const message = `--trace needs one block of the ${files.length} there: choose it with --block`;
    throw new UsageError("BAD_OPTION", message, { option: "trace", value: index });
  }
  let lines = "";
  const emit = (step: TraceStep): void => {
    lines += `${JSON.stringify(step)}\n`;
    if (lines.length < TRACE_CHUNK) return;
    process.stdout.write(lines);
    lines = "";
  };
  const summary = await traceTransaction(readBlock(file), readCodes(directory), wanted, emit);
  print(lines + JSON.stringify(summary));
  return EXIT_OK;
}

/** The dozen blocks in the sources; the package does not have them. */
function ownBlocks(): string {
  const directory = fileURLToPath(new URL("./blocks", import.meta.url));
  if (existsSync(directory)) return directory;
  const message =
    "the package has no blocks: name a directory with --blocks; " +
    "a dozen come with the sources, in examples/evm/blocks";
  throw new UsageError("NO_BLOCKS", message, { directory });
}

/** The block as it came out, or what it asks for that is not supported. */
async function produceLine(
  runtime: Runtime,
  block: EvmBlock,
  metadata: Uint8Array,
  reports: readonly BatchReport[],
): Promise<Line | string> {
  const start = performance.now();
  const first = reports.length;
  try {
    const { data, root, gasUsed } = await runtime.produce(metadata);
    const ms = performance.now() - start;
    const executed = decodeResult(data);
    const batch = reports.slice(first).at(-1);
    return { block, executed, wrong: differences(block, executed), root, runtimeGas: gasUsed, ms, batch };
  } catch (cause) {
    if (!(cause instanceof StillpointError)) throw cause;
    const missing = NOT_SUPPORTED.exec(cause.message)?.[1];
    if (missing !== undefined) return missing;
    throw new StillpointError(cause.code, `block ${block.number}: ${cause.message}`, cause.facts, { cause });
  }
}

function formatJson({ block, executed, wrong, root, runtimeGas, ms, batch }: Line): string {
  return JSON.stringify({
    number: Number(block.number),
    fork: block.fork,
    transactions: block.transactions.length,
    gasUsed: Number(executed.gasUsed),
    receiptsRoot: executed.receiptsRoot,
    logsBloom: executed.logsBloom,
    agrees: wrong.length === 0,
    compared: comparedFields(block),
    root,
    runtimeGas,
    ms: Number(ms.toFixed(3)),
    parallel: batch?.parallel ?? 0,
    executions: batch?.executions ?? 0,
    aborts: batch?.aborts ?? 0,
  });
}

function formatLines(lines: readonly Line[]): string {
  const header = [
    "block",
    "fork",
    "transactions",
    "calls",
    "gas",
    "receipts",
    "Mgas/s",
    "ran",
    "runtime root",
  ];
  const rows = lines.map(({ block, executed, wrong, ms, batch, root }) => [
    String(block.number),
    block.fork,
    grouped(block.transactions.length),
    grouped(callsOf(block)),
    grouped(executed.gasUsed),
    wrong.length > 0
      ? "differ"
      : comparedFields(block).includes("receiptsRoot")
        ? "agree"
        : "gas and bloom agree",
    (Number(executed.gasUsed) / 1000 / ms).toFixed(0),
    formatRun(batch),
    `${root.slice(0, 12)}…`,
  ]);
  return formatTable(header, rows, ["fork", "receipts", "ran", "runtime root"]);
}

/** How many transactions go to contracts. */
export function callsOf({ accounts, transactions }: EvmBlock): number {
  const contracts = new Set(
    accounts.filter(({ codeHash }) => codeHash !== null).map(({ address }) => address),
  );
  return transactions.filter(({ to }) => to !== null && contracts.has(to)).length;
}

function formatRun(batch: BatchReport | undefined): string {
  if (batch === undefined || batch.parallel === 0) return "in the loop";
  const { parallel, executions, aborts } = batch;
  return `${grouped(parallel)} in parallel, ${grouped(executions)} executions, ${grouped(aborts)} aborts`;
}
