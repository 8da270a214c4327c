/** Bits of NaNs: canonical after arithmetic, kept elsewhere. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Code } from "../../runtime/program/code.ts";
import * as op from "../../runtime/program/opcodes.ts";
import { run } from "./run.ts";

const { I32, F32, F64 } = op;

const f64Bits = (code: Code, bits: bigint) => {
  code.i64(bits);
  code.op(0xbf);
};
const toBits = (code: Code) => code.op(0xbd);
const PAYLOAD = 0x7ff8_0000_0000_1234n;
const CANONICAL = 0x7ff8_0000_0000_0000n;

test("arithmetic makes canonical NaNs, of whatever NaN went in", () => {
  for (let opcode = 0; opcode < op.PREFIX_FD; opcode++) {
    if (op.MAKES_NAN[opcode] !== op.SHAPE_F64) continue;
    const { operands } = op.SIGNATURES[opcode] as op.Signature;
    const machine = run((code) => {
      for (const operand of operands) {
        f64Bits(code, -1n & ~1n);
        if (operand === F32) code.op(0xb6);
      }
      code.op(opcode);
      toBits(code);
    });
    assert.equal(machine.outcome.result, CANONICAL, `${op.NAMES[opcode]}`);
  }
});

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
