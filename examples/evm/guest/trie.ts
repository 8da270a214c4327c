/**
 * The root of a list: of a Merkle Patricia trie whose keys are the numbers of the list's items in RLP (yellow
 * paper, appendix D, section 4.3.2). No key begins with another, so only leaves have values.
 */

import { Keccak256 } from "../../../guest/crypto/keccak.ts";
import { headBytes, stringBytes, writeListHead, writeString } from "./rlp.ts";

/** The empty trie's: Keccak-256 of the empty string in RLP. */
// prettier-ignore
const EMPTY: usize = memory.data<u8>([
  0x56, 0xe8, 0x1f, 0x17, 0x1b, 0xcc, 0x55, 0xa6, 0xff, 0x83, 0x45, 0xe6, 0x92, 0xc0, 0xf8, 0x6e, 0x5b, 0x48,
  0xe0, 0x1b, 0x99, 0x6c, 0xad, 0xc0, 0x01, 0x62, 0x2f, 0xb5, 0xe3, 0x63, 0xb4, 0x21,
]);

const KEY_NIBBLES: u32 = 8;
const path: usize = memory.data(8, 8);
const hash: usize = memory.data(32, 8);

/** Values in the order of their numbers: pairs of u32, address and length. */
let values: usize = 0;
let count: u32 = 0;
/** Room for nodes under construction, one above the other. */
let scratch: usize = 0;

/** Writes the root of `length` values to `target`. `room` takes the longest value and 8 KiB more. */
export function rootOfList(list: usize, length: u32, target: usize, room: usize): void {
  values = list;
  count = length;
  scratch = room;
  if (!length) {
    memory.copy(target, EMPTY, 32);
    return;
  }
  const end = writeNode(0, length, 0, room);
  Keccak256.hash(room, <u32>(end - room), target);
}

/** The number that stands at a place, in ascending order of keys: 1 to 127, 0, 128 and so on. */
function numberAt(place: u32): u32 {
  const small = min<u32>(count, 128) - 1;
  if (place < small) return place + 1;
  return place == small ? 0 : place;
}

/** Nibble number `at` of the key of a number. */
function nibble(number: u32, at: u32): u32 {
  const byte = keyByte(number, at >> 1);
  return at & 1 ? byte & 15 : byte >> 4;
}

function keyByte(number: u32, at: u32): u32 {
  if (number == 0) return 0x80;
  if (number < 128) return number;
  const bytes: u32 = number < 0x100 ? 1 : number < 0x10000 ? 2 : 3;
  return at == 0 ? 0x80 + bytes : (number >> (8 * (bytes - at))) & 0xff;
}

function nibblesOf(number: u32): u32 {
  if (number < 128) return 2;
  return number < 0x100 ? 4 : number < 0x10000 ? 6 : 8;
}

/** Writes the node over places `from` to `to` - 1, which agree in their first `depth` nibbles; its end. */
function writeNode(from: u32, to: u32, depth: u32, at: usize): usize {
  const first = numberAt(from);
  if (to - from == 1) return writeLeaf(first, depth, at);
  const last = numberAt(to - 1);
  let common = depth;
  while (nibble(first, common) == nibble(last, common)) common++;
  if (common > depth) return writeExtension(from, to, depth, common, at);
  return writeBranch(from, to, depth, at);
}

/** Nibbles `depth` to `end` - 1 of a key, with the flag of their kind in front (appendix C); bytes. */
function writePath(number: u32, depth: u32, end: u32, flag: u32): u32 {
  const odd = (end - depth) & 1;
  let bytes: u32 = 0;
  let nibbleAt = depth;
  store<u8>(path, <u8>((flag + odd) << 4) | (odd ? <u8>nibble(number, nibbleAt++) : 0));
  for (bytes = 1; nibbleAt < end; bytes++) {
    store<u8>(path + bytes, <u8>((nibble(number, nibbleAt) << 4) | nibble(number, nibbleAt + 1)));
    nibbleAt += 2;
  }
  return bytes;
}

function writeLeaf(number: u32, depth: u32, at: usize): usize {
  const value = <usize>load<u32>(values + number * 8);
  const length = load<u32>(values + number * 8, 4);
  const bytes = writePath(number, depth, nibblesOf(number), 2);
  at = writeListHead(at, stringBytes(path, bytes) + stringBytes(value, length));
  at = writeString(at, path, bytes);
  return writeString(at, value, length);
}

function writeExtension(from: u32, to: u32, depth: u32, common: u32, at: usize): usize {
  // The child first, beyond where this node can reach.
  const child = at + 64;
  const length = reference(child, writeNode(from, to, common, child));
  const bytes = writePath(numberAt(from), depth, common, 0);
  let end = writeListHead(at, stringBytes(path, bytes) + length);
  end = writeString(end, path, bytes);
  memory.copy(end, child, length);
  return end + length;
}

function writeBranch(from: u32, to: u32, depth: u32, at: usize): usize {
  // References to the children, one after the other, and then the head in front of them.
  const list = at + 8;
  let end = list;
  let place = from;
  for (let digit: u32 = 0; digit < 16; digit++) {
    const start = place;
    while (place < to && nibble(numberAt(place), depth) == digit) place++;
    if (place == start) store<u8>(end++, 0x80);
    else end += reference(end, writeNode(start, place, depth + 1, end));
  }
  store<u8>(end++, 0x80);
  const length = <u32>(end - list);
  const head = headBytes(length);
  writeListHead(at, length);
  memory.copy(at + head, list, length);
  return at + head + length;
}

/**
 * Makes of a node, from `at` to `end`, what its parent names it by: itself if it is short, else its hash;
 * bytes.
 */
function reference(at: usize, end: usize): u32 {
  const length = <u32>(end - at);
  if (length < 32) return length;
  Keccak256.hash(at, length, hash);
  writeString(at, hash, 32);
  return 33;
}
