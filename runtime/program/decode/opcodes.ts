/**
 * The admitted instructions, one table: code, immediate, operand types, gas. Everything that is not in it is
 * rejected, and what is known to be a forbidden feature is rejected by name.
 *
 * An instruction is numbered by its opcode; those behind the prefixes 0xfc and 0xfd follow at PREFIX_FC and
 * PREFIX_FD. The gas of an instruction is a consensus rule: a change of any of these numbers is a new
 * REWRITER_VERSION.
 */

import type { Reason } from "../admission-error.ts";

// ---- value types: their codes in the binary format --------------------------------------------------------

export const I32 = 0x7f;
export const I64 = 0x7e;
export const F32 = 0x7d;
export const F64 = 0x7c;
export const V128 = 0x7b;
export const FUNCREF = 0x70;
export const EXTERNREF = 0x6f;
/** The type of an operand below unreachable code, which fits everything. */
export const ANY = 0;

export function isReference(type: number): boolean {
  return type === FUNCREF || type === EXTERNREF;
}

export function typeName(type: number): string {
  const names: Record<number, string> = {
    [I32]: "i32",
    [I64]: "i64",
    [F32]: "f32",
    [F64]: "f64",
    [V128]: "v128",
    [FUNCREF]: "funcref",
    [EXTERNREF]: "externref",
  };
  return names[type] ?? "any";
}

// ---- numbering --------------------------------------------------------------------------------------------

export const PREFIX_FC = 0x100;
export const PREFIX_FD = 0x200;
export const OPCODES = 0x300;

export const UNREACHABLE = 0x00;
export const NOP = 0x01;
export const BLOCK = 0x02;
export const LOOP = 0x03;
export const IF = 0x04;
export const ELSE = 0x05;
export const END = 0x0b;
export const BR = 0x0c;
export const BR_IF = 0x0d;
export const BR_TABLE = 0x0e;
export const RETURN = 0x0f;
export const CALL = 0x10;
export const CALL_INDIRECT = 0x11;
export const DROP = 0x1a;
export const SELECT = 0x1b;
export const SELECT_TYPED = 0x1c;
export const LOCAL_GET = 0x20;
export const LOCAL_SET = 0x21;
export const LOCAL_TEE = 0x22;
export const GLOBAL_GET = 0x23;
export const GLOBAL_SET = 0x24;
export const TABLE_GET = 0x25;
export const TABLE_SET = 0x26;
export const I32_LOAD = 0x28;
export const I64_LOAD = 0x29;
export const F32_LOAD = 0x2a;
export const F64_LOAD = 0x2b;
export const I32_LOAD8_U = 0x2d;
export const I32_STORE = 0x36;
export const I64_STORE = 0x37;
export const F32_STORE = 0x38;
export const F64_STORE = 0x39;
export const I32_STORE8 = 0x3a;
export const MEMORY_SIZE = 0x3f;
export const MEMORY_GROW = 0x40;
export const I32_CONST = 0x41;
export const I64_CONST = 0x42;
export const F32_CONST = 0x43;
export const F64_CONST = 0x44;
export const I32_EQZ = 0x45;
export const I32_EQ = 0x46;
export const I32_LT_S = 0x48;
export const I32_LT_U = 0x49;
export const I32_GE_U = 0x4f;
export const I64_EQ = 0x51;
export const I64_LT_S = 0x53;
export const F32_EQ = 0x5b;
export const F32_NE = 0x5c;
export const F64_EQ = 0x61;
export const F64_NE = 0x62;
export const I32_ADD = 0x6a;
export const I32_SUB = 0x6b;
export const I32_DIV_S = 0x6d;
export const I32_AND = 0x71;
export const I32_OR = 0x72;
export const I32_SHL = 0x74;
export const I32_SHR_U = 0x76;
export const F32_ABS = 0x8b;
export const F32_NEG = 0x8c;
export const I64_ADD = 0x7c;
export const I64_SUB = 0x7d;
export const I64_DIV_S = 0x7f;
export const I64_OR = 0x84;
export const I64_SHL = 0x86;
export const I64_SHR_U = 0x88;
export const F64_ABS = 0x99;
export const F64_NEG = 0x9a;
export const I32_WRAP_I64 = 0xa7;
export const I64_EXTEND_I32_U = 0xad;
export const I32_REINTERPRET_F32 = 0xbc;
export const REF_NULL = 0xd0;
export const REF_IS_NULL = 0xd1;
export const REF_FUNC = 0xd2;
export const MEMORY_INIT = PREFIX_FC + 8;
export const MEMORY_COPY = PREFIX_FC + 10;
export const MEMORY_FILL = PREFIX_FC + 11;
export const TABLE_SIZE = PREFIX_FC + 16;
export const V128_LOAD = PREFIX_FD;
export const V128_STORE = PREFIX_FD + 11;
export const V128_CONST = PREFIX_FD + 12;
export const I8X16_SHUFFLE = PREFIX_FD + 13;
export const F32X4_EQ = PREFIX_FD + 65;
export const F64X2_EQ = PREFIX_FD + 71;
export const V128_OR = PREFIX_FD + 80;
export const V128_XOR = PREFIX_FD + 81;
export const V128_BITSELECT = PREFIX_FD + 82;
export const V128_ANY_TRUE = PREFIX_FD + 83;
export const V128_STORE8_LANE = PREFIX_FD + 88;
export const V128_STORE64_LANE = PREFIX_FD + 91;

