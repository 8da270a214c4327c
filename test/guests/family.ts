/**
 * A process of a family, for tests of children in items. It executes scripts of raw calls as test/driver.ts
 * writes them: as an item (`item`: the script is the input, its results the output), and as a child (`run`:
 * the script lies where the argument says, its results go to RESULTS).
 *
 * Commands by number: 1 PUT, 2 GET, 3 RET, 4 SNAPSHOT, 5 OUT, 7 STORE, 8 LOAD, 10 GROW, 12 ABORT, 13 TRAP,
 * 14 SPIN, 17 COUNT, which adds d to a global and gives it, and 18 ACCUMULATE (b address of the request).
 */

import { accumulate, get, put, ret, snapshot } from "../../guest/stillpoint.ts";

export const STATE_BYTES: u32 = 65536;

const INBOX: usize = 0x10000;
const OUTBOX: usize = 0x18000;
const RESULTS: usize = 0x100000;

/** Set by the start function, so that it is seen to have run: it counts in the state. */
let counter: i64 = 100;
store<i64>(0x8000, load<i64>(0x8000) + 1);

export function item(length: i64): i64 {
  const end = execute(INBOX, OUTBOX + 4);
  store<u32>(OUTBOX, end);
  return end;
}

export function run(script: i64): i64 {
  return execute(<usize>script, RESULTS);
}

export function idle(argument: i64): i64 {
  return argument;
}

function execute(script: usize, results: usize): u32 {
  const count = load<u32>(script);
  const values = results + 8;
  let end = 8 + count * 8;
  for (let i: u32 = 0; i < count; i++) {
    const command = script + 32 + i * 32;
    const a = load<u32>(command, 4);
    const b = load<u32>(command, 8);
    const d = load<i64>(command, 16);
    let result: i64 = 0;
    switch (load<u32>(command)) {
      case 1:
        result = put(a, b);
        break;
      case 2:
        result = get(a, b);
        break;
      case 3:
        result = ret(d);
        break;
      case 4:
        result = snapshot(b);
        break;
      case 5:
        memory.copy(results + end, a, b);
        end += b;
        result = b;
        break;
      case 7:
        store<i64>(a, d);
        break;
      case 8:
        result = load<i64>(a);
        break;
      case 10:
        result = memory.grow(a);
        break;
      case 12:
        throw new Error("family: as told");
      case 13:
        unreachable();
      case 14:
        for (let turn: u32 = 0; turn < a; turn++) counter ^= counter << 1;
        break;
      case 17:
        counter += d;
        result = counter;
        break;
      case 18:
        result = accumulate(b);
        break;
      default:
        throw new Error("family: unknown command");
    }
    store<i64>(values + i * 8, result);
  }
  store<u32>(results, count);
  store<u32>(results, end - 8 - count * 8, 4);
  return end;
}
