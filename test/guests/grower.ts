/** Its start function makes the memory two pages larger, and writes there; an item tells what it finds. */

export const STATE_BYTES: u32 = 65536;

const before: i32 = memory.grow(2);
store<u64>(<usize>before * 65536, 5);

export function run(length: i64): i64 {
  const at = <usize>before * 65536;
  store<u64>(at, load<u64>(at) + 1);
  return memory.size() * 1000 + load<u64>(at);
}
