/**
 * A memory of any size whose pages are written here and there. `fill(mebibytes)` makes it, `dirty(pages)`
 * writes into scattered pages. What they hold depends on the upper half of fill's argument.
 */

const FIRST: usize = 0x10000;
let round: u32 = 0;
let pages: u32 = 0;

export function fill(argument: i64): i64 {
  const mebibytes = <i32>argument;
  const seed = <u32>(argument >> 32) * 0x9e3779b1;
  round = seed;
  if (memory.grow(<i32>mebibytes * 16 + 1 - memory.size()) < 0) abort("dirty: no memory");
  pages = <u32>mebibytes * 256;
  for (let i: u32 = 0; i < pages; i++) {
    for (let j: u32 = 0; j < 4096; j += 8)
      store<u64>(FIRST + <usize>i * 4096 + j, ((<u64>(i ^ seed)) << 32) | (j + 1));
  }
  return pages;
}

export function dirty(count: i64): i64 {
  // 0x9e3779b1 is odd: page numbers do not repeat within a round as long as pages is a power of two.
  for (let i: u32 = 0; i < <u32>count; i++) {
    const page = (++round * 0x9e3779b1) & (pages - 1);
    store<u64>(FIRST + <usize>page * 4096 + (<usize>(round * 56) & 0xff8), round);
  }
  return round;
}
