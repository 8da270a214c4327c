/** A stack machine: one loop with a switch, registers and code in memory. */
const code: StaticArray<u8> = [0, 1, 2, 3, 1, 4, 0, 3, 5, 6, 1, 2, 7, 4, 3, 0, 8];
const stack = new StaticArray<i32>(64);

export function main(n: i64): i64 {
  let pc = 0,
    sp = 0,
    counter = <i32>n;
  let acc = 1;
  while (true) {
    switch (unchecked(code[pc++])) {
      case 0:
        unchecked((stack[sp++] = acc));
        break;
      case 1:
        acc = acc * 31 + 7;
        break;
      case 2:
        acc ^= acc >>> 3;
        break;
      case 3:
        if (sp > 0) acc += unchecked(stack[--sp]);
        break;
      case 4:
        acc = rotl(acc, 5);
        break;
      case 5:
        unchecked((stack[sp & 63] = acc & 0xff));
        break;
      case 6:
        acc -= unchecked(stack[sp & 63]);
        break;
      case 7:
        acc = ~acc;
        break;
      case 8:
        if (--counter <= 0) return acc;
        pc = 0;
        sp = 0;
        break;
      default:
        unreachable();
    }
  }
}
