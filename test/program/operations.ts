/**
 * Every admitted instruction on chosen and random operands: numbers at the edges, NaNs with payloads,
 * addresses at the end of the memory and beyond. What it leaves in memory, bit for bit, and its fault, must
 * be the same on every engine.
 */

import { createHash, type Hash } from "node:crypto";
import { admitEntryProgram, type Options } from "../../runtime/program/admit.ts";
import * as op from "../../runtime/program/decode/opcodes.ts";
import type { Code } from "../../runtime/program/instrument/code.ts";
import { build, type Fn } from "./build.ts";
import { Machine } from "./harness.ts";
import { Random } from "./random.ts";

const { I32, I64, F32, F64, V128 } = op;
const MEMORY_BYTES = 65536;
/** Operands lie at the start of the memory, then results, a place for each lane; then what is accessed. */
export const OPERAND_BYTES = 16;
const RESULTS = 64;
const DATA = 512;
const DATA_BYTES = 512;
/** Added to an address by the instruction itself. */
const OFFSET = 8;
const SEGMENT = Uint8Array.from({ length: 300 }, (_, i) => i * 7);

const LOADS: Readonly<Record<number, number>> = {
  [I32]: op.I32_LOAD,
  [I64]: op.I64_LOAD,
  [F32]: op.F32_LOAD,
  [F64]: op.F64_LOAD,
  [V128]: op.V128_LOAD,
};
const STORES: Readonly<Record<number, number>> = {
  [I32]: op.I32_STORE,
  [I64]: op.I64_STORE,
  [F32]: op.F32_STORE,
  [F64]: op.F64_STORE,
  [V128]: op.V128_STORE,
};

/** An instruction: the types of its operands, and code that leaves its results in memory. */
export interface Operation {
  readonly name: string;
  readonly opcode: number;
  readonly operands: readonly number[];
  /** Its first operand is an address. */
  readonly addresses: boolean;
  /** May write anywhere. */
  readonly isBulk?: boolean;
  readonly code: (code: Code) => void;
}

function operand(code: Code, index: number, type: number): void {
  code.i32(index * OPERAND_BYTES);
  code.access(LOADS[type] as number, 0, 0);
}

/** An instruction of the table, once for each lane that it can name. */
function ofTable(opcode: number, { operands, results }: op.Signature): Operation {
  const immediate = op.IMMEDIATES[opcode];
  const byLane = immediate === op.LANE || immediate === op.MEMORY_LANE;
  const addresses = immediate === op.MEMORY_ARGUMENT || immediate === op.MEMORY_LANE;
  const once = (code: Code, lane: number): void => {
    if (results.length > 0) code.i32(RESULTS + lane * OPERAND_BYTES);
    for (const [index, type] of operands.entries()) operand(code, index, type);
    if (addresses) code.access(opcode, 0, OFFSET);
    else code.op(opcode);
    if (byLane) code.u8(lane);
    for (const type of results) code.access(STORES[type] as number, 0, 0);
  };
  const lanes = byLane ? (op.LANES[opcode] as number) : 1;
  const code = (out: Code): void => {
    for (let lane = 0; lane < lanes; lane++) once(out, lane);
  };
  return { name: op.NAMES[opcode] as string, opcode, operands, addresses, code };
}

