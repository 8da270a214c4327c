/** Pancake flips of all permutations of n numbers (the Computer Language Benchmarks Game). */
export function main(n: i64): i64 {
  const size = <i32>n;
  const perm = new StaticArray<i32>(size);
  const perm1 = new StaticArray<i32>(size);
  const count = new StaticArray<i32>(size);
  let flips = 0,
    checksum = 0,
    r = size,
    number = 0;
  for (let i = 0; i < size; i++) unchecked((perm1[i] = i));
  while (true) {
    while (r != 1) {
      unchecked((count[r - 1] = r));
      r--;
    }
    for (let i = 0; i < size; i++) unchecked((perm[i] = perm1[i]));
    let flip = 0;
    let k = unchecked(perm[0]);
    while (k != 0) {
      const half = (k + 1) >> 1;
      for (let i = 0; i < half; i++) {
        const t = unchecked(perm[i]);
        unchecked((perm[i] = perm[k - i]));
        unchecked((perm[k - i] = t));
      }
      flip++;
      k = unchecked(perm[0]);
    }
    flips = max(flips, flip);
    checksum += (number & 1) == 0 ? flip : -flip;
    while (true) {
      if (r == size) return ((<i64>checksum) << 32) | flips;
      const first = unchecked(perm1[0]);
      for (let i = 0; i < r; i++) unchecked((perm1[i] = perm1[i + 1]));
      unchecked((perm1[r] = first));
      if (unchecked(--count[r]) > 0) break;
      r++;
    }
    number++;
  }
}
