/**
 * A cursor over bytes from outside: metadata of a block, or what a parent copied in. Every read is
 * bounds-checked and aborts with what was missing and where; integers are little-endian. `bytes` and `u256`
 * give addresses, nothing is copied.
 *
 *   const block = new Block(region, length);
 *   block.expect(1, "version");
 *   const count = block.u32();
 *   const entries = block.records(count, 64, "entries");
 *   block.end();
 */
export class Block {
  private cursor: usize;

  constructor(
    private start: usize,
    private length: u32,
  ) {
    this.cursor = start;
  }

  /** Reads other bytes from now on. */
  reset(start: usize, length: u32): Block {
    this.start = start;
    this.length = length;
    this.cursor = start;
    return this;
  }

  /** Bytes read so far. */
  get offset(): u32 {
    return <u32>(this.cursor - this.start);
  }

  /** Bytes left. */
  get remaining(): u32 {
    return this.length - this.offset;
  }

  u8(): u8 {
    return load<u8>(this.take(1));
  }

  u16(): u16 {
    return load<u16>(this.take(2));
  }

  u32(): u32 {
    return load<u32>(this.take(4));
  }

  u64(): u64 {
    return load<u64>(this.take(8));
  }

  i64(): i64 {
    return load<i64>(this.take(8));
  }

  f64(): f64 {
    return load<f64>(this.take(8));
  }

  /** The address of 32 bytes, a little-endian u256 for class U256. */
  u256(): usize {
    return this.take(32);
  }

  /** The address of the next `length` bytes. */
  bytes(length: u32): usize {
    return this.take(length);
  }

  /** The address of `count` records of `size` bytes. */
  records(count: u32, size: u32, what: string): usize {
    if (<u64>count * <u64>size > <u64>this.remaining) {
      throw new Error(
        `block: truncated: ${count} ${what} of ${size} bytes at ${this.offset} of ${this.length}`,
      );
    }
    return this.take(count * size);
  }

  /** Reads a u32 that must have this value. */
  expect(value: u32, what: string): void {
    const found = this.u32();
    if (found != value) throw new Error(`block: ${what}: expected ${value}, got ${found}`);
  }

  /** Reads bytes that must be zero. */
  zeros(length: u32, what: string): void {
    const from = this.take(length);
    for (let i: u32 = 0; i < length; i++) if (load<u8>(from + i)) throw new Error(`block: ${what}: not zero`);
  }

  /** Must have read everything. */
  end(): void {
    if (this.remaining) throw new Error(`block: ${this.remaining} bytes too many at ${this.offset}`);
  }

  @inline
  private take(length: u32): usize {
    const at = this.cursor;
    if (length > this.remaining) this.truncated(length);
    this.cursor = at + length;
    return at;
  }

  private truncated(length: u32): void {
    throw new Error(`block: truncated: ${length} bytes at ${this.offset} of ${this.length}`);
  }
}
