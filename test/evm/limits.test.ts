/**
 * What is as large as the rules allow goes through the runtime: a contract of 24 KiB, init code of 48 KiB,
 * calldata of 128 KiB, 10,000 logs of a transaction. Gas, logs and receipts are those of @ethereumjs/vm. What
 * does not fit is an error that says so.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { createMPT } from "@ethereumjs/mpt";
import { createLegacyTx } from "@ethereumjs/tx";
import { encodeReceipt } from "@ethereumjs/vm";
import { keccak_256 } from "@noble/hashes/sha3.js";
import type { EvmBlock, SignedTransaction } from "../../examples/evm/block.ts";
import { decodeResult } from "../../examples/evm/decode.ts";
import { evmRuntime } from "../../examples/evm/demo.ts";
import { encodeBlock } from "../../examples/evm/encode.ts";
import { encodeRlp } from "../../examples/evm/rlp.ts";
import { commonOf, referenceOf, runReference } from "./ethereumjs.ts";

const FORK = "shanghai";
const CODE_BYTES = 24_576;
const INIT_CODE_BYTES = 49_152;
const CALLDATA_BYTES = 131_072;
const LOGS = 10_000;

const common = commonOf(FORK);
const key = Buffer.alloc(32, 7);
const contract = 0x1234n;
const hex = (bytes: Uint8Array): string => `0x${Buffer.from(bytes).toString("hex")}`;

/**
 * Code of the largest size, with its only loop at the very end: as many logs as the word of calldata says,
 * each of one topic, its number, and the 32 bytes at 0.
 */
function loggingCode(): Buffer {
  // PUSH0 CALLDATALOAD, and then the loop: JUMPDEST DUP1 PUSH1 32 PUSH0 LOG1, 1 less, DUP1 PUSH2 JUMPI STOP.
  const loop = Buffer.from("5b80 6020 5f a1 6001 90 03 80 61 0000 57 00".replaceAll(" ", ""), "hex");
  const code = Buffer.alloc(CODE_BYTES, 0x5b);
  const start = CODE_BYTES - loop.length;
  loop.writeUInt16BE(start, loop.length - 4);
  Buffer.from("5f35610000 56".replace(" ", ""), "hex").copy(code);
  code.writeUInt16BE(start, 3);
  loop.copy(code, start);
  return code;
}

/** Init code of the largest size, which makes its own first half a contract. */
function initCode(): Buffer {
  const code = Buffer.alloc(INIT_CODE_BYTES, 0x5b);
  Buffer.from("6160005f5f396160005ff3", "hex").copy(code);
  return code;
}

function signed(nonce: number, to: bigint | null, data: Uint8Array, gasLimit: number): SignedTransaction {
  const target = to === null ? {} : { to: `0x${to.toString(16).padStart(40, "0")}` as const };
  const fields = { nonce, gasPrice: 10, gasLimit, value: 0, data, ...target };
  const transaction = createLegacyTx(fields, { common, allowUnlimitedInitCodeSize: true }).sign(key);
  return { bytes: transaction.serialize(), hash: hex(transaction.hash()), from: null, to };
}

const count = Buffer.alloc(32);
count.writeUInt32BE(LOGS, 28);
const transactions = [
  signed(0, contract, count, 12_000_000),
  signed(1, null, initCode(), 20_000_000),
  signed(2, 0xabcdn, Buffer.alloc(CALLDATA_BYTES, 1), 5_000_000),
];

const code = loggingCode();
const codes = new Map([[hex(keccak_256(code)), code]]);
const sender = BigInt(createLegacyTx({}, { common }).sign(key).getSenderAddress().toString());
const block: EvmBlock = {
  fork: FORK,
  number: 17_500_000n,
  timestamp: 1_690_000_000n,
  gasLimit: 60_000_000n,
  miner: 0xfeen,
  baseFee: 7n,
  randao: 1n,
  excessBlobGas: 0n,
  beaconRoot: null,
  withdrawals: [],
  blockHashes: [],
  accounts: [
    { address: sender, balance: 10n ** 20n, nonce: 0n, codeHash: null, storage: [] },
    { address: contract, balance: 0n, nonce: 1n, codeHash: hex(keccak_256(code)), storage: [] },
  ],
  transactions,
  expected: { gasUsed: 0n, receiptsRoot: "", transactionsRoot: "", logsBloom: "" },
};

test("the largest contract, init code, calldata and 10,000 logs come out as elsewhere", async () => {
  const { runtime, programs } = await evmRuntime({ workers: 2 });
  try {
    const { data } = await runtime.produce(encodeBlock(block, codes, programs));
    const executed = decodeResult(data);
    const reference = await referenceOf(block, codes);
    const receipts = await createMPT();
    let used = 0n;
    for (const [i, tx] of reference.transactions.entries()) {
      const { totalGasSpent, receipt } = await runReference(reference, tx);
      const ours = executed.transactions[i] as (typeof executed.transactions)[0];
      assert.equal(ours.gasUsed, totalGasSpent, `gas of transaction ${i}`);
      used += totalGasSpent;
      receipt.cumulativeBlockGasUsed = used;
      await receipts.put(encodeRlp(BigInt(i)), encodeReceipt(receipt, tx.type));
    }
    assert.deepEqual(
      executed.transactions.map(({ succeeded, logs }) => [succeeded, logs]),
      [
        [true, LOGS],
        [true, 0],
        [true, 0],
      ],
    );
    assert.equal(executed.receiptsRoot, hex(receipts.root()));
  } finally {
    await runtime.close();
  }
});

test("a transaction that does not fit, and init code above the limit, are refused by name", async () => {
  const { runtime, programs } = await evmRuntime({ workers: 1 });
  try {
    const long = signed(0, 0xabcdn, Buffer.alloc(2 * CALLDATA_BYTES), 5_000_000);
    const init = signed(0, null, Buffer.concat([initCode(), Buffer.alloc(1)]), 20_000_000);
    for (const [transaction, message] of [
      [long, /transaction 0 has 262\d\d\d bytes, which do not fit/],
      [init, /transaction 0 is not valid: its init code is longer than 49,152 bytes/],
    ] as const) {
      const wrong = encodeBlock({ ...block, transactions: [transaction] }, codes, programs);
      await assert.rejects(runtime.produce(wrong), message);
    }
  } finally {
    await runtime.close();
  }
});
