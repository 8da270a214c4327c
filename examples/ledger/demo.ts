/**
 * The ledger as a command: real blocks through a root process and its child, one committed block each. The
 * transactions of a block are a batch.
 *
 * Each block file is checked whole before the first one runs. With an expected.json beside the blocks every
 * result is compared with it, and a difference fails the command after all blocks have run.
 */

import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import {
  type Command,
  EXIT_FAILED,
  EXIT_OK,
  formatTable,
  grouped,
  Progress,
  parseOptions,
  print,
  printError,
} from "../../runtime/cli/terminal.ts";
import { StillpointError } from "../../runtime/errors.ts";
import { type BatchReport, programHash, Runtime } from "../../runtime/index.ts";
import { formatBatches } from "../batches.ts";
import { loadGuest } from "../guests.ts";
import { RUNNING_HELP, RUNNING_OPTIONS, runningOptions, writeTimeline } from "../running.ts";
import { type LedgerBlock, listBlocks, readBlock } from "./block.ts";
import { decodeResult, encodeBlock, type LedgerReport } from "./encode.ts";
import { differences, readExpected } from "./expected.ts";

/** A block of 20,000 transfers takes some 10^9. Blocks end with all work done. */
const RULES = { gasLimit: 7_000_000_000, heldGasQuota: 0 } as const;

interface Line extends LedgerReport {
  /** Root of the runtime's state after the block. */
  readonly root: string;
  readonly gasUsed: number;
  /** Wall time of producing the block. */
  readonly ms: number;
}

export const ledgerCommand: Command = {
  name: "ledger",
  help: `Runs blocks of Ethereum value transfers through a root process and a ledger process.

  --blocks DIR   blocks to run, every <number>.json in DIR; default: the dozen that come with the project.
                 With an expected.json beside them results are compared: exit code 1 on a difference
${RUNNING_HELP}
  --json         one JSON object for each block on standard output, and nothing else there
  --help         this text`,
  run: runLedger,
};

async function runLedger(args: string[]): Promise<number> {
  const { values } = parseOptions(args, {
    blocks: { type: "string" },
    ...RUNNING_OPTIONS,
    json: { type: "boolean", default: false },
  });
  const directory = values.blocks ?? fileURLToPath(new URL("./blocks", import.meta.url));
  const running = runningOptions(values);
  const blocks = listBlocks(directory).map(readBlock);
  const expected = readExpected(directory);

  const [root, ledger] = await Promise.all([loadGuest("ledger/root"), loadGuest("ledger/ledger")]);
  const reports: BatchReport[] = [];
  const onBatch = (report: BatchReport): unknown => reports.push(report);
  const runtime = await Runtime.open({ root, programs: [ledger], ...RULES, onBatch, ...running });
  const ledgerProgram = programHash(ledger);
  const progress = new Progress();
  const lines: Line[] = [];
  const wrong: string[] = [];
  let compared = 0;
  try {
    for (const block of blocks) {
      progress.part(`block ${block.number}`, lines.length, blocks.length);
      const line = await produceLine(runtime, block, ledgerProgram);
      lines.push(line);
      const wanted = expected.get(block.number);
      if (wanted !== undefined) {
        compared++;
        wrong.push(...differences(wanted, line));
      }
      if (values.json) print(formatJson(line));
    }
  } finally {
    progress.clear();
    await runtime.close();
  }

  writeTimeline(runtime, values.timeline);
  if (!values.json) print(formatLines(lines));
  if (!values.json) print(formatBatches(reports));
  for (const difference of wrong) printError(difference);
  if (wrong.length > 0) return EXIT_FAILED;
  if (!values.json && compared > 0) print(`${compared} of ${lines.length} blocks agree with expected.json.`);
  return EXIT_OK;
}

async function produceLine(runtime: Runtime, block: LedgerBlock, ledgerProgram: Uint8Array): Promise<Line> {
  const metadata = encodeBlock(block, ledgerProgram);
  const start = performance.now();
  try {
    const { data, root, gasUsed } = await runtime.produce(metadata);
    const ms = performance.now() - start;
    return { ...decodeResult(data), root, gasUsed, ms };
  } catch (cause) {
    if (!(cause instanceof StillpointError)) throw cause;
    throw new StillpointError(cause.code, `block ${block.number}: ${cause.message}`, cause.facts, { cause });
  }
}

function formatJson(line: Line): string {
  const { number, transactions, applied, badNonce, insufficient, burned, stateDigest, root, gasUsed, ms } =
    line;
  const counts = { number, transactions, applied, badNonce, insufficient };
  return JSON.stringify({
    ...counts,
    burned: String(burned),
    stateDigest,
    root,
    gasUsed,
    ms: Number(ms.toFixed(3)),
  });
}

function formatLines(lines: readonly Line[]): string {
  const header = ["block", "transactions", "applied", "root", "gas", "ms"];
  const rows = lines.map((line) => [
    String(line.number),
    grouped(line.transactions),
    grouped(line.applied),
    line.root,
    grouped(line.gasUsed),
    line.ms.toFixed(1),
  ]);
  return formatTable(header, rows, ["root"]);
}
