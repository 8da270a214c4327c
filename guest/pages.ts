/**
 * Memory for good: nothing given out here is freed or moved. Beginning buffers on a page lets COPY share
 * whole pages between processes instead of copying bytes.
 */

/** Unit of storage and sharing. */
export const PAGE_BYTES: u32 = 4096;

/** What ASC_RUNTIME is with --runtime stub: memory that was never handed out before is zero. */
export const STUB_RUNTIME: i32 = 0;

/**
 * `length` zero bytes at an address divisible by 4096, in pages shared with nothing else. Aborts when memory
 * cannot grow.
 */
export function allocatePages(length: u32): usize {
  if (length > 0x7fff0000) throw new Error("allocatePages: longer than memory can be");
  const whole = (<usize>length + PAGE_BYTES - 1) & ~(<usize>PAGE_BYTES - 1);
  const block = heap.alloc(whole + PAGE_BYTES);
  const address = (block + PAGE_BYTES - 1) & ~(<usize>PAGE_BYTES - 1);
  // The stub runtime hands out fresh memory, which is zero; writing zeros would only make pages dirty.
  if (ASC_RUNTIME != STUB_RUNTIME) memory.fill(address, 0, whole);
  return address;
}

/** A page-aligned buffer that is replaced by a larger one when needed; its contents are not kept then. */
export class PageBuffer {
  address: usize = 0;
  capacity: u32 = 0;

  /** The address of at least `length` bytes. Contents: whatever was there. */
  reserve(length: u32): usize {
    if (length > this.capacity || this.address == 0) {
      const doubled = this.capacity > 0x20000000 ? length : max<u32>(length, this.capacity * 2);
      this.capacity = (max<u32>(doubled, 1) + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
      this.address = allocatePages(this.capacity);
    }
    return this.address;
  }
}
