/**
 * What types cost: payments by a contract with types, and by the same program with offsets and decoding by
 * hand; and the time to compile either. Gas and sizes of the two are compared by test/typed/by-hand.test.ts.
 */

import { fileURLToPath } from "node:url";
import { buildGuest, compileGuest } from "../../runtime/compile.ts";
import { readState } from "../../runtime/program/decode/state.ts";
import { measure, reportTimes, type Variant } from "./measure.ts";
import type { Report } from "./report.ts";

const PAYMENTS = 1000;
const ACCOUNTS = 100;
/** In one round: what is allocated stays until the next one. */
const CALLS = 20_000;
/** Compilations of each. */
const ROUNDS = 5;

export async function run(report: Report): Promise<void> {
  const fileOf = (name: string): string => fileURLToPath(new URL(`../guests/${name}.ts`, import.meta.url));
  const [typedFile, handFile] = [fileOf("bank_typed"), fileOf("bank_hand")];
  const { program, typed } = await buildGuest(typedFile);
  const selector = (name: string): number =>
    typed?.description.functions.find((each) => each.name === name)?.selector ?? 0;
  const hand = await opened(await compileGuest(handFile), "transaction", 1, 2);
  const withTypes = await opened(program, "__transaction", selector("mint"), selector("pay"));
  reportTimes(report, await measure([hand, withTypes], { count: CALLS }));
  const compiling = (file: string) => async (count: number) => {
    for (let i = 0; i < count; i++) await compileGuest(file, { cache: false });
  };
  reportTimes(
    report,
    await measure(
      [
        { name: "compile, by hand", run: compiling(handFile) },
        { name: "compile, with types", run: compiling(typedFile) },
      ],
      { count: 1, rounds: ROUNDS, warmupRounds: 1 },
    ),
  );
}

/** The module as it is, not instrumented, so that the calls themselves are measured and no harness. */
async function opened(program: Uint8Array, entry: string, mint: number, pay: number): Promise<Variant> {
  const module = new WebAssembly.Module(program as Uint8Array<ArrayBuffer>);
  const { stateBytes } = readState(program);
  const failed = (): never => {
    throw new Error("a call failed");
  };
  const address = (i: number): Buffer => {
    const bytes = Buffer.alloc(20);
    bytes.writeUInt32LE(i);
    return bytes;
  };
  const input = (selector: number, from: number, ...parts: Uint8Array[]): Uint8Array => {
    const head = Buffer.alloc(4);
    head.writeUInt32LE(selector);
    return new Uint8Array(Buffer.concat([head, address(from), ...parts]));
  };
  const amount = (value: bigint): Uint8Array => new Uint8Array(new BigUint64Array([value]).buffer);
  const payments = Array.from({ length: PAYMENTS }, (_, i) => {
    const from = i % ACCOUNTS;
    return input(pay, from, address(from), address((7 * i + 1) % ACCOUNTS), amount(1n));
  });
  let call: (bytes: Uint8Array) => void;
  return {
    name: `a payment, ${entry === "transaction" ? "by hand" : "with types"}`,
    prepare: () => {
      const [put, get, ret, snapshot] = [failed, failed, failed, failed];
      const stillpoint = { put, get, ret, snapshot, accumulate: () => 1 };
      const { exports } = new WebAssembly.Instance(module, { env: { abort: failed }, stillpoint });
      const memory = new Uint8Array((exports.memory as WebAssembly.Memory).buffer);
      const run = exports[entry] as (length: bigint) => bigint;
      call = (bytes) => {
        memory.set(bytes, stateBytes);
        run(BigInt(bytes.length));
      };
      for (let i = 0; i < ACCOUNTS; i++) call(input(mint, i, address(i), amount(1_000_000n)));
    },
    run: (count) => {
      for (let i = 0; i < count; i++) call(payments[i % PAYMENTS] as Uint8Array);
    },
  };
}
