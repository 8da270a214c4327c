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
  EXIT_FAILED,
  EXIT_OK,
  integerOption,
  Progress,
  parseOptions,
  print,
  printError,
} from "../../runtime/cli/terminal.ts";
import { StillpointError, UsageError } from "../../runtime/errors.ts";
import {
  type BatchReport,
  BlockFault,
  programHash,
  Runtime,
  type RuntimeOptions,
} from "../../runtime/index.ts";
import { formatBatches } from "../batches.ts";
import { loadGuest } from "../guests.ts";
import { RUNNING_HELP, RUNNING_OPTIONS, runningOptions, writeTimeline } from "../running.ts";
import { type EvmBlock, listBlocks, readBlock, readCodes } from "./block.ts";
import { differences } from "./compare.ts";
import { decodeResult } from "./decode.ts";
import { encodeBlock, type Programs } from "./encode.ts";
import { formatFailure, formatHeader, formatJson, formatLine, formatTotals, type Line } from "./table.ts";
import { type TraceStep, traceTransaction } from "./trace.ts";

/**
 * What a block may use of the runtime's gas: an Ethereum block of 30 million gas takes up to four billion.
 * Blocks end with all work done; the heap holds what so much gas can make.
 */
const RULES = { gasLimit: 40_000_000_000, heldGasQuota: 0, heapBytes: 2 ** 35 } as const;
/** Characters of a trace that are written together. */
const TRACE_CHUNK = 1 << 16;
const NOT_SUPPORTED = /not supported: point evaluation/;

export const evmCommand: Command = {
  name: "evm",
  help: `Executes Ethereum blocks with their contracts, and compares them with what the chain recorded.

  --blocks DIR   blocks to execute: every <number>.json.gz in DIR, with their codes in codes-*.json.gz;
                 default: the dozen that come with the sources
  --block N      of these only block N
  --store DIR    keeps the blocks there, and records how they ran: stillpoint inspect DIR --web shows it
${RUNNING_HELP}
  --json         one JSON object for each block on standard output, and nothing else there
  --trace INDEX  instead, a trace of the transaction with that index in the block of --block (EIP-3155):
                 a line of JSON for each opcode, then output, gas used and whether it passed
  --help         this text

Exit code 1 if a block is not valid or does not agree with its header.`,
  run: runEvm,
};

/** What a runtime needs to execute blocks, and the programs that its root makes children from. */
export async function evmRuntime(
  options: Partial<RuntimeOptions> = {},
): Promise<{ readonly runtime: Runtime; readonly programs: Programs }> {
  const guests = (["evm/root", "evm/evm", "evm/senders"] as const).map(loadGuest);
  const [root, evm, senders] = (await Promise.all(guests)) as [Uint8Array, Uint8Array, Uint8Array];
  const runtime = await Runtime.open({ root, programs: [evm, senders], ...RULES, ...options });
  return { runtime, programs: { evm: programHash(evm), senders: programHash(senders) } };
}

async function runEvm(args: string[]): Promise<number> {
  const { values } = parseOptions(args, {
    blocks: { type: "string" },
    block: { type: "string" },
    store: { type: "string" },
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
  const kept = values.store === undefined ? {} : { store: values.store, record: true };
  const { runtime, programs } = await evmRuntime({ onBatch, ...running, ...kept });
  const lines: Line[] = [];
  let failed = 0;
  let unsupported = 0;
  if (!values.json) print(formatHeader());
  try {
    for (const [i, file] of files.entries()) {
      const block = readBlock(file);
      progress.part(`block ${block.number}`, i, files.length);
      const line = await produceLine(runtime, block, encodeBlock(block, codes, programs), reports);
      progress.clear();
      if (line instanceof StillpointError) {
        const isSupported = !NOT_SUPPORTED.test(line.message);
        if (isSupported) failed++;
        else unsupported++;
        const why = isSupported ? "not valid" : "not supported: point evaluation";
        if (!values.json) print(formatFailure(block, why));
        if (isSupported || values.json)
          printError(`block ${block.number}: ${isSupported ? line.message : why}`);
        continue;
      }
      lines.push(line);
      print(values.json ? formatJson(line) : formatLine(line));
      for (const difference of line.wrong) printError(`block ${block.number}: ${difference}`);
    }
  } finally {
    progress.clear();
    await runtime.close();
  }
  writeTimeline(runtime, values.timeline);
  if (!values.json) {
    print(formatBatches(reports));
    print(formatTotals(lines, failed, unsupported));
  }
  const isGood = failed === 0 && lines.every(({ wrong }) => wrong.length === 0);
  return isGood ? EXIT_OK : EXIT_FAILED;
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

/** The block as it came out, or why it is not valid or not supported; nothing is committed then. */
async function produceLine(
  runtime: Runtime,
  block: EvmBlock,
  metadata: Uint8Array,
  reports: readonly BatchReport[],
): Promise<Line | StillpointError> {
  const start = performance.now();
  const first = reports.length;
  try {
    const { data, root, gasUsed } = await runtime.produce(metadata);
    const ms = performance.now() - start;
    const executed = decodeResult(data);
    const batch = reports.slice(first).at(-1);
    return { block, executed, wrong: differences(block, executed), root, runtimeGas: gasUsed, ms, batch };
  } catch (cause) {
    if (cause instanceof BlockFault) return cause;
    if (!(cause instanceof StillpointError)) throw cause;
    throw new StillpointError(cause.code, `block ${block.number}: ${cause.message}`, cause.facts, { cause });
  }
}
