/** Quicksort of n random i32, recursive. */
let base: usize = 0;

function sort(low: i32, high: i32): void {
  while (low < high) {
    const pivot = load<i32>(base + ((<usize>((low + high) >> 1)) << 2));
    let i = low,
      j = high;
    while (i <= j) {
      while (load<i32>(base + ((<usize>i) << 2)) < pivot) i++;
      while (load<i32>(base + ((<usize>j) << 2)) > pivot) j--;
      if (i <= j) {
        const t = load<i32>(base + ((<usize>i) << 2));
        store<i32>(base + ((<usize>i) << 2), load<i32>(base + ((<usize>j) << 2)));
        store<i32>(base + ((<usize>j) << 2), t);
        i++;
        j--;
      }
    }
    if (j - low < high - i) {
      sort(low, j);
      low = i;
    } else {
      sort(i, high);
      high = j;
    }
  }
}

export function main(n: i64): i64 {
  if (base == 0) base = heap.alloc(4 * 1000000);
  let x: u32 = 12345;
  for (let i = 0; i < <i32>n; i++) {
    x = x * 1664525 + 1013904223;
    store<i32>(base + ((<usize>i) << 2), <i32>(x >>> 1));
  }
  sort(0, <i32>n - 1);
  return load<i32>(base + 4000);
}