// ---- what follows an opcode -------------------------------------------------------------------------------

export const NO_IMMEDIATE = 0;
export const MEMORY_ARGUMENT = 1; //  alignment and offset
export const LANE = 2; //             a lane number below LANES
export const MEMORY_LANE = 3; //      both
export const SPECIAL = 4; //          read by the instruction's own case in special.ts

export interface Signature {
  readonly operands: readonly number[];
  readonly results: readonly number[];
}

/** By opcode; NAMES[op] is undefined for what is not admitted. */
export const NAMES: (string | undefined)[] = new Array(OPCODES).fill(undefined);
/** By opcode; null where the types depend on the immediate or the operands. */
export const SIGNATURES: (Signature | null)[] = new Array(OPCODES).fill(null);
export const IMMEDIATES = new Uint8Array(OPCODES);
export const GAS = new Uint8Array(OPCODES);
/** Binary logarithm of the bytes accessed. */
export const WIDTH = new Uint8Array(OPCODES);
/** Number of lanes, for lane immediates. */
export const LANES = new Uint8Array(OPCODES);
/** 1 for instructions that write memory 0 at an operand address. */
export const IS_STORE = new Uint8Array(OPCODES);

// Shapes of floating-point values, for NaN canonicalisation.
export const SHAPE_F32 = 1;
export const SHAPE_F64 = 2;
export const SHAPE_F32X4 = 3;
export const SHAPE_F64X2 = 4;
/** By the name that instructions of the shape begin with. */
export const SHAPES: Readonly<Record<string, number>> = {
  f32: SHAPE_F32,
  f64: SHAPE_F64,
  f32x4: SHAPE_F32X4,
  f64x2: SHAPE_F64X2,
};
/** By opcode: the shape of an arithmetic result whose NaN bits WebAssembly leaves open, else 0. */
export const MAKES_NAN = new Uint8Array(OPCODES);
/**
 * By opcode: the shape of operands that are read as numbers, so that the bits of a NaN do not matter, else 0.
 */
export const IGNORES_NAN = new Uint8Array(OPCODES);

const LETTERS: Record<string, number> = { i: I32, I: I64, f: F32, F: F64, v: V128 };

function types(letters: string): number[] {
  return [...letters].map((letter) => LETTERS[letter] as number);
}

