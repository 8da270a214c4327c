/** Upper case, words and lines of a text, byte by byte, into a second buffer. */
let base: usize = 0;
let copy: usize = 0;

export function main(n: i64): i64 {
  const size = <usize>n;
  if (base == 0) {
    base = heap.alloc(size);
    copy = heap.alloc(size);
    let x: u32 = 3;
    for (let i: usize = 0; i < size; i++) {
      x = x * 1664525 + 1013904223;
      const r = x >>> 24;
      store<u8>(base + i, r < 30 ? 32 : r < 34 ? 10 : 97 + (r % 26));
    }
  }
  let words = 0,
    lines = 0;
  let inside = false;
  for (let i: usize = 0; i < size; i++) {
    let c = load<u8>(base + i);
    if (c == 10) lines++;
    const letter = c > 32;
    if (letter && !inside) words++;
    inside = letter;
    if (c >= 97 && c <= 122) c -= 32;
    store<u8>(copy + i, c);
  }
  return ((<i64>words) << 32) | lines;
}
