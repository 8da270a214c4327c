/**
 * Reads the WebAssembly binary format strictly: every number in its shortest allowed range, every access
 * inside `end`. All failures are AdmissionError with the offset of the item that failed.
 */

import { AdmissionError, type Reason } from "../admission-error.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class Reader {
  readonly bytes: Uint8Array;
  offset: number;
  /** Nothing is read at or past this offset; narrowed while a section or a function body is read. */
  end: number;
  /** The function whose body is being read, for error reports. */
  functionIndex: number | null = null;

  constructor(bytes: Uint8Array, offset = 0, end = bytes.length) {
    this.bytes = bytes;
    this.offset = offset;
    this.end = end;
  }

  fail(reason: Reason, message: string, offset = this.offset): never {
    throw new AdmissionError(reason, message, offset, this.functionIndex);
  }

  u8(): number {
    if (this.offset >= this.end)
      this.fail("malformed", "Unexpected end: the module is truncated or a size is wrong");
    return this.bytes[this.offset++] as number;
  }

  /** Unsigned LEB128 of at most 32 bits. */
  u32(): number {
    const start = this.offset;
    let result = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.u8();
      if (shift === 28 && byte > 0x0f) break;
      result |= (byte & 0x7f) << shift;
      if (byte < 0x80) return result >>> 0;
    }
    return this.fail("malformed", "An unsigned number does not fit 32 bits", start);
  }

  /** Signed LEB128 of 32 bits. */
  s32(): number {
    const start = this.offset;
    let result = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.u8();
      if (shift === 28) {
        const top = byte & 0xf8;
        if (byte >= 0x80 || (top !== 0 && top !== 0x78)) break;
        if ((byte & 0x08) !== 0 ? top !== 0x78 : top !== 0) break;
        return result | (byte << 28);
      }
      result |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (result << (25 - shift)) >> (25 - shift);
    }
    return this.fail("malformed", "A signed number does not fit 32 bits", start);
  }

  /** Signed LEB128 of 64 bits. */
  s64(): bigint {
    const start = this.offset;
    let small = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.u8();
      small |= (byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt((small << (25 - shift)) >> (25 - shift));
    }
    let result = BigInt(small);
    for (let shift = 28; shift < 70; shift += 7) {
      const byte = this.u8();
      if (shift === 63 && byte !== 0 && byte !== 0x7f) break;
      result |= BigInt(byte & 0x7f) << BigInt(shift);
      if (byte < 0x80) return BigInt.asIntN(64, BigInt.asIntN(shift + 7, result));
    }
    return this.fail("malformed", "A signed number does not fit 64 bits", start);
  }

  /** Moves over `length` bytes and returns where they begin. */
  skip(length: number): number {
    const start = this.offset;
    if (length > this.end - start) {
      this.fail("malformed", `${length} bytes are announced where ${this.end - start} are left`);
    }
    this.offset += length;
    return start;
  }

  /** A name: length and UTF-8. */
  name(limit: number): string {
    const start = this.offset;
    const length = this.u32();
    const from = this.skip(length);
    if (length > limit)
      this.fail("name-length", `A name of ${length} bytes: at most ${limit} are allowed`, start);
    try {
      return utf8.decode(this.bytes.subarray(from, from + length));
    } catch {
      return this.fail("bad-utf8", "A name is not valid UTF-8", from);
    }
  }
}
