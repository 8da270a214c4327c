/**
 * Canonical bytes: what is hashed or logged is written, and read again, in one way only.
 *
 *   u8, u32, u64   little-endian; a u64 is an integer that a JavaScript number holds exactly
 *   text           u16 length · UTF-8
 *   bytes          u32 length · the bytes
 *
 * Imports nothing, so that it can be used in browsers as well.
 */

/** Bytes that are no such encoding. */
export class BadBytes extends Error {
  constructor(what: string, at: number) {
    super(`${what} at byte ${at}`);
  }
}

export class ByteWriter {
  readonly #parts: Uint8Array[] = [];

  u8(value: number): this {
    return this.raw(Uint8Array.of(value));
  }

  u32(value: number): this {
    return this.#number(4, (view) => view.setUint32(0, value, true));
  }

  u64(value: number | bigint): this {
    return this.#number(8, (view) => view.setBigUint64(0, BigInt.asUintN(64, BigInt(value)), true));
  }

  text(value: string): this {
    const bytes = new TextEncoder().encode(value);
    return this.#number(2, (view) => view.setUint16(0, bytes.length, true)).raw(bytes);
  }

  bytes(value: Uint8Array): this {
    return this.u32(value.length).raw(value);
  }

  raw(value: Uint8Array): this {
    this.#parts.push(value);
    return this;
  }

  done(): Uint8Array {
    const all = new Uint8Array(this.#parts.reduce((length, part) => length + part.length, 0));
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  #number(length: number, put: (view: DataView) => void): this {
    const bytes = new Uint8Array(length);
    put(new DataView(bytes.buffer));
    return this.raw(bytes);
  }
}

/** Reads what ByteWriter has written; throws BadBytes where it has not. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  u64(): number {
    const value = Number(this.#view.getBigUint64(this.#take(8), true));
    if (!Number.isSafeInteger(value)) throw new BadBytes("a number that is too large", this.#at - 8);
    return value;
  }

  i64(): bigint {
    return this.#view.getBigInt64(this.#take(8), true);
  }

  text(): string {
    const bytes = this.raw(this.#view.getUint16(this.#take(2), true));
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw new BadBytes("text that is not UTF-8", this.#at - bytes.length);
    }
  }

  bytes(): Uint8Array {
    return this.raw(this.u32());
  }

  /** A copy of the next bytes. */
  raw(length: number): Uint8Array {
    const at = this.#take(length);
    // Not `slice`, which copies nothing where it is a Buffer.
    return new Uint8Array(this.#bytes.subarray(at, at + length));
  }

  /** Nothing may be left. */
  end(): void {
    if (this.#at < this.#bytes.length) throw new BadBytes("more than there should be", this.#at);
  }

  #take(length: number): number {
    const at = this.#at;
    if (at + length > this.#bytes.length) throw new BadBytes("less than there should be", at);
    this.#at += length;
    return at;
  }
}
