/**
 * The rules of the chain by fork: which opcodes there are, and what they cost before what depends on their
 * operands. `useRules` makes the table of one set; the interpreter reads nothing else of a fork but the
 * constants below and `fork`.
 *
 * A word of the table: bits 0-15 gas · 16-20 operands that it needs · 21 it leaves one more than it takes ·
 * 24-31 the opcode, or INVALID where the fork does not have it.
 */

export const FRONTIER: u32 = 0;
export const HOMESTEAD: u32 = 1;
export const TANGERINE_WHISTLE: u32 = 2;
export const SPURIOUS_DRAGON: u32 = 3;
export const BYZANTIUM: u32 = 4;
export const CONSTANTINOPLE: u32 = 5;
export const PETERSBURG: u32 = 6;
export const ISTANBUL: u32 = 7;
export const BERLIN: u32 = 8;
export const LONDON: u32 = 9;
export const PARIS: u32 = 10;
export const SHANGHAI: u32 = 11;
export const CANCUN: u32 = 12;

export const INVALID: u32 = 0xfe;

export let fork: u32 = 0;
/** 256 words. */
export const opcodes: usize = memory.data(1024, 8);

// What accounts and slots cost.
/** BALANCE, EXTCODESIZE, EXTCODECOPY, EXTCODEHASH, CALL…: from Berlin on by warmth. */
export const COLD_ACCOUNT: i64 = 2600;
export const COLD_SLOT: i64 = 2100;
export const WARM_ACCESS: i64 = 100;
/** Since Tangerine Whistle a call may pass all but a 64th (EIP-150). */
export const CALL_VALUE: i64 = 9000;
export const CALL_STIPEND: i64 = 2300;
export const NEW_ACCOUNT: i64 = 25000;
export const DEPOSIT_BYTE: i64 = 200;
export const CODE_LIMIT: u32 = 24576;
export const INIT_CODE_LIMIT: u32 = 49152;
export const INIT_CODE_WORD: i64 = 2;
/** SSTORE as it was before EIP-1283 and EIP-2200. */
export const STORE_SET: i64 = 20000;
export const STORE_RESET: i64 = 5000;
export const DEPTH_LIMIT: u32 = 1024;

/**
 * Of SLOAD, where warmth does not matter; also what SSTORE costs that changes nothing (EIP-1283, EIP-2200).
 */
export let slotLoad: i64 = 0;
/** Refund for clearing a slot. */
export let clearRefund: i64 = 0;
export let expByte: i64 = 0;
export let dataByte: u64 = 0;

/** Makes the table of a fork. */
export function useRules(wanted: u32): void {
  fork = wanted;
  slotLoad = wanted >= ISTANBUL ? 800 : wanted >= TANGERINE_WHISTLE ? 200 : 50;
  clearRefund = wanted >= LONDON ? 4800 : 15000;
  expByte = wanted >= SPURIOUS_DRAGON ? 50 : 10;
  dataByte = wanted >= ISTANBUL ? 16 : 68;
  for (let i: usize = 0; i < 1024; i += 4) store<u32>(opcodes + i, INVALID << 24);
  frontier();
  if (wanted >= HOMESTEAD) define(0xf4, 40, 6, 1);
  if (wanted >= TANGERINE_WHISTLE) tangerine();
  if (wanted >= BYZANTIUM) byzantium();
  if (wanted >= CONSTANTINOPLE) constantinople();
  if (wanted >= ISTANBUL) istanbul();
  if (wanted >= BERLIN) berlin();
  if (wanted >= LONDON) define(0x48, 2, 0, 1);
  if (wanted >= SHANGHAI) define(0x5f, 2, 0, 1);
  if (wanted >= CANCUN) cancun();
}

function define(opcode: u32, gas: u32, operands: u32, results: u32): void {
  const grows: u32 = results > operands ? 1 : 0;
  store<u32>(opcodes + (opcode << 2), gas | (operands << 16) | (grows << 21) | (opcode << 24));
}