/** Defines consecutive opcodes of one signature, "operands>results"; "-" leaves a hole. */
function define(
  first: number,
  signature: string,
  gas: number,
  names: string,
  immediate = NO_IMMEDIATE,
): void {
  const [operands, results] = signature.split(">") as [string, string];
  names.split(" ").forEach((name, index) => {
    if (name === "-") return;
    const op = first + index;
    NAMES[op] = name;
    if (immediate !== SPECIAL) SIGNATURES[op] = { operands: types(operands), results: types(results) };
    IMMEDIATES[op] = immediate;
    GAS[op] = gas;
  });
}

function access(
  first: number,
  signature: string,
  gas: number,
  names: string,
  widths: string,
  lane = false,
): void {
  define(first, signature, gas, names, lane ? MEMORY_LANE : MEMORY_ARGUMENT);
  [...widths].forEach((width, index) => {
    WIDTH[first + index] = Number(width);
    LANES[first + index] = 16 >> Number(width);
    if (signature.endsWith(">")) IS_STORE[first + index] = 1;
  });
}

function lanes(op: number, signature: string, count: number, name: string): void {
  define(op, signature, 1, name, LANE);
  LANES[op] = count;
}

const FREE = 0;
const ONE = 1;
const LOAD = 2;
const STORE = 3;
const VECTOR_STORE = 5; //  one that crosses a page takes 12 ns
const FLOAT = 2;
const SLOW = 8; //         divisions of integers
/**
 * Floating-point multiplication, division and square root. Where an operand or the result is denormal many
 * processors take 150 cycles for it, though it is one or ten otherwise; and every program can see to that.
 */
const DENORMAL = 24;
const DIRECT = 5;
const INDIRECT = 8;
const BULK = 16; //        and one more for each BULK_GAS_BYTES, charged as it runs
const GROW = 64;

const SIGNED = "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u";
const ORDERED = "eq ne lt gt le ge";
const prefixed = (prefix: string, names: string) =>
  names.replace(/[^ ]+/g, (name) => (name === "-" ? "-" : prefix + name));

define(0x00, ">", FREE, "unreachable nop block loop if else", SPECIAL);
GAS[IF] = ONE;
define(0x0b, ">", FREE, "end", SPECIAL);
define(0x0c, ">", ONE, "br br_if br_table return", SPECIAL);
GAS[BR_TABLE] = 3;
define(CALL, ">", DIRECT, "call", SPECIAL);
define(CALL_INDIRECT, ">", INDIRECT, "call_indirect", SPECIAL);
define(DROP, ">", FREE, "drop", SPECIAL);
define(SELECT, ">", ONE, "select select", SPECIAL);
define(LOCAL_GET, ">", FREE, "local.get local.set local.tee", SPECIAL);
define(GLOBAL_GET, ">", ONE, "global.get global.set", SPECIAL);
define(TABLE_GET, ">", LOAD, "table.get", SPECIAL);

access(0x28, "i>i", LOAD, "i32.load", "2");
access(0x29, "i>I", LOAD, "i64.load", "3");
access(0x2a, "i>f", LOAD, "f32.load", "2");
access(0x2b, "i>F", LOAD, "f64.load", "3");
access(0x2c, "i>i", LOAD, prefixed("i32.", "load8_s load8_u load16_s load16_u"), "0011");
access(0x30, "i>I", LOAD, prefixed("i64.", "load8_s load8_u load16_s load16_u load32_s load32_u"), "001122");
access(0x36, "ii>", STORE, "i32.store", "2");
access(0x37, "iI>", STORE, "i64.store", "3");
access(0x38, "if>", STORE, "f32.store", "2");
access(0x39, "iF>", STORE, "f64.store", "3");
access(0x3a, "ii>", STORE, "i32.store8 i32.store16", "01");
access(0x3c, "iI>", STORE, "i64.store8 i64.store16 i64.store32", "012");
define(MEMORY_SIZE, ">", ONE, "memory.size", SPECIAL);
define(MEMORY_GROW, ">", GROW, "memory.grow", SPECIAL);
define(I32_CONST, ">", FREE, "i32.const i64.const f32.const f64.const", SPECIAL);

