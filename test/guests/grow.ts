/**
 * Memory growth. `run(step)` grows by `step` Wasm pages until it is refused and returns the size reached;
 * `by(pages)` grows once and returns what memory.grow gave; `size(0)` returns the size; `touch(0)` writes one
 * word into each 64 KiB page and returns their number; `growAndTrap(pages)` grows, writes to the new end and
 * faults with unreachable.
 */

export function run(step: i64): i64 {
  while (memory.grow(<i32>step) >= 0) {}
  return memory.size();
}

export function by(pages: i64): i64 {
  return memory.grow(<i32>pages);
}

export function size(argument: i64): i64 {
  return memory.size();
}

export function touch(argument: i64): i64 {
  const pages = memory.size();
  for (let page: i32 = 1; page < pages; page++) store<u64>(((<usize>page) << 16) + 8, 0x1234567890 + page);
  return pages;
}

export function growAndTrap(pages: i64): i64 {
  memory.grow(<i32>pages);
  store<u8>(((<usize>memory.size()) << 16) - 1, 7);
  unreachable();
  return 0;
}
