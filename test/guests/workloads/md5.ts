/** Searches the number whose MD5, as eight bytes of text, has the least first word. */

import { COPIES, rangeOf, runPhase } from "./phases.ts";

export { forked } from "../../../guest/index";

const table: usize = memory.data(64 * 4, 8);
const block: usize = memory.data(64, 8);
/** For each piece the least first word, and the number. */
const found: usize = memory.data(COPIES * 8, 8);
let numbers: i32 = 0;

export function prepare(size: i64): i64 {
  numbers = <i32>size;
  for (let i = 0; i < 64; i++) store<u32>(table + i * 4, <u32>(Math.abs(Math.sin(i + 1)) * 4294967296.0));
  memory.fill(found, 0, COPIES * 8);
  return rangeOf(found, COPIES * 8);
}

export function phases(argument: i64): i64 {
  return 1;
}

export function before(phase: i64): i64 {
  return 0;
}

export function needs(phase: i64): i64 {
  return 0;
}

export function range(id: i64): i64 {
  return rangeOf(found + <usize>id * 8, 8);
}

export function piece(id: i64): i64 {
  search(<i32>id, 0);
  return 0;
}

export function solve(argument: i64): i64 {
  runPhase(0, search, range(0), range(COPIES - 1));
  return 0;
}

function search(index: i32, phase: i64): void {
  const share = numbers / COPIES;
  let least: u32 = u32.MAX_VALUE;
  let which = 0;
  for (let i = index * share; i < (index + 1) * share; i++) {
    const word = firstWord(i);
    if (word >= least) continue;
    least = word;
    which = i;
  }
  store<u32>(found + index * 8, least);
  store<u32>(found + index * 8, which, 4);
}

function shift(round: i32, i: i32): i32 {
  const four = i & 3;
  if (round == 0) return 7 + 5 * four;
  if (round == 1) return four == 0 ? 5 : four == 1 ? 9 : four == 2 ? 14 : 20;
  if (round == 2) return four == 0 ? 4 : four == 1 ? 11 : four == 2 ? 16 : 23;
  return four == 0 ? 6 : four == 1 ? 10 : four == 2 ? 15 : 21;
}

/** First word of the MD5 of the number as eight hexadecimal digits, lowest first. */
function firstWord(number: u32): u32 {
  for (let i = 0; i < 8; i++) {
    const digit = (number >> (i * 4)) & 15;
    store<u8>(block + i, <u8>(digit < 10 ? 48 + digit : 87 + digit));
  }
  store<u64>(block, 0x80, 8);
  store<u64>(block, 64, 56);
  let a: u32 = 0x67452301;
  let b: u32 = 0xefcdab89;
  let c: u32 = 0x98badcfe;
  let d: u32 = 0x10325476;
  for (let i = 0; i < 64; i++) {
    const round = i >> 4;
    let f: u32;
    let g: i32;
    if (round == 0) {
      f = (b & c) | (~b & d);
      g = i;
    } else if (round == 1) {
      f = (d & b) | (~d & c);
      g = (5 * i + 1) & 15;
    } else if (round == 2) {
      f = b ^ c ^ d;
      g = (3 * i + 5) & 15;
    } else {
      f = c ^ (b | ~d);
      g = (7 * i) & 15;
    }
    const sum = f + a + load<u32>(table + (i << 2)) + load<u32>(block + (g << 2));
    a = d;
    d = c;
    c = b;
    b += rotl<u32>(sum, shift(round, i));
  }
  return bswap<u32>(a + 0x67452301);
}