/** Those whose types or immediates are their own. */
const SPECIAL: readonly Operation[] = [
  bulk("memory.fill", op.MEMORY_FILL, [0]),
  bulk("memory.copy", op.MEMORY_COPY, [0, 0]),
  bulk("memory.init", op.MEMORY_INIT, [0, 0]),
  {
    name: "call_indirect",
    opcode: op.CALL_INDIRECT,
    operands: [I32],
    addresses: false,
    code: (code) => {
      operand(code, 0, I32);
      code.index(op.CALL_INDIRECT, 0);
      code.u32(0);
    },
  },
  {
    name: "table.get",
    opcode: op.TABLE_GET,
    operands: [I32],
    addresses: false,
    code: (code) => {
      code.i32(RESULTS);
      operand(code, 0, I32);
      code.index(op.TABLE_GET, 0);
      code.op(op.REF_IS_NULL);
      code.access(op.I32_STORE, 0, 0);
    },
  },
  {
    name: "unreachable",
    opcode: op.UNREACHABLE,
    operands: [],
    addresses: false,
    code: (code) => code.op(op.UNREACHABLE),
  },
  {
    name: "i8x16.shuffle",
    opcode: op.I8X16_SHUFFLE,
    operands: [V128, V128],
    addresses: false,
    code: (code) => {
      code.i32(RESULTS);
      operand(code, 0, V128);
      operand(code, 1, V128);
      code.op(op.I8X16_SHUFFLE);
      for (let lane = 0; lane < 16; lane++) code.u8((lane * 11 + 5) % 32);
      code.access(op.V128_STORE, 0, 0);
    },
  },
  {
    name: "select",
    opcode: op.SELECT,
    operands: [F64, F64, I32],
    addresses: false,
    code: (code) => {
      code.i32(RESULTS);
      for (const [index, type] of [F64, F64, I32].entries()) operand(code, index, type);
      code.op(op.SELECT);
      code.access(op.F64_STORE, 0, 0);
    },
  },
];

function bulk(name: string, opcode: number, immediates: readonly number[]): Operation {
  const operands = [I32, I32, I32];
  const code = (out: Code): void => {
    for (const [index, type] of operands.entries()) operand(out, index, type);
    out.op(opcode);
    for (const immediate of immediates) out.u8(immediate);
  };
  return { name, opcode, operands, addresses: true, isBulk: true, code };
}

export const OPERATIONS: readonly Operation[] = [
  ...op.SIGNATURES.flatMap((signature, opcode) => (signature === null ? [] : [ofTable(opcode, signature)])),
  ...SPECIAL,
];

/** A module with an entry for each instruction, and a table of a function that fits, none, and another. */
function moduleOfAll(): Uint8Array {
  const entries = OPERATIONS.map(({ name, code }): Fn => {
    const body = (out: Code): void => {
      code(out);
      out.i64(0n);
    };
    return { parameters: [I64], results: [I64], export: name, code: body };
  });
  const fits: Fn = { code: () => {} };
  return build({
    types: [[[], []]],
    memory: [1, 1],
    tables: [{ minimum: 3 }],
    elements: [
      { offset: 0, functions: [entries.length] },
      { offset: 2, functions: [0] },
    ],
    data: [{ offset: null, bytes: SEGMENT }],
    functions: [...entries, fits],
  });
}

const INTEGERS = [
  0n,
  1n,
  -1n,
  2n,
  31n,
  32n,
  33n,
  63n,
  64n,
  127n,
  128n,
  255n,
  0x7fffn,
  0x8000n,
  0xffffn,
].concat(
  [0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn, 0x1_0000_0000n, (1n << 63n) - 1n, 1n << 63n],
  [0x8000_8000_8000_8000n, 0x7f80_7f80_7f80_7f80n],
);
const { EPSILON, MAX_VALUE, MIN_VALUE, NEGATIVE_INFINITY, POSITIVE_INFINITY } = Number;
/** Zeros, halves between integers, infinities. */
const PLAIN = [0, -0, 1, -1, 0.1, 0.5, -0.5, 1.5, 2.5, 3.5, -1.5, POSITIVE_INFINITY, NEGATIVE_INFINITY];
/** Ends of integer types, and the last number before each. */
const ends = (last: number): number[] =>
  [31, 32, 63, 64].flatMap((bits) => [
    2 ** bits,
    -(2 ** bits),
    2 ** bits * (1 - last),
    -(2 ** bits) * (1 + 2 * last),
  ]);
