/** Quicksort of u32 in memory, in the plain way; shared by the guests that sort. */

export function fillRandom(numbers: usize, count: i32, seed: u64): void {
  let state = seed;
  for (let i = 0; i < count; i++) {
    state = state * 6364136223846793005 + 1442695040888963407;
    store<u32>(numbers + ((<usize>i) << 2), <u32>(state >> 32));
  }
}

/** Splits [low, high), at least two numbers, in two: the first part's are at most the second's. Its end. */
export function partition(numbers: usize, low: i32, high: i32): i32 {
  const pivot = load<u32>(numbers + ((<usize>((low + high - 1) >> 1)) << 2));
  let left = numbers + ((<usize>low) << 2);
  let right = numbers + ((<usize>(high - 1)) << 2);
  while (true) {
    while (load<u32>(left) < pivot) left += 4;
    while (load<u32>(right) > pivot) right -= 4;
    if (left >= right) return <i32>((right - numbers) >> 2) + 1;
    const a = load<u32>(left);
    store<u32>(left, load<u32>(right));
    store<u32>(right, a);
    left += 4;
    right -= 4;
  }
}

export function quicksort(numbers: usize, low: i32, high: i32): void {
  while (high - low > 12) {
    const middle = partition(numbers, low, high);
    if (middle - low < high - middle) {
      quicksort(numbers, low, middle);
      low = middle;
    } else {
      quicksort(numbers, middle, high);
      high = middle;
    }
  }
  for (let i = low + 1; i < high; i++) {
    const value = load<u32>(numbers + ((<usize>i) << 2));
    let at = i;
    while (at > low && load<u32>(numbers + ((<usize>(at - 1)) << 2)) > value) {
      store<u32>(numbers + ((<usize>at) << 2), load<u32>(numbers + ((<usize>(at - 1)) << 2)));
      at--;
    }
    store<u32>(numbers + ((<usize>at) << 2), value);
  }
}
