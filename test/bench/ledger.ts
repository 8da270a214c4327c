/**
 * Value transfers a second: items in the instrumented guest, without a kernel around it, and through
 * `produce` with a root for every block, on a large made-up block and on the real ones. Baseline is the
 * reference, which is plain BigInt. The engine may decide how batches run; "forced" runs them in parallel at
 * any price.
 */

import { performance } from "node:perf_hooks";
import { loadGuest } from "../../examples/guests.ts";
import { type LedgerBlock, listBlocks, readBlock } from "../../examples/ledger/block.ts";
import { encodeBlock } from "../../examples/ledger/encode.ts";
import { applyBlock } from "../../examples/ledger/reference.ts";
import { programHash, Runtime } from "../../runtime/index.ts";
import { admit } from "../../runtime/program/admit.ts";
import { Machine } from "../program/harness.ts";
import { OWN_BLOCKS } from "../shared-data.ts";
import { quantile, spreadOf } from "./measure.ts";
import type { Report } from "./report.ts";

const STATE_BYTES = 16 << 20;
const ROUNDS = 15;
const WARMUP_ROUNDS = 3;
const TRANSFERS = 20_000;
const ACCOUNTS = 1_000;

interface Contender {
  readonly name: string;
  readonly transfers: number;
  readonly run: () => unknown;
}

const RULES = { gasLimit: 7_000_000_000, heldGasQuota: 0 } as const;

export async function run(report: Report): Promise<void> {
  const [root, ledger] = await Promise.all([loadGuest("ledger/root"), loadGuest("ledger/ledger")]);
  const hash = programHash(ledger);
  const large = largeBlock();
  const real = listBlocks(OWN_BLOCKS).map(readBlock);
  const largeMetadata = encodeBlock(large, hash);
  const realMetadata = real.map((block) => encodeBlock(block, hash));
  const runtime = await Runtime.open({ root, programs: [ledger], ...RULES, workers: 2 });
  const forced = await Runtime.open({
    root,
    programs: [ledger],
    ...RULES,
    workers: 2,
    debug: { force: true },
  });
  try {
    await compare(report, [
      { name: "reference, large block", transfers: TRANSFERS, run: () => applyBlock(large) },
      {
        name: "inside the guest, large block",
        transfers: TRANSFERS,
        run: await guestRun(ledger, largeMetadata),
      },
      { name: "produce, large block", transfers: TRANSFERS, run: () => runtime.produce(largeMetadata) },
      {
        name: "produce, large block, forced",
        transfers: TRANSFERS,
        run: () => forced.produce(largeMetadata),
      },
      {
        name: "produce, the repository's real blocks",
        transfers: real.reduce((sum, block) => sum + block.transactions.length, 0),
        run: async () => {
          for (const metadata of realMetadata) await runtime.produce(metadata);
        },
      },
    ]);
  } finally {
    await runtime.close();
    await forced.close();
  }
}

/** Interleaves the contenders and reports each one's rate. */
async function compare(report: Report, contenders: readonly Contender[]): Promise<void> {
  const rates = contenders.map((): number[] => []);
  for (let round = -WARMUP_ROUNDS; round < ROUNDS; round++) {
    for (const [i, { run, transfers }] of contenders.entries()) {
      const start = performance.now();
      await run();
      const seconds = (performance.now() - start) / 1e3;
      if (round >= 0) rates[i]!.push(transfers / seconds);
    }
  }
  for (const [i, { name }] of contenders.entries()) {
    const value = quantile(rates[i]!, 0.5);
    const spread = spreadOf(rates[i]!);
    const row = { name, value, unit: "transfers/s", spread };
    const ratio = quantile(
      rates[i]!.map((rate, round) => rate / rates[0]![round]!),
      0.5,
    );
    report.row(i === 0 ? row : { ...row, baseline: contenders[0]!.name, ratio });
  }
}

/** Runs the block in the instrumented ledger alone: items one after the other, nothing put back. */
async function guestRun(ledger: Uint8Array, metadata: Uint8Array): Promise<() => void> {
  const machine = new Machine(admit(ledger));
  const call = (entry: string, argument: number): number => {
    const { fault, result } = machine.run(entry, BigInt(argument));
    if (fault !== 0) throw new Error(`the ledger faulted: ${fault}`);
    return Number(result);
  };
  machine.onCall = () => 1; // what accumulate answers; it is the kernel's work
  machine.start();
  const view = new DataView(metadata.buffer);
  const begin = 128 + 64 * view.getUint32(4, true);
  const transactions = view.getUint32(8, true);
  const inbox = call("prepare", begin);
  return () => {
    machine.log.length = 0;
    machine.bytes().set(metadata.subarray(0, begin), inbox);
    call("begin", begin);
    for (let i = 0; i < transactions; i++) {
      const at = begin + 128 * i;
      machine.bytes().set(metadata.subarray(at, at + 128), STATE_BYTES);
      call("pay", 128);
    }
    call("finish", 0);
  };
}

/** Every account pays others in turn, and the same miner, at a realistic price. */
function largeBlock(): LedgerBlock {
  const addresses = Array.from({ length: ACCOUNTS }, (_, i) => `0x${(i + 1).toString(16).padStart(40, "5")}`);
  const account = { balance: 10n ** 24n, nonce: 0, contract: false };
  return {
    number: 1,
    timestamp: 0,
    miner: addresses[0]!,
    baseFeePerGas: 10n ** 9n,
    accounts: new Map(addresses.sort().map((address) => [address, account])),
    transactions: Array.from({ length: TRANSFERS }, (_, i) => ({
      from: addresses[i % ACCOUNTS]!,
      to: addresses[(i * 7 + 13) % ACCOUNTS]!,
      value: 10n ** 15n + BigInt(i),
      nonce: Math.floor(i / ACCOUNTS),
      gasLimit: 21_000,
      gasPrice: 2n * 10n ** 9n,
      inputBytes: 0,
    })),
  };
}