define(0x45, "i>i", ONE, "i32.eqz");
define(0x46, "ii>i", ONE, prefixed("i32.", SIGNED));
define(0x50, "I>i", ONE, "i64.eqz");
define(0x51, "II>i", ONE, prefixed("i64.", SIGNED));
define(0x5b, "ff>i", ONE, prefixed("f32.", ORDERED));
define(0x61, "FF>i", ONE, prefixed("f64.", ORDERED));
define(0x67, "i>i", ONE, "i32.clz i32.ctz i32.popcnt");
define(0x6a, "ii>i", ONE, prefixed("i32.", "add sub mul - - - - and or xor shl shr_s shr_u rotl rotr"));
define(0x6d, "ii>i", SLOW, prefixed("i32.", "div_s div_u rem_s rem_u"));
define(0x79, "I>I", ONE, "i64.clz i64.ctz i64.popcnt");
define(0x7c, "II>I", ONE, prefixed("i64.", "add sub mul - - - - and or xor shl shr_s shr_u rotl rotr"));
define(0x7f, "II>I", SLOW, prefixed("i64.", "div_s div_u rem_s rem_u"));
define(0x8b, "f>f", FLOAT, prefixed("f32.", "abs neg ceil floor trunc nearest -"));
define(0x91, "f>f", DENORMAL, "f32.sqrt");
define(0x92, "ff>f", FLOAT, prefixed("f32.", "add sub - - min max copysign"));
define(0x94, "ff>f", DENORMAL, "f32.mul f32.div");
define(0x99, "F>F", FLOAT, prefixed("f64.", "abs neg ceil floor trunc nearest -"));
define(0x9f, "F>F", DENORMAL, "f64.sqrt");
define(0xa0, "FF>F", FLOAT, prefixed("f64.", "add sub - - min max copysign"));
define(0xa2, "FF>F", DENORMAL, "f64.mul f64.div");
define(0xa7, "I>i", FREE, "i32.wrap_i64");
define(0xa8, "f>i", FLOAT, prefixed("i32.trunc_", "f32_s f32_u"));
define(0xaa, "F>i", FLOAT, prefixed("i32.trunc_", "f64_s f64_u"));
define(0xac, "i>I", FREE, "i64.extend_i32_s i64.extend_i32_u");
define(0xae, "f>I", FLOAT, prefixed("i64.trunc_", "f32_s f32_u"));
define(0xb0, "F>I", FLOAT, prefixed("i64.trunc_", "f64_s f64_u"));
define(0xb2, "i>f", FLOAT, prefixed("f32.convert_", "i32_s i32_u"));
define(0xb4, "I>f", FLOAT, prefixed("f32.convert_", "i64_s i64_u"));
define(0xb6, "F>f", FLOAT, "f32.demote_f64");
define(0xb7, "i>F", FLOAT, prefixed("f64.convert_", "i32_s i32_u"));
define(0xb9, "I>F", FLOAT, prefixed("f64.convert_", "i64_s i64_u"));
define(0xbb, "f>F", FLOAT, "f64.promote_f32");
define(0xbc, "f>i", FREE, "i32.reinterpret_f32");
define(0xbd, "F>I", FREE, "i64.reinterpret_f64");
define(0xbe, "i>f", FREE, "f32.reinterpret_i32");
define(0xbf, "I>F", FREE, "f64.reinterpret_i64");
define(0xc0, "i>i", ONE, "i32.extend8_s i32.extend16_s");
define(0xc2, "I>I", ONE, "i64.extend8_s i64.extend16_s i64.extend32_s");
define(REF_NULL, ">", FREE, "ref.null ref.is_null ref.func", SPECIAL);

