/**
 * A root that gives batches to a bank, both written with the SDK: outcomes and balances, against a plain
 * loop.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { programHash, Runtime } from "../../runtime/index.ts";
import * as abi from "../../syscalls/abi.ts";
import { fitted, guest } from "../fixture.ts";
import { random } from "../kernel/trees.ts";
import { baseSeed } from "../seed.ts";

interface Payment {
  readonly from: number;
  readonly to: number;
  readonly amount: number;
  /** How often the output repeats the balance. */
  readonly times: number;
}

function metadata(payments: readonly Payment[], gas: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(16 + payments.length * 24));
  view.setUint32(0, payments.length, true);
  view.setBigUint64(8, BigInt(gas), true);
  payments.forEach(({ from, to, amount, times }, i) => {
    const at = 16 + i * 24;
    view.setUint32(at, from, true);
    view.setUint32(at + 4, to, true);
    view.setBigUint64(at + 8, BigInt(amount), true);
    view.setUint32(at + 16, times, true);
  });
  return new Uint8Array(view.buffer);
}

for (const workers of [1, 3]) {
  test(`batches by the SDK with ${workers} workers`, async (t) => {
    const next = random(baseSeed(t));
    const [root, bank] = await Promise.all([guest("bank_root"), guest("bank")]);
    const runtime = await Runtime.open(fitted({ root, programs: [bank], workers }));
    try {
      await runtime.produce(programHash(bank));
      const balances = new Map<number, number>();
      const made = new Map<number, number>();
      const balance = (account: number): number => balances.get(account) ?? 1000;
      for (const count of [0, 1, 3, 64, 65, 300]) {
        const payments = Array.from(
          { length: count },
          (): Payment => ({
            from: next(12) * 1000,
            to: next(12) * 1000,
            amount: next(500),
            times: next(20) === 0 ? 4095 : next(8) === 0 ? 4096 : next(3),
          }),
        );
        const { data } = await runtime.produce(metadata(payments, 1_000_000));
        const view = new DataView(data.buffer, data.byteOffset);
        assert.equal(view.getUint32(0, true), count);
        payments.forEach(({ from, to, amount, times }, i) => {
          const at = 8 + i * 24;
          const seen = {
            status: view.getUint32(at, true),
            fault: view.getUint32(at + 4, true),
            sum: Number(view.getBigUint64(at + 16, true)),
          };
          // 4096 numbers and the length do not fit the outbox: the SDK aborts.
          const fails = balance(from) < amount || times === 4096;
          if (fails) {
            assert.deepEqual(
              seen,
              { status: abi.ITEM_FAULTED, fault: abi.FAULT_ABORT, sum: 0 },
              `${count}: ${i}`,
            );
            return;
          }
          balances.set(from, balance(from) - amount);
          balances.set(to, balance(to) + amount);
          made.set(from, (made.get(from) ?? 0) + 1);
          const sum = times * balance(from);
          assert.deepEqual(seen, { status: abi.ITEM_RETURNED, fault: 0, sum }, `${count}: ${i}`);
          assert.equal(view.getBigInt64(at + 8, true), BigInt(made.get(from) as number));
        });
        for (const [account, value] of balances) {
          const bytes = runtime.read([1], account * 64, 8);
          assert.equal(new DataView(bytes.buffer).getBigUint64(0, true), BigInt(value));
        }
      }
    } finally {
      await runtime.close();
    }
  });
}
