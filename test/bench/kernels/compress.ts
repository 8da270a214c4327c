/** A byte compressor in the manner of LZ4: hash table of positions, literals and matches. */
let source: usize = 0;
let target: usize = 0;
let table: usize = 0;
const SIZE: usize = 1 << 18;

export function main(n: i64): i64 {
  if (source == 0) {
    source = heap.alloc(SIZE + 64);
    target = heap.alloc(SIZE * 2);
    table = heap.alloc(4 << 12);
    let x: u32 = 1;
    for (let i: usize = 0; i < SIZE; i++) {
      x = x * 1103515245 + 12345;
      store<u8>(
        source + i,
        x >>> 28 < 11 && i > 64 ? load<u8>(source + i - 37 - ((x >>> 20) & 3)) : <u8>(x >>> 24),
      );
    }
  }
  let out: usize = 0;
  for (let round: i64 = 0; round < n; round++) {
    memory.fill(table, 0, 4 << 12);
    let at: usize = 0,
      anchor: usize = 0;
    out = 0;
    while (at < SIZE - 16) {
      const word = load<u32>(source + at);
      const slot = table + (((word * 2654435761) >>> 20) << 2);
      const before = <usize>load<u32>(slot);
      store<u32>(slot, <u32>at);
      if (before < at && at - before < 65535 && load<u32>(source + before) == word) {
        let length: usize = 4;
        while (at + length < SIZE && load<u8>(source + before + length) == load<u8>(source + at + length))
          length++;
        const literals = at - anchor;
        store<u8>(target + out++, <u8>literals);
        for (let i: usize = 0; i < literals; i++) store<u8>(target + out++, load<u8>(source + anchor + i));
        store<u16>(target + out, <u16>(at - before));
        store<u8>(target + out + 2, <u8>length);
        out += 3;
        at += length;
        anchor = at;
      } else {
        at++;
      }
    }
  }
  return <i64>out;
}
