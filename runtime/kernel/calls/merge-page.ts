/**
 * One page of a MERGE, in three versions: `base` is the reference snapshot's, `theirs` the child's, `mine`
 * the caller's, into which the others are merged.
 *
 * The loops go over words, also where bytes are merged and the range begins or ends inside of a word: a page
 * whose bytes differ everywhere takes two microseconds that way, and takes thirty byte by byte. Integers of
 * 64 bits are pairs of words: a BigInt is an allocation.
 */

import * as abi from "../../../syscalls/abi.ts";
import { popcount } from "../../heap/table.ts";
import { PAGE_BYTES } from "../../limits.ts";
import { COUNTING, work } from "../../work.ts";

const counting = COUNTING;

export const base = Buffer.alloc(PAGE_BYTES);
export const theirs = Buffer.alloc(PAGE_BYTES);
export const mine = Buffer.alloc(PAGE_BYTES);

const OLD = wordsOf(base);
const NOW = wordsOf(theirs);
const OWN = wordsOf(mine);

function wordsOf(page: Buffer): Int32Array {
  return new Int32Array(page.buffer, page.byteOffset, PAGE_BYTES / 4);
}

/** Bytes that both sides changed, to different values. */
export interface Conflicts {
  count: number;
  /** Address of the first, and what the two have there. */
  first: number;
  theirs: number;
  mine: number;
}

/** Adds the conflicts from byte `from` to byte `to` of the page that begins at `address`. */
export function findConflicts(conflicts: Conflicts, address: number, from: number, to: number): void {
  if (counting) work.bytesMerged += to - from;
  for (let i = from >>> 2; 4 * i < to; i++) {
    const old = OLD[i] as number;
    const now = NOW[i] as number;
    const own = OWN[i] as number;
    if (now === old || own === old || now === own) continue;
    const both = changed(now ^ old) & changed(own ^ old) & changed(now ^ own);
    const bytes = isInside(i, from, to) ? both : both & within(i, from, to);
    if (bytes === 0) continue;
    if (conflicts.count === 0) {
      const shift = 31 - Math.clz32(bytes & -bytes);
      conflicts.first = address + 4 * i + shift / 8;
      conflicts.theirs = (now >>> shift) & 0xff;
      conflicts.mine = (own >>> shift) & 0xff;
    }
    conflicts.count += popcount(bytes) / 8;
  }
}

/** Merges `theirs` into `mine` from byte `from` to byte `to`: MERGE_…, aligned as the kind demands. */
export function combine(kind: number, from: number, to: number): void {
  if (counting) work.bytesMerged += to - from;
  switch (kind) {
    case abi.MERGE_BYTES:
      return takeBytes(from, to);
    case abi.MERGE_ADD_32:
      return add32(from, to);
    case abi.MERGE_ADD_64:
      return add64(from, to);
    case abi.MERGE_MIN_I32:
      return select32(from, to, true, false);
    case abi.MERGE_MIN_U32:
      return select32(from, to, false, false);
    case abi.MERGE_MIN_I64:
      return select64(from, to, true, false);
    case abi.MERGE_MIN_U64:
      return select64(from, to, false, false);
    case abi.MERGE_MAX_I32:
      return select32(from, to, true, true);
    case abi.MERGE_MAX_U32:
      return select32(from, to, false, true);
    case abi.MERGE_MAX_I64:
      return select64(from, to, true, true);
    default:
      return select64(from, to, false, true);
  }
}

function takeBytes(from: number, to: number): void {
  for (let i = from >>> 2; 4 * i < to; i++) {
    const now = NOW[i] as number;
    const difference = now ^ (OLD[i] as number);
    if (difference === 0) continue;
    const bytes = isInside(i, from, to) ? changed(difference) : changed(difference) & within(i, from, to);
    OWN[i] = ((OWN[i] as number) & ~bytes) | (now & bytes);
  }
}

function add32(from: number, to: number): void {
  for (let i = from / 4; i < to / 4; i++) {
    OWN[i] = (OWN[i] as number) + ((NOW[i] as number) - (OLD[i] as number));
  }
}

function add64(from: number, to: number): void {
  for (let i = from / 4; i < to / 4; i += 2) {
    const now = (NOW[i] as number) >>> 0;
    const old = (OLD[i] as number) >>> 0;
    const low = ((OWN[i] as number) >>> 0) + ((now - old) >>> 0);
    const high = (NOW[i + 1] as number) - (OLD[i + 1] as number) - (now < old ? 1 : 0);
    OWN[i] = low;
    OWN[i + 1] = (OWN[i + 1] as number) + high + (low > 0xffffffff ? 1 : 0);
  }
}

/**
 * The smaller, or the larger, of the two where the child changed it. Words are signed: with the highest bit
 * flipped they compare as unsigned ones.
 */
function select32(from: number, to: number, signed: boolean, larger: boolean): void {
  const flip = signed ? 0 : 1 << 31;
  for (let i = from / 4; i < to / 4; i++) {
    const now = NOW[i] as number;
    if (now === OLD[i]) continue;
    const isLess = (now ^ flip) < ((OWN[i] as number) ^ flip);
    if (isLess !== larger) OWN[i] = now;
  }
}

function select64(from: number, to: number, signed: boolean, larger: boolean): void {
  const flip = signed ? 0 : 1 << 31;
  for (let i = from / 4; i < to / 4; i += 2) {
    const now = NOW[i] as number;
    const nowHigh = NOW[i + 1] as number;
    if (now === OLD[i] && nowHigh === OLD[i + 1]) continue;
    const high = nowHigh ^ flip;
    const ownHigh = (OWN[i + 1] as number) ^ flip;
    const isLess = high < ownHigh || (high === ownHigh && now >>> 0 < (OWN[i] as number) >>> 0);
    if (isLess === larger) continue;
    OWN[i] = now;
    OWN[i + 1] = nowHigh;
  }
}

/** 255 in each byte of the word that is not zero. */
function changed(word: number): number {
  const high = (((word & 0x7f7f7f7f) + 0x7f7f7f7f) | word) & 0x80808080;
  return Math.imul(high >>> 7, 0xff);
}

/** Whether word `i` of the page lies from byte `from` to byte `to` with all its bytes. */
function isInside(i: number, from: number, to: number): boolean {
  return from <= 4 * i && 4 * i + 4 <= to;
}

/** 255 in each byte of word `i` of the page that lies from byte `from` to byte `to`. */
function within(i: number, from: number, to: number): number {
  const before = Math.max(from - 4 * i, 0);
  const behind = Math.max(4 * i + 4 - to, 0);
  return (-1 << (8 * before)) & (-1 >>> (8 * behind));
}
