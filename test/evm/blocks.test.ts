/**
 * Real blocks through the runtime: what their headers say comes out, with one root, whatever the number of
 * workers and the runner.
 */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { type EvmBlock, listBlocks, readBlock, readCodes } from "../../examples/evm/block.ts";
import { differences } from "../../examples/evm/compare.ts";
import { decodeResult } from "../../examples/evm/decode.ts";
import { evmRuntime } from "../../examples/evm/demo.ts";
import { encodeBlock, type Programs } from "../../examples/evm/encode.ts";
import type { Runtime, RuntimeOptions } from "../../runtime/index.ts";
import { sharedData } from "../shared-data.ts";
import { sized } from "../sizes.ts";

const OWN = fileURLToPath(new URL("../../examples/evm/blocks", import.meta.url));
const OWN_BLOCKS = 12;
const ALL_BLOCKS = 45;
/** They call the point evaluation of Cancun. */
const NOT_SUPPORTED = new Set([19932703]);

type Options = Partial<RuntimeOptions>;

/** Ways to run the same blocks. `force`: all batches in parallel, whatever it costs. */
const WAYS: readonly Options[] = [
  { workers: 1, runner: "sequential" },
  { workers: 2 },
  ...[2, 4, 8].map((workers) => ({ workers, debug: { force: true } })),
];

interface Blocks {
  readonly blocks: readonly EvmBlock[];
  readonly codes: ReadonlyMap<string, Uint8Array>;
}

function load(directory: string): Blocks {
  return { blocks: listBlocks(directory).map(readBlock), codes: readCodes(directory) };
}

async function withRuntime<T>(
  options: Options,
  use: (runtime: Runtime, programs: Programs) => Promise<T>,
): Promise<T> {
  const { runtime, programs } = await evmRuntime(options);
  try {
    return await use(runtime, programs);
  } finally {
    await runtime.close();
  }
}

/** Runs blocks one after the other, compares each with its header, and returns the roots. */
function rootsOf({ blocks, codes }: Blocks, options: Options): Promise<string[]> {
  return withRuntime(options, async (runtime, programs) => {
    const roots: string[] = [];
    for (const block of blocks) {
      const produced = runtime.produce(encodeBlock(block, codes, programs));
      if (NOT_SUPPORTED.has(Number(block.number))) {
        await assert.rejects(produced, /not supported: point evaluation/);
        continue;
      }
      const { data, root } = await produced;
      assert.deepEqual(differences(block, decodeResult(data)), [], `block ${block.number}`);
      roots.push(root);
    }
    return roots;
  });
}

const own = load(OWN);

test("the repository's blocks agree with their headers, with any runner", async () => {
  assert.equal(own.blocks.length, OWN_BLOCKS);
  const roots: string[][] = [];
  for (const way of WAYS.slice(0, sized(2, 3))) roots.push(await rootsOf(own, way));
  for (const other of roots) assert.deepEqual(other, roots[0]);
});

test("all blocks agree with their headers, by every runner and number of workers", async (t) => {
  const directory = sharedData(t, "evm/blocks");
  if (directory === undefined) return;
  const all = load(directory);
  assert.equal(all.blocks.length, ALL_BLOCKS);
  const roots: string[][] = [];
  for (const way of WAYS) roots.push(await rootsOf(all, way));
  for (const other of roots) assert.deepEqual(other, roots[0]);
});

test("a block whose file names no senders gives the same", async () => {
  const block = own.blocks.find(({ fork }) => fork === "byzantium") as EvmBlock;
  const nameless = { ...block, transactions: block.transactions.map((one) => ({ ...one, from: null })) };
  await withRuntime({ workers: 1 }, async (runtime, programs) => {
    const { data, root } = await runtime.produce(encodeBlock(block, own.codes, programs));
    const { transactions } = decodeResult(data);
    assert.deepEqual(
      transactions.map(({ sender }) => sender),
      block.transactions.map(({ from }) => from),
    );
    await runtime.revert(0);
    assert.equal((await runtime.produce(encodeBlock(nameless, own.codes, programs))).root, root);
  });
});

test("a block that cannot be is refused with the reason, and nothing is committed", async () => {
  const block = own.blocks.find(({ fork }) => fork === "homestead") as EvmBlock;
  const [first, ...rest] = block.transactions;
  const changed = (change: Partial<EvmBlock>): EvmBlock => ({ ...block, ...change });
  const cut = { ...(first as (typeof block.transactions)[0]) };
  const damaged = Buffer.from(cut.bytes);
  damaged[damaged.length - 1] = (damaged[damaged.length - 1] as number) ^ 1;
  const cases: readonly (readonly [EvmBlock, RegExp])[] = [
    [changed({ transactions: [...block.transactions, cut] }), /transaction 49 is not valid: its nonce/],
    [
      changed({ transactions: [{ ...cut, bytes: cut.bytes.subarray(0, 40) }, ...rest] }),
      /transaction 0 is not valid: its encoding/,
    ],
    [
      changed({ transactions: [{ ...cut, bytes: damaged }, ...rest] }),
      /transaction 0 is not valid: its (nonce|sender|signature)/,
    ],
    [
      changed({ gasLimit: 100_000n }),
      /transaction \d+ is not valid: its gas limit exceeds what the block has left/,
    ],
  ];
  await withRuntime({ workers: 1 }, async (runtime, programs) => {
    const before = runtime.head;
    for (const [wrong, message] of cases) {
      await assert.rejects(runtime.produce(encodeBlock(wrong, own.codes, programs)), message);
      assert.equal(runtime.head, before);
    }
    const { data } = await runtime.produce(encodeBlock(block, own.codes, programs));
    assert.deepEqual(differences(block, decodeResult(data)), []);
  });
});

test("blocks are executed again after a reorg and beside a fork, with the same roots", async () => {
  const blocks = own.blocks.slice(0, 4);
  await withRuntime({ workers: 2 }, async (runtime, programs) => {
    const inputs = blocks.map((block) => encodeBlock(block, own.codes, programs));
    const roots: string[] = [];
    for (const input of inputs) roots.push((await runtime.produce(input)).root);
    const branch = await runtime.fork();
    await branch.revert(0);
    const [again, other] = await Promise.all([
      runtime.reorg({ to: 2, blocks: inputs.slice(2).map((metadata) => ({ metadata })) }),
      branch.reorg({ to: 0, blocks: inputs.map((metadata) => ({ metadata })) }),
    ]);
    assert.deepEqual(again.head.root, roots[3]);
    assert.deepEqual(
      other.added.map(({ root }) => root),
      roots,
    );
    await branch.close();
  });
});

test("a runtime that is closed and opened between blocks continues to the same roots", async (t) => {
  const store = mkdtempSync(join(tmpdir(), "stillpoint-evm-"));
  t.after(() => rmSync(store, { recursive: true }));
  const blocks = own.blocks.slice(0, 3);
  const produce = (block: EvmBlock, options: Options): Promise<string> =>
    withRuntime(options, async (runtime, programs) => {
      const { data, root } = await runtime.produce(encodeBlock(block, own.codes, programs));
      assert.deepEqual(differences(block, decodeResult(data)), []);
      return root;
    });
  const roots: string[] = [];
  for (const [i, block] of blocks.entries()) {
    // Another way to run at every start.
    roots.push(await produce(block, { store, ...(WAYS[i] as Options) }));
  }
  assert.deepEqual(roots, await rootsOf({ ...own, blocks }, { workers: 1 }));
});