define(PREFIX_FC, "f>i", FLOAT, "i32.trunc_sat_f32_s i32.trunc_sat_f32_u");
define(PREFIX_FC + 2, "F>i", FLOAT, "i32.trunc_sat_f64_s i32.trunc_sat_f64_u");
define(PREFIX_FC + 4, "f>I", FLOAT, "i64.trunc_sat_f32_s i64.trunc_sat_f32_u");
define(PREFIX_FC + 6, "F>I", FLOAT, "i64.trunc_sat_f64_s i64.trunc_sat_f64_u");
define(MEMORY_INIT, ">", BULK, "memory.init", SPECIAL);
define(MEMORY_COPY, ">", BULK, "memory.copy memory.fill", SPECIAL);
define(TABLE_SIZE, ">", ONE, "table.size", SPECIAL);

const fd = PREFIX_FD;
access(fd, "i>v", LOAD, "v128.load", "4");
access(
  fd + 1,
  "i>v",
  LOAD,
  prefixed("v128.load", "8x8_s 8x8_u 16x4_s 16x4_u 32x2_s 32x2_u 8_splat 16_splat 32_splat 64_splat"),
  "3333330123",
);
access(fd + 11, "iv>", VECTOR_STORE, "v128.store", "4");
define(fd + 12, ">", FREE, "v128.const i8x16.shuffle", SPECIAL);
GAS[I8X16_SHUFFLE] = ONE;
define(fd + 14, "vv>v", ONE, "i8x16.swizzle");
define(fd + 15, "i>v", ONE, "i8x16.splat i16x8.splat i32x4.splat");
define(fd + 18, "I>v", ONE, "i64x2.splat");
define(fd + 19, "f>v", ONE, "f32x4.splat");
define(fd + 20, "F>v", ONE, "f64x2.splat");
lanes(fd + 21, "v>i", 16, "i8x16.extract_lane_s");
lanes(fd + 22, "v>i", 16, "i8x16.extract_lane_u");
lanes(fd + 23, "vi>v", 16, "i8x16.replace_lane");
lanes(fd + 24, "v>i", 8, "i16x8.extract_lane_s");
lanes(fd + 25, "v>i", 8, "i16x8.extract_lane_u");
lanes(fd + 26, "vi>v", 8, "i16x8.replace_lane");
lanes(fd + 27, "v>i", 4, "i32x4.extract_lane");
lanes(fd + 28, "vi>v", 4, "i32x4.replace_lane");
lanes(fd + 29, "v>I", 2, "i64x2.extract_lane");
lanes(fd + 30, "vI>v", 2, "i64x2.replace_lane");
lanes(fd + 31, "v>f", 4, "f32x4.extract_lane");
lanes(fd + 32, "vf>v", 4, "f32x4.replace_lane");
lanes(fd + 33, "v>F", 2, "f64x2.extract_lane");
lanes(fd + 34, "vF>v", 2, "f64x2.replace_lane");
define(fd + 35, "vv>v", ONE, prefixed("i8x16.", SIGNED));
define(fd + 45, "vv>v", ONE, prefixed("i16x8.", SIGNED));
define(fd + 55, "vv>v", ONE, prefixed("i32x4.", SIGNED));
define(fd + 65, "vv>v", FLOAT, prefixed("f32x4.", ORDERED));
define(fd + 71, "vv>v", FLOAT, prefixed("f64x2.", ORDERED));
define(fd + 77, "v>v", ONE, "v128.not");
define(fd + 78, "vv>v", ONE, "v128.and v128.andnot v128.or v128.xor");
define(fd + 82, "vvv>v", ONE, "v128.bitselect");
define(fd + 83, "v>i", ONE, "v128.any_true");
access(fd + 84, "iv>v", LOAD, prefixed("v128.load", "8_lane 16_lane 32_lane 64_lane"), "0123", true);
access(fd + 88, "iv>", VECTOR_STORE, prefixed("v128.store", "8_lane 16_lane 32_lane 64_lane"), "0123", true);
access(fd + 92, "i>v", LOAD, "v128.load32_zero v128.load64_zero", "23");
define(fd + 94, "v>v", FLOAT, "f32x4.demote_f64x2_zero f64x2.promote_low_f32x4");
define(fd + 96, "v>v", ONE, "i8x16.abs i8x16.neg i8x16.popcnt");
define(fd + 99, "v>i", ONE, "i8x16.all_true i8x16.bitmask");
define(fd + 101, "vv>v", ONE, "i8x16.narrow_i16x8_s i8x16.narrow_i16x8_u");
define(fd + 103, "v>v", FLOAT, "f32x4.ceil f32x4.floor f32x4.trunc f32x4.nearest");
define(fd + 107, "vi>v", ONE, "i8x16.shl i8x16.shr_s i8x16.shr_u");
define(fd + 110, "vv>v", ONE, prefixed("i8x16.", "add add_sat_s add_sat_u sub sub_sat_s sub_sat_u"));
define(fd + 116, "v>v", FLOAT, "f64x2.ceil f64x2.floor");
define(fd + 118, "vv>v", ONE, prefixed("i8x16.", "min_s min_u max_s max_u - avgr_u"));
define(fd + 122, "v>v", FLOAT, "f64x2.trunc");
define(fd + 124, "v>v", ONE, "i16x8.extadd_pairwise_i8x16_s i16x8.extadd_pairwise_i8x16_u");
define(fd + 126, "v>v", ONE, "i32x4.extadd_pairwise_i16x8_s i32x4.extadd_pairwise_i16x8_u");
define(fd + 128, "v>v", ONE, "i16x8.abs i16x8.neg");
define(fd + 130, "vv>v", ONE, "i16x8.q15mulr_sat_s");
define(fd + 131, "v>i", ONE, "i16x8.all_true i16x8.bitmask");
define(fd + 133, "vv>v", ONE, "i16x8.narrow_i32x4_s i16x8.narrow_i32x4_u");
define(fd + 135, "v>v", ONE, prefixed("i16x8.extend_", "low_i8x16_s high_i8x16_s low_i8x16_u high_i8x16_u"));
define(fd + 139, "vi>v", ONE, "i16x8.shl i16x8.shr_s i16x8.shr_u");
define(fd + 142, "vv>v", ONE, prefixed("i16x8.", "add add_sat_s add_sat_u sub sub_sat_s sub_sat_u"));
define(fd + 148, "v>v", FLOAT, "f64x2.nearest");
define(fd + 149, "vv>v", ONE, prefixed("i16x8.", "mul min_s min_u max_s max_u - avgr_u"));
define(fd + 156, "vv>v", ONE, prefixed("i16x8.extmul_", "low_i8x16_s high_i8x16_s low_i8x16_u high_i8x16_u"));
define(fd + 160, "v>v", ONE, "i32x4.abs i32x4.neg");
define(fd + 163, "v>i", ONE, "i32x4.all_true i32x4.bitmask");
define(fd + 167, "v>v", ONE, prefixed("i32x4.extend_", "low_i16x8_s high_i16x8_s low_i16x8_u high_i16x8_u"));
define(fd + 171, "vi>v", ONE, "i32x4.shl i32x4.shr_s i32x4.shr_u");
define(
  fd + 174,
  "vv>v",
  ONE,
  prefixed("i32x4.", "add - - sub - - - mul min_s min_u max_s max_u dot_i16x8_s"),
);
define(fd + 188, "vv>v", ONE, prefixed("i32x4.extmul_", "low_i16x8_s high_i16x8_s low_i16x8_u high_i16x8_u"));
define(fd + 192, "v>v", ONE, "i64x2.abs i64x2.neg");
define(fd + 195, "v>i", ONE, "i64x2.all_true i64x2.bitmask");
define(fd + 199, "v>v", ONE, prefixed("i64x2.extend_", "low_i32x4_s high_i32x4_s low_i32x4_u high_i32x4_u"));
define(fd + 203, "vi>v", ONE, "i64x2.shl i64x2.shr_s i64x2.shr_u");
define(fd + 206, "vv>v", ONE, prefixed("i64x2.", "add - - sub - - - mul eq ne lt_s gt_s le_s ge_s"));
define(fd + 220, "vv>v", ONE, prefixed("i64x2.extmul_", "low_i32x4_s high_i32x4_s low_i32x4_u high_i32x4_u"));
define(fd + 224, "v>v", FLOAT, "f32x4.abs f32x4.neg");
define(fd + 227, "v>v", DENORMAL, "f32x4.sqrt");
define(fd + 228, "vv>v", FLOAT, prefixed("f32x4.", "add sub - - min max pmin pmax"));
define(fd + 230, "vv>v", DENORMAL, "f32x4.mul f32x4.div");
define(fd + 236, "v>v", FLOAT, "f64x2.abs f64x2.neg");
define(fd + 239, "v>v", DENORMAL, "f64x2.sqrt");
define(fd + 240, "vv>v", FLOAT, prefixed("f64x2.", "add sub - - min max pmin pmax"));
define(fd + 242, "vv>v", DENORMAL, "f64x2.mul f64x2.div");
define(fd + 248, "v>v", FLOAT, "i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f32x4_u");
define(fd + 250, "v>v", FLOAT, "f32x4.convert_i32x4_s f32x4.convert_i32x4_u");
define(fd + 252, "v>v", FLOAT, "i32x4.trunc_sat_f64x2_s_zero i32x4.trunc_sat_f64x2_u_zero");
define(fd + 254, "v>v", FLOAT, "f64x2.convert_low_i32x4_s f64x2.convert_low_i32x4_u");