/** As bits, with denormals and NaNs of each kind. */
const SINGLES = [
  ...PLAIN,
  ...ends(2 ** -24),
  2 ** 23 - 0.5,
  2 ** -149,
  2 ** -126 - 2 ** -149,
  2 ** 128 - 2 ** 104,
]
  .map((value) => new Uint32Array(Float32Array.of(value).buffer)[0] as number)
  .concat([0x7fc00000, 0xffc00000, 0x7f800001, 0xffa00001, 0x7fffffff, 0x7fc01234]);
/** Those between integers, and those beyond what a single holds, as well. */
const DOUBLES = [
  ...PLAIN,
  ...ends(EPSILON / 2),
  2 ** 52 - 0.5,
  2 ** 31 - 0.1,
  -(2 ** 31) - 0.9,
  2 ** 32 - 0.1,
]
  .concat([MIN_VALUE, 2 ** -1022, 2 ** -149, 2 ** -150, 2 ** 128 - 2 ** 103, MAX_VALUE])
  .map((value) => new BigUint64Array(Float64Array.of(value).buffer)[0] as bigint)
  .concat([0x7ff8n << 48n, 0xfff8n << 48n, (0x7ff0n << 48n) + 1n, (0xfff4n << 48n) + 9n])
  .concat([(0x7ff8n << 48n) + 0x1234n, 0x7fff_ffff_ffff_ffffn, (0x7ff0n << 48n) + (1n << 29n)]);
const ADDRESSES = [
  DATA,
  DATA + 1,
  DATA + 7,
  MEMORY_BYTES - OFFSET - 16,
  MEMORY_BYTES - OFFSET - 1,
  MEMORY_BYTES,
].concat([MEMORY_BYTES - OFFSET, -1, -16, -2147483648, 2147483647]);

/** Runs every instruction on operands of a seed. */
export class Operations {
  readonly #machine: Machine;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;

  constructor(options: Options = {}) {
    this.#machine = new Machine(admitEntryProgram(moduleOfAll(), options));
    this.#bytes = this.#machine.bytes();
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** A digest of what each gave, in `turns` runs of each; `saw` is called with that of each instruction. */
  round(seed: number, turns: number, saw: (name: string, digest: string) => void = () => {}): string {
    const random = new Random(seed);
    const all = createHash("sha256");
    for (const operation of OPERATIONS) {
      const one = createHash("sha256");
      for (let turn = 0; turn < turns; turn++) this.#run(operation, random, one);
      const digest = one.digest("hex");
      saw(operation.name, digest);
      all.update(digest);
    }
    return all.digest("hex");
  }

  #run({ name, operands, addresses, isBulk }: Operation, random: Random, digest: Hash): void {
    this.#bytes.fill(0, RESULTS, DATA);
    for (let at = DATA; at < DATA + DATA_BYTES; at += 4) this.#view.setUint32(at, random.next(), true);
    for (const [index, type] of operands.entries()) {
      const at = index * OPERAND_BYTES;
      if (addresses && index === 0) this.#view.setInt32(at, random.pick(ADDRESSES), true);
      else this.#write(at, type, random);
    }
    const { fault } = this.#machine.run(name);
    digest
      .update(`${fault} `)
      .update(isBulk ? this.#bytes : this.#bytes.subarray(RESULTS, DATA + DATA_BYTES));
    digest.update(this.#bytes.subarray(MEMORY_BYTES - 64));
  }

  /** An operand: one of the chosen, or any bits. */
  #write(at: number, type: number, random: Random): void {
    const view = this.#view;
    const chosen = random.below(4) > 0;
    const any = (): bigint => (BigInt(random.next()) << 32n) | BigInt(random.next());
    if (type === F32) view.setUint32(at, chosen ? random.pick(SINGLES) : random.next(), true);
    else if (type === F64) view.setBigUint64(at, chosen ? random.pick(DOUBLES) : any(), true);
    else if (type !== V128) view.setBigInt64(at, chosen ? random.pick(INTEGERS) : any(), true);
    else {
      const half = random.pick([I64, F64, F32]);
      for (let lane = 0; lane < 16; lane += half === F32 ? 4 : 8) this.#write(at + lane, half, random);
    }
  }
}
