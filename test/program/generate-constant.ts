/** Random constants of every type, among them zeros, infinities and NaNs. */

import * as op from "../../runtime/program/decode/opcodes.ts";
import type { Code } from "../../runtime/program/instrument/code.ts";
import type { Random } from "./random.ts";

const { I32, I64, F32, F64 } = op;

export function constant(random: Random, code: Code, type: number): void {
  if (type === I32) return code.i32(random.chance(50) ? random.below(64) : random.next() | 0);
  if (type === I64) {
    return code.i64(
      random.chance(50) ? BigInt(random.below(64)) : (BigInt(random.next()) << 32n) | BigInt(random.next()),
    );
  }
  const bits32 = [
    0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0x7fc00000, 0xffc00001, 0x7fa00000, 0x42280000,
  ];
  const bits64 = [
    0n,
    1n << 63n,
    0x3ff0000000000000n,
    0x7ff0000000000000n,
    0x7ff8000000000000n,
    0xfff8000000000123n,
    0x7ff4000000000000n,
    0x4045000000000000n,
  ];
  if (type === F32) {
    code.op(op.F32_CONST);
    return code.bytes(
      new Uint8Array(Uint32Array.of(random.chance(70) ? random.pick(bits32) : random.next()).buffer),
    );
  }
  if (type === F64) {
    code.op(op.F64_CONST);
    return code.bytes(new Uint8Array(BigUint64Array.of(random.pick(bits64)).buffer));
  }
  code.op(op.V128_CONST);
  const words = Array.from({ length: 4 }, () => (random.chance(50) ? random.pick(bits32) : random.next()));
  code.bytes(new Uint8Array(Uint32Array.from(words).buffer));
}