// ---- NaN --------------------------------------------------------------------------------------------------

const ARITHMETIC =
  /^(f32|f64|f32x4|f64x2)\.(add|sub|mul|div|sqrt|min|max|ceil|floor|trunc|nearest|demote.*|promote.*)$/;

NAMES.forEach((name, op) => {
  if (name === undefined) return;
  const arithmetic = ARITHMETIC.exec(name);
  if (arithmetic) MAKES_NAN[op] = SHAPES[arithmetic[1] as string] as number;
  const compared = /^(f32|f64|f32x4|f64x2)\.(eq|ne|lt|gt|le|ge)$/.exec(name);
  const truncated = /^i(?:32|64|32x4)\.trunc_(?:sat_)?(f32x4|f64x2|f32|f64)_/.exec(name);
  const converted = /^f(?:32|64|32x4|64x2)\.(?:demote|promote_low|promote)_(f32x4|f64x2|f32|f64)/.exec(name);
  const read = compared ?? truncated ?? converted ?? arithmetic;
  if (read) IGNORES_NAN[op] = SHAPES[read[1] as string] as number;
});

// ---- what is rejected, by name ----------------------------------------------------------------------------

/** The reason for an opcode outside the table; "unknown-opcode" where it is no known feature. */
export function rejectionOf(op: number): { reason: Reason; text: string } {
  if (op === TABLE_SET || [12, 14, 15, 17].includes(op - PREFIX_FC)) {
    return { reason: "table-mutation", text: "Tables may not be written: they are not part of an image" };
  }
  if (op === PREFIX_FC + 9 || op === PREFIX_FC + 13) {
    return { reason: "segment-drop", text: "Segments may not be dropped: they are not part of an image" };
  }
  if (op === 0xfe) return { reason: "threads", text: "Atomic instructions are not admitted" };
  if ([0x06, 0x07, 0x08, 0x09, 0x0a, 0x18, 0x19, 0x1f].includes(op)) {
    return { reason: "exceptions", text: "Exception handling is not admitted" };
  }
  if (op === 0x12 || op === 0x13 || op === 0x15)
    return { reason: "tail-calls", text: "Tail calls are not admitted" };
  if (op === 0x14 || (op >= 0xd3 && op <= 0xd6) || op === 0xfb) {
    return { reason: "gc", text: "Typed function references and garbage-collected objects are not admitted" };
  }
  if (op >= PREFIX_FC + 19 && op <= PREFIX_FC + 22) {
    return { reason: "wide-arithmetic", text: "128-bit arithmetic is not admitted" };
  }
  return { reason: "unknown-opcode", text: "No such instruction" };
}
