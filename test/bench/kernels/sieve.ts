/** Primes below n by the sieve of Eratosthenes, a byte for each number. */
let base: usize = 0;

export function main(n: i64): i64 {
  const size = <u32>n;
  if (base == 0) base = heap.alloc(4000000);
  memory.fill(base, 1, size);
  let count = 0;
  for (let i: u32 = 2; i < size; i++) {
    if (load<u8>(base + i) == 0) continue;
    count++;
    for (let j = i + i; j < size; j += i) store<u8>(base + j, 0);
  }
  return count;
}
