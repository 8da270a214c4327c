/**
 * The precompiled contracts against those of @ethereumjs/evm, on random and malformed inputs: output, success
 * and gas.
 */

import { createEVM, getActivePrecompiles } from "@ethereumjs/evm";
import { createAddressFromBigInt } from "@ethereumjs/util";
import { FORKS } from "../../examples/evm/block.ts";
import { compileGuest } from "../../runtime/compile.ts";
import { Random } from "../program/random.ts";
import { commonOf } from "./ethereumjs.ts";
import { inputFor } from "./precompile-inputs.ts";

/** Forks whose prices differ, and from which contract on they have all. */
const RULES = ["byzantium", "istanbul", "berlin"] as const;
export const PRECOMPILES = [1, 2, 3, 4, 5, 6, 7, 8, 9] as const;
const LAST_OF_BYZANTIUM = 8;
/** More than any input here can cost that a test would wait for. */
const GAS_MOST = 10_000_000;

interface Guest {
  readonly memory: WebAssembly.Memory;
  input(): number;
  run(fork: number, number: number, length: number, gas: bigint): bigint;
  output(): number;
  produced(): number;
}

/** What came of a call: gas left, and the output; null: it failed. */
type Outcome = { readonly left: bigint; readonly output: string } | null;

type Run = (fork: (typeof RULES)[number], number: number, input: Uint8Array, gas: bigint) => Promise<Outcome>;

/** Those of the example, in `program` if they are not to be compiled. */
export async function ownPrecompiles(): Promise<Run> {
  const file = new URL("../guests/precompiles.ts", import.meta.url).pathname;
  const module = new WebAssembly.Module((await compileGuest(file, { enable: ["simd"] })) as BufferSource);
  const abort = (): never => {
    throw new Error("the guest called abort");
  };
  const guest = new WebAssembly.Instance(module, { env: { abort } }).exports as unknown as Guest;
  const at = guest.input();
  return async (fork, number, input, gas) => {
    const memory = Buffer.from(guest.memory.buffer);
    memory.set(input, at);
    const left = guest.run(FORKS.get(fork) as number, number, input.length, gas);
    if (left < 0n) return null;
    const output = guest.output();
    return { left, output: memory.toString("hex", output, output + guest.produced()) };
  };
}

/** Those of @ethereumjs/evm. */
export async function otherPrecompiles(): Promise<Run> {
  const machines = new Map<string, Awaited<ReturnType<typeof createEVM>>>();
  for (const fork of RULES) machines.set(fork, await createEVM({ common: commonOf(fork) }));
  return async (fork, number, input, gasLimit) => {
    const evm = machines.get(fork) as Awaited<ReturnType<typeof createEVM>>;
    const { common } = evm;
    const address = createAddressFromBigInt(BigInt(number)).toString().slice(2);
    const contract = getActivePrecompiles(common).get(address);
    if (contract === undefined) throw new Error(`no contract ${number} in ${fork}`);
    const result = await contract({ data: input, gasLimit, common, _EVM: evm });
    if (result.exceptionError !== undefined) return null;
    return {
      left: gasLimit - result.executionGasUsed,
      output: Buffer.from(result.returnValue).toString("hex"),
    };
  };
}

/** Compares `rounds` calls of a contract; the first that differs is thrown, with its input. */
export async function comparePrecompile(
  ours: Run,
  theirs: Run,
  number: number,
  rounds: number,
  seed: number,
): Promise<{ readonly failed: number }> {
  const random = new Random(seed + number);
  let failed = 0;
  for (let round = 0; round < rounds; round++) {
    const fork = random.pick(number > LAST_OF_BYZANTIUM ? RULES.slice(1) : RULES);
    const input = inputFor(random, number);
    const gas = BigInt(random.chance(80) ? GAS_MOST : random.below(random.pick([200, 4000, 200_000])));
    const [found, expected] = [await ours(fork, number, input, gas), await theirs(fork, number, input, gas)];
    if (expected === null) failed++;
    if (found?.output === expected?.output && found?.left === expected?.left) continue;
    const what = { number, round, seed, fork, gas: String(gas), input: input.toString("hex") };
    const text = (outcome: Outcome) => (outcome === null ? "fails" : `${outcome.left} ${outcome.output}`);
    throw new Error(`${JSON.stringify(what)}: ${text(found)}, expected ${text(expected)}`);
  }
  return { failed };
}
