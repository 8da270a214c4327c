/** Bits of NaNs: canonical after arithmetic, kept elsewhere. */

import assert from "node:assert/strict";
import { test } from "node:test";
import * as op from "../../runtime/program/decode/opcodes.ts";
import type { Code } from "../../runtime/program/instrument/code.ts";
import { ARITHMETIC_SHAPES, opcodeOf } from "./arithmetic.ts";
import { entry } from "./build.ts";
import { run } from "./run.ts";

const { I32, F32, F64, V128 } = op;

const f64Bits = (code: Code, bits: bigint) => {
  code.i64(bits);
  code.op(0xbf);
};
const toBits = (code: Code) => code.op(0xbd);
const PAYLOAD = 0x7ff8_0000_0000_1234n;
const CANONICAL = 0x7ff8_0000_0000_0000n;

test("arithmetic of every shape makes canonical NaNs, of whatever NaN went in", () => {
  const bytes = Uint8Array.from({ length: 16 }, (_, i) => [0xf1, 0xff, 0xff, 0x7f][i % 4] as number);
  const single = 0x7fc0_0000n;
  const half: Record<number, bigint> = {
    [op.SHAPE_F32]: single,
    [op.SHAPE_F64]: CANONICAL,
    [op.SHAPE_F32X4]: (single << 32n) | single,
    [op.SHAPE_F64X2]: CANONICAL,
  };
  for (const [opcode, shape] of ARITHMETIC_SHAPES) {
    const { operands } = op.SIGNATURES[opcode] as op.Signature;
    const machine = run((code) => {
      for (const operand of operands) {
        const constant = { [F32]: op.F32_CONST, [F64]: op.F64_CONST }[operand] ?? op.V128_CONST;
        code.op(constant);
        code.bytes(bytes.subarray(0, operand === F32 ? 4 : operand === F64 ? 8 : 16));
      }
      code.op(opcode);
      if (shape === op.SHAPE_F32) {
        code.op(opcodeOf("i32.reinterpret_f32"));
        code.op(opcodeOf("i64.extend_i32_u"));
      } else if (shape === op.SHAPE_F64) {
        toBits(code);
      } else {
        code.op(opcodeOf("i64x2.extract_lane"));
        code.u8(0);
      }
    });
    assert.equal(BigInt.asUintN(64, machine.outcome.result), half[shape], `${op.NAMES[opcode]}`);
  }
});

// The low half of the double 0x400003ff is a NaN as a single: a vector local that held singles keeps it.
for (const conversion of ["f64x2.convert_low_i32x4_s", "f64x2.convert_low_i32x4_u"]) {
  test(`${conversion} keeps its bits in a local that f32x4 arithmetic wrote before`, () => {
    const value = 0x4000_03ff;
    const write = (code: Code): void => {
      code.i32(4);
      code.set(2);
      code.open(op.LOOP);
      code.get(1);
      code.get(1);
      code.op(opcodeOf("f32x4.add"));
      code.set(1);
      code.get(2);
      code.i32(1);
      code.op(op.I32_SUB);
      code.tee(2);
      code.index(op.BR_IF, 0);
      code.end();
      code.i32(value);
      code.op(opcodeOf("i32x4.splat"));
      code.op(opcodeOf(conversion));
      code.set(1);
      code.get(1);
      code.op(opcodeOf("f64x2.extract_lane"));
      code.u8(0);
      code.op(opcodeOf("i64.trunc_f64_s"));
    };
    const module = new WebAssembly.Module(entry(write, [V128, I32]) as BufferSource);
    const { main } = new WebAssembly.Instance(module).exports as { main: (argument: bigint) => bigint };
    assert.equal(main(0n), BigInt(value), "plain");
    assert.equal(run(write, [V128, I32]).outcome.result, BigInt(value), "instrumented");
  });
}

test("loads, constants, neg, abs, copysign, select, locals and calls keep the bits of a NaN", () => {
  const same = (code: (code: Code) => void, expected = PAYLOAD, locals: readonly number[] = []) =>
    assert.equal(run(code, locals).outcome.result, expected);
  same((code) => {
    code.i32(0);
    code.i64(PAYLOAD);
    code.access(op.I64_STORE, 0, 0);
    code.i32(0);
    code.access(0x2b, 0, 0);
    toBits(code);
  });
  same((code) => {
    f64Bits(code, PAYLOAD);
    code.op(op.F64_NEG);
    code.op(op.F64_ABS);
    toBits(code);
  });
  same(
    (code) => {
      f64Bits(code, PAYLOAD);
      f64Bits(code, -1n);
      code.i32(1);
      code.op(op.SELECT);
      code.tee(1);
      code.op(op.DROP);
      code.get(1);
      toBits(code);
    },
    PAYLOAD,
    [F64],
  );
});

test("an accumulator that ends as a NaN is canonical where it is read", () => {
  const machine = run(
    (code) => {
      f64Bits(code, 0n);
      code.set(1);
      code.i32(4);
      code.set(2);
      code.open(op.LOOP);
      code.get(1);
      f64Bits(code, 0x7ff0_0000_0000_0000n);
      code.op(0xa0);
      code.tee(1);
      code.op(op.F64_NEG);
      code.get(1);
      code.op(0xa0);
      code.set(1);
      code.get(2);
      code.i32(1);
      code.op(op.I32_SUB);
      code.tee(2);
      code.index(op.BR_IF, 0);
      code.end();
      code.get(1);
      toBits(code);
    },
    [F64, I32],
  );
  assert.equal(machine.outcome.result, CANONICAL);
});