function each(first: u32, last: u32, gas: u32, operands: u32, results: u32): void {
  for (let opcode = first; opcode <= last; opcode++) define(opcode, gas, operands, results);
}

function frontier(): void {
  define(0x00, 0, 0, 0);
  each(0x01, 0x07, 5, 2, 1);
  define(0x01, 3, 2, 1);
  define(0x03, 3, 2, 1);
  each(0x08, 0x09, 8, 3, 1);
  define(0x0a, 10, 2, 1);
  define(0x0b, 5, 2, 1);
  each(0x10, 0x14, 3, 2, 1);
  define(0x15, 3, 1, 1);
  each(0x16, 0x18, 3, 2, 1);
  define(0x19, 3, 1, 1);
  define(0x1a, 3, 2, 1);
  define(0x20, 30, 2, 1);
  define(0x30, 2, 0, 1);
  define(0x31, 20, 1, 1);
  each(0x32, 0x34, 2, 0, 1);
  define(0x35, 3, 1, 1);
  define(0x36, 2, 0, 1);
  define(0x37, 3, 3, 0);
  define(0x38, 2, 0, 1);
  define(0x39, 3, 3, 0);
  define(0x3a, 2, 0, 1);
  define(0x3b, 20, 1, 1);
  define(0x3c, 20, 4, 0);
  define(0x40, 20, 1, 1);
  each(0x41, 0x45, 2, 0, 1);
  define(0x50, 2, 1, 0);
  define(0x51, 3, 1, 1);
  each(0x52, 0x53, 3, 2, 0);
  define(0x54, 50, 1, 1);
  define(0x55, 0, 2, 0);
  define(0x56, 8, 1, 0);
  define(0x57, 10, 2, 0);
  each(0x58, 0x5a, 2, 0, 1);
  define(0x5b, 1, 0, 0);
  each(0x60, 0x7f, 3, 0, 1);
  for (let i: u32 = 0; i < 16; i++) {
    define(0x80 + i, 3, i + 1, i + 2);
    define(0x90 + i, 3, i + 2, i + 2);
  }
  for (let i: u32 = 0; i < 5; i++) define(0xa0 + i, 375 * (i + 1), i + 2, 0);
  define(0xf0, 32000, 3, 1);
  each(0xf1, 0xf2, 40, 7, 1);
  define(0xf3, 0, 2, 0);
  define(0xff, 0, 1, 0);
}

/** EIP-150. */
function tangerine(): void {
  define(0x31, 400, 1, 1);
  define(0x3b, 700, 1, 1);
  define(0x3c, 700, 4, 0);
  define(0x54, 200, 1, 1);
  each(0xf1, 0xf2, 700, 7, 1);
  define(0xf4, 700, 6, 1);
  define(0xff, 5000, 1, 0);
}

function byzantium(): void {
  define(0x3d, 2, 0, 1);
  define(0x3e, 3, 3, 0);
  define(0xfa, 700, 6, 1);
  define(0xfd, 0, 2, 0);
}

function constantinople(): void {
  each(0x1b, 0x1d, 3, 2, 1);
  define(0x3f, 400, 1, 1);
  define(0xf5, 32000, 4, 1);
}

function istanbul(): void {
  define(0x31, 700, 1, 1);
  define(0x3f, 700, 1, 1);
  define(0x46, 2, 0, 1);
  define(0x47, 5, 0, 1);
  define(0x54, 800, 1, 1);
}

/** EIP-2929: what costs by warmth costs nothing by the table. */
function berlin(): void {
  define(0x31, 0, 1, 1);
  define(0x3b, 0, 1, 1);
  define(0x3c, 0, 4, 0);
  define(0x3f, 0, 1, 1);
  define(0x54, 0, 1, 1);
  each(0xf1, 0xf2, 0, 7, 1);
  define(0xf4, 0, 6, 1);
  define(0xfa, 0, 6, 1);
}

function cancun(): void {
  define(0x49, 3, 1, 1);
  define(0x4a, 2, 0, 1);
  define(0x5c, 100, 1, 1);
  define(0x5d, 100, 2, 0);
  define(0x5e, 3, 3, 0);
}
