/**
 * What instructions take for their gas on the operands that are slowest for a processor: each one many times
 * in a loop, instrumented, its operands from memory and its results into it.
 */

import { admitEntryProgram } from "../../runtime/program/admit.ts";
import * as op from "../../runtime/program/decode/opcodes.ts";
import { INSTRUCTIONS_PER_GAS } from "../../runtime/program/instrument/gas.ts";
import { build, countDown } from "../program/build.ts";
import { Machine, PLENTY } from "../program/harness.ts";
import { OPERAND_BYTES, OPERATIONS, type Operation } from "../program/operations.ts";

const { I32, I64, F32, V128 } = op;
const UNROLLED = 16;
/** Turns of a loop that V8 has optimised, and of one that is timed. */
const WARMUP_TURNS = 20_000n;
const TURNS = 1_000n;
const ROUNDS = 3;

/** Pairs of numbers, and of integers, for which some instruction is slow on some processor. */
const NUMBERS: readonly (readonly [number, number])[] = [
  [1.5, 1.25],
  [Number.NaN, 1],
];
/** By bits of a number: one that is denormal, a half, and one whose square is denormal. */
const DENORMAL = { 32: [2 ** -130, 0.5, 2 ** -65], 64: [2 ** -1030, 0.5, 2 ** -515] } as const;
const INTEGERS: readonly (readonly [bigint, bigint])[] = [
  [(1n << 63n) - 1n, 3n],
  [-(1n << 63n) + 1n, -1n],
  [0n, 1n],
];
/** Addresses of accesses within a line, over its end, and over that of a page; an instruction adds 8. */
const ADDRESSES = [1024, 1024 - 1 - 8, 4096 - 1 - 8];

/** Writes both operands as numbers of `bits` bits, into every lane of theirs. */
type Fill = (view: DataView) => void;

function lanes(view: DataView, bytes: number, write: (at: number, which: 0 | 1) => void): void {
  for (const which of [0, 1] as const) {
    for (let at = 0; at < OPERAND_BYTES; at += bytes) write(which * OPERAND_BYTES + at, which);
  }
  // A third operand is like the first.
  for (let at = 0; at < OPERAND_BYTES; at++) view.setUint8(2 * OPERAND_BYTES + at, view.getUint8(at));
}

function pairsOf(bits: 32 | 64): (readonly [number, number])[] {
  const [denormal, half, root] = DENORMAL[bits];
  return [...NUMBERS, [denormal, half], [denormal, denormal], [half, denormal], [root, root]];
}

const asSingles = pairsOf(32).map(
  (pair): Fill =>
    (view) => {
      lanes(view, 4, (at, which) => view.setFloat32(at, pair[which], true));
    },
);
const asDoubles = pairsOf(64).map(
  (pair): Fill =>
    (view) => {
      lanes(view, 8, (at, which) => view.setFloat64(at, pair[which], true));
    },
);
const asIntegers = INTEGERS.map(
  (pair): Fill =>
    (view) => {
      lanes(view, 8, (at, which) => view.setBigInt64(at, pair[which], true));
    },
);
const asAddresses = ADDRESSES.map(
  (address): Fill =>
    (view) =>
      view.setInt32(0, address, true),
);

function fillsOf({ operands, addresses }: Operation): readonly Fill[] {
  if (addresses) return asAddresses;
  const [type] = operands;
  if (type === I32 || type === I64) return asIntegers;
  if (type === V128) return [...asSingles, ...asDoubles, ...asIntegers];
  return type === F32 ? asSingles : asDoubles;
}

/** Runs the instruction as often as the argument says, times UNROLLED. */
function moduleOf({ code }: Operation): Uint8Array {
  return build({
    types: [[[], []]],
    memory: [1, 1],
    tables: [{ minimum: 1 }],
    elements: [{ offset: 0, functions: [1] }],
    functions: [
      {
        parameters: [I64],
        results: [I64],
        export: "run",
        code: (out) => {
          countDown(out, () => {
            for (let i = 0; i < UNROLLED; i++) code(out);
          });
        },
      },
      { code: () => {} },
    ],
  });
}

/** Nanoseconds for a gas of an instruction on its slowest operands, as if it were all that a loop runs. */
export interface InstructionTime {
  readonly name: string;
  readonly perGas: number;
}

/** Times each instruction that computes something or accesses memory, and does not trap on these operands. */
export function* timeInstructions(matching: string): Generator<InstructionTime> {
  for (const operation of OPERATIONS) {
    const { name, opcode, operands, isBulk } = operation;
    if (operands.length === 0 || isBulk === true || !name.includes(matching)) continue;
    const machine = new Machine(admitEntryProgram(moduleOf(operation)));
    const view = new DataView(machine.memory.buffer);
    const runs: Run[] = [];
    for (const fill of fillsOf(operation)) {
      fill(view);
      if (machine.run("run", 1n).fault !== 0) continue;
      if (runs.length === 0) machine.run("run", WARMUP_TURNS);
      runs.push(fastest(Array.from({ length: ROUNDS }, () => runOf(machine))));
    }
    if (runs.length === 0) continue;
    const { ns, gas } = fastest(runs);
    const slowest = Math.max(...runs.map((run) => run.ns));
    const times = UNROLLED * (op.LANES[opcode] || 1) * Number(TURNS);
    // What the operands add is the instruction's, not that of those around it.
    const own = Math.max(op.GAS[opcode] as number, 1 / INSTRUCTIONS_PER_GAS) * times;
    yield { name, perGas: ns / gas + (slowest - ns) / own };
  }
}

interface Run {
  readonly ns: number;
  readonly gas: number;
}

function fastest(runs: readonly Run[]): Run {
  return runs.reduce((least, run) => (run.ns < least.ns ? run : least));
}

function runOf(machine: Machine): Run {
  const before = process.cpuUsage();
  const { gas } = machine.run("run", TURNS);
  const { user, system } = process.cpuUsage(before);
  return { ns: (user + system) * 1e3, gas: Number(PLENTY - gas) };
}
