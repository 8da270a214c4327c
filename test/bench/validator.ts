/**
 * 5,000 signed payments in 20 blocks: executed and committed durably through the server, as CometBFT asks for
 * it, against `produce` of the same blocks alone. Block by block in turns.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { alice, bob, Node, openCoins } from "../validator/coins.ts";
import type { Report } from "./report.ts";

const BLOCKS = 20;
const PAYMENTS = 250;

export async function run(report: Report): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "stillpoint-validator-bench-"));
  try {
    await compare(report, directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function compare(report: Report, directory: string): Promise<void> {
  const node = await Node.open({ store: join(directory, "served") });
  const app = await openCoins({ store: join(directory, "alone") });
  const served = node.app.runtime;
  await node.initChain();
  await app.runtime.produce(served.input().metadata);
  const times = { served: 0, alone: 0 };
  for (let height = 1; height <= BLOCKS; height++) {
    const txs = Array.from({ length: PAYMENTS }, (_, i) => {
      const nonce = (height * PAYMENTS + i) >> 1;
      return node.pay(i % 2 === 0 ? alice : bob, nonce, 1);
    });
    const start = performance.now();
    await node.block(height, txs);
    const middle = performance.now();
    const { metadata } = served.input();
    const again = performance.now();
    const block = await app.runtime.produce(metadata);
    times.alone += performance.now() - again;
    times.served += middle - start;
    if (block.root !== served.head.root) throw new Error(`the states of height ${height} differ`);
  }
  await node.close();
  await app.close();
  const name = `produce alone, ${BLOCKS * PAYMENTS} payments`;
  const ms = (value: number): number => value / BLOCKS;
  report.row({ name, value: ms(times.alone), unit: "ms a block" });
  report.row({
    name: "FinalizeBlock and Commit, through the server",
    value: ms(times.served),
    unit: "ms a block",
    baseline: name,
    ratio: times.served / times.alone,
  });
}
