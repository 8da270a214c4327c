/** RLP (Ethereum's yellow paper, appendix B): writing items, and reading those of a transaction. */

import { reverse } from "./words.ts";

const scratch: usize = memory.data(32, 8);

// ---- writing: each returns where the next byte goes -------------------------------------------------------

/** Bytes that the head of a string or list of that length takes. */
export function headBytes(length: u32): u32 {
  if (length < 56) return 1;
  return length < 0x100 ? 2 : length < 0x10000 ? 3 : length < 0x1000000 ? 4 : 5;
}

function writeHead(at: usize, length: u32, short: u8): usize {
  if (length < 56) {
    store<u8>(at, short + <u8>length);
    return at + 1;
  }
  const bytes = headBytes(length) - 1;
  store<u8>(at, short + 55 + <u8>bytes);
  for (let i: u32 = 0; i < bytes; i++) store<u8>(at + 1 + i, <u8>(length >> (8 * (bytes - 1 - i))));
  return at + 1 + bytes;
}

export function writeListHead(at: usize, length: u32): usize {
  return writeHead(at, length, 0xc0);
}

export function writeStringHead(at: usize, length: u32): usize {
  return writeHead(at, length, 0x80);
}

/** A string; what `stringBytes` says. */
export function writeString(at: usize, bytes: usize, length: u32): usize {
  if (length == 1 && load<u8>(bytes) < 0x80) {
    store<u8>(at, load<u8>(bytes));
    return at + 1;
  }
  at = writeStringHead(at, length);
  memory.copy(at, bytes, length);
  return at + length;
}

export function stringBytes(bytes: usize, length: u32): u32 {
  return length == 1 && load<u8>(bytes) < 0x80 ? 1 : headBytes(length) + length;
}

/** An address, given as a word. */
export function writeAddress(at: usize, address: usize): usize {
  reverse(scratch, address);
  return writeString(at, scratch + 12, 20);
}

/** An integer, without leading zeros. */
export function writeNumber(at: usize, value: u64): usize {
  store<u64>(scratch, bswap<u64>(value));
  const zeros = value ? <u32>clz<u64>(value) >> 3 : 8;
  return writeString(at, scratch + zeros, 8 - zeros);
}

// ---- reading ----------------------------------------------------------------------------------------------

/** A cursor over encoded items. After an invalid item `failed` stays true. */
export class Reader {
  failed: bool = false;
  /** The string or list that was read last. */
  bytes: usize = 0;
  length: u32 = 0;

  constructor(
    public at: usize = 0,
    public end: usize = 0,
  ) {}

  reset(at: usize, end: usize): void {
    this.at = at;
    this.end = end;
    this.failed = false;
  }

  get isEnd(): bool {
    return this.at == this.end;
  }

  /** Reads a string. */
  string(): void {
    const first: u32 = this.at < this.end ? load<u8>(this.at) : 0xff;
    if (first < 0x80) {
      this.bytes = this.at;
      this.length = 1;
      this.at++;
    } else if (first < 0xc0) {
      this.take(first, 0x80);
      if (this.length == 1 && load<u8>(this.bytes) < 0x80) this.failed = true;
    } else {
      this.fail();
    }
  }

  /** Reads a list: `bytes` and `length` are its payload. */
  list(): void {
    const first: u32 = this.at < this.end ? load<u8>(this.at) : 0;
    if (first >= 0xc0) this.take(first, 0xc0);
    else this.fail();
  }

  /** Reads an integer of at most 32 bytes into a word. */
  number(target: usize): void {
    this.string();
    if (this.failed || this.length > 32 || (this.length && load<u8>(this.bytes) == 0)) {
      this.fail();
    }
    memory.fill(target, 0, 32);
    for (let i: u32 = 0; i < this.length; i++)
      store<u8>(target + i, load<u8>(this.bytes + this.length - 1 - i));
  }

  /** Reads an integer of at most 8 bytes. */
  u64(): u64 {
    this.string();
    if (this.failed || this.length > 8 || (this.length && load<u8>(this.bytes) == 0)) this.fail();
    let value: u64 = 0;
    for (let i: u32 = 0; i < this.length; i++) value = (value << 8) | <u64>load<u8>(this.bytes + i);
    return value;
  }

  private take(first: u32, short: u32): void {
    let length = first - short;
    let at = this.at + 1;
    if (length >= 56) {
      const bytes = length - 55;
      length = 0;
      if (bytes > 4 || at + bytes > this.end || load<u8>(at) == 0) return this.fail();
      for (let i: u32 = 0; i < bytes; i++) length = (length << 8) | load<u8>(at + i);
      at += bytes;
      if (length < 56) return this.fail();
    }
    if (<u64>at + <u64>length > <u64>this.end) return this.fail();
    this.bytes = at;
    this.length = length;
    this.at = at + length;
  }

  private fail(): void {
    this.failed = true;
    this.bytes = this.at;
    this.length = 0;
  }
}
