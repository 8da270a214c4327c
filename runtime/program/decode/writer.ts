/**
 * Writes the WebAssembly binary format into a buffer that grows. Numbers are written in their shortest form.
 */

const utf8 = new TextEncoder();

export class Writer {
  #bytes: Uint8Array;
  length = 0;

  constructor(capacity = 1024) {
    this.#bytes = new Uint8Array(capacity);
  }

  #reserve(count: number): void {
    const need = this.length + count;
    if (need <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(need, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.length));
    this.#bytes = grown;
  }

  u8(value: number): void {
    if (this.length === this.#bytes.length) this.#reserve(1);
    this.#bytes[this.length++] = value;
  }

  u32(value: number): void {
    let rest = value >>> 0;
    while (rest >= 0x80) {
      this.u8((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.u8(rest);
  }

  s32(value: number): void {
    let rest = value | 0;
    while (rest < -64 || rest > 63) {
      this.u8((rest & 0x7f) | 0x80);
      rest >>= 7;
    }
    this.u8(rest & 0x7f);
  }

  s64(value: bigint): void {
    let rest = BigInt.asIntN(64, value);
    while (rest < -64n || rest > 63n) {
      this.u8(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.u8(Number(rest & 0x7fn));
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.length);
    this.length += value.length;
  }

  name(value: string): void {
    const encoded = utf8.encode(value);
    this.u32(encoded.length);
    this.bytes(encoded);
  }

  /** `content` preceded by its length. */
  sized(content: Writer): void {
    this.u32(content.length);
    this.bytes(content.view());
  }

  section(id: number, content: Writer): void {
    this.u8(id);
    this.sized(content);
  }

  clear(): void {
    this.length = 0;
  }

  /** What has been written; valid until the next write. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.length);
  }
}
