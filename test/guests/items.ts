/**
 * Items of batches that do what their input says: operations of 16 bytes each, u32 what · u32 a · u64 b. The
 * state is the first 128 KiB; whatever an operation names may also lie in private memory, or nowhere.
 */

export const STATE_BYTES: u32 = 0x20000;

const INBOX: usize = STATE_BYTES;
const OUTBOX: usize = STATE_BYTES + 0x8000;

/** Private, and initialised by the start function. */
let counter: u64 = load<u64>(8) + 5;
store<u64>(16, 77);

let outputLength: u32 = 0;

function out(value: u64): void {
  store<u64>(OUTBOX + 4 + outputLength, value);
  outputLength += 8;
  store<u32>(OUTBOX, outputLength);
}

/** Runs the operations; the result is that of STOP, else how many there were. */
export function run(length: i64): i64 {
  const count = <u32>length / 16;
  for (let i: u32 = 0; i < count; i++) {
    const at = INBOX + i * 16;
    const a = <usize>load<u32>(at, 4);
    const b = load<u64>(at, 8);
    switch (load<u32>(at)) {
      case 1: // ADD
        store<u64>(a, load<u64>(a) + b);
        break;
      case 2: // SET, a byte
        store<u8>(a, <u8>b);
        break;
      case 3: // FILL: low half of b bytes with its high half
        memory.fill(a, <u8>(b >> 32), <u32>b);
        break;
      case 4: // COPY from the low half of b, as many bytes as its high half
        memory.copy(a, <u32>b, <u32>(b >> 32));
        break;
      case 5: // OUT
        out(load<u64>(a));
        break;
      case 6: // LENGTH of the output becomes a
        store<u32>(OUTBOX, <u32>a);
        break;
      case 7: // ABORT
        abort("as told", "items", <i32>a, <i32>b);
        break;
      case 8: // TRAP
        unreachable();
        break;
      case 9: // SPIN
        for (let turn: u64 = 0; turn < b; turn++) counter ^= counter << 1;
        break;
      case 10: // GROW
        out(<u32>memory.grow(<i32>a));
        break;
      case 11: // COUNT, in a global
        counter += b;
        out(counter);
        break;
      case 12: {
        // ALLOCATE
        const bytes = new Uint8Array(<i32>a);
        bytes[0] = <u8>b;
        out(changetype<usize>(bytes));
        break;
      }
      case 13: // SKIP the next operation if the value at a is b
        if (load<u64>(a) == b) i++;
        break;
      case 14: // DIVIDE
        out(b / load<u64>(a));
        break;
      case 15: // STOP
        return b;
    }
  }
  return count;
}

/** Does nothing. */
export function idle(argument: i64): i64 {
  return argument;
}
