/** The 64 bytes of a line. */

export function copyLine(to: usize, from: usize): void {
  v128.store(to, v128.load(from));
  v128.store(to, v128.load(from, 16), 16);
  v128.store(to, v128.load(from, 32), 32);
  v128.store(to, v128.load(from, 48), 48);
}

export function sameLine(a: usize, b: usize): bool {
  const low = v128.or(v128.xor(v128.load(a), v128.load(b)), v128.xor(v128.load(a, 16), v128.load(b, 16)));
  const high = v128.or(
    v128.xor(v128.load(a, 32), v128.load(b, 32)),
    v128.xor(v128.load(a, 48), v128.load(b, 48)),
  );
  return !v128.any_true(v128.or(low, high));
}

export function clearLine(to: usize): void {
  memory.fill(to, 0, 64);
}
