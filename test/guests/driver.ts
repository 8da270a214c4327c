/**
 * A generic program that executes scripts of raw calls: as the root (entry `main`, a script per block's
 * metadata) and as a child (entry `run`, argument: address of a script that the parent copied in). Host side:
 * test/driver.ts.
 *
 * Fixed addresses (80 Wasm pages of initial memory; nothing else of the program lies at or above 0x100000):
 *   0x100000  REGION, 1 MiB: where the metadata of each block is written
 *   0x200000  SCRATCH, 1 MiB: free for scripts, never touched by the driver itself
 *   0x300000  RESULTS, 2 MiB: what the last script gave; the root hands it over as the block's data
 *
 * Script, little-endian, at an address divisible by 8:
 *   0   u32 commandCount · u32 zero · 24 bytes zero
 *   32  commandCount × 32 bytes: u32 op · u32 a · u32 b · u32 c · i64 d · i64 zero (counter of LOOP)
 *   ..  anything else (requests, ranges, names, bytes), addressed absolutely by the commands
 *
 * op          fields                                      result
 *  1 PUT      a child, b address of the request           0 or an error code
 *  2 GET      a child, b address of the request           0 or an error code
 *  3 RET      d code                                      argument of the next START
 *  4 SNAPSHOT b address of the request                    length of the metadata, or an error code
 *  5 OUT      a address, b length                         b; appends these bytes to the output
 *  6 FILL     a address, b length, c byte                 0
 *  7 STORE    a address, d value                          0; eight bytes
 *  8 LOAD     a address                                   the eight bytes there
 *  9 COPY     a target, b source, c length                0
 * 10 GROW     a Wasm pages                                earlier size in Wasm pages, or -1
 * 11 SIZE                                                 size in Wasm pages
 * 12 ABORT                                                faults with abort, message "driver: command ABORT"
 * 13 TRAP                                                 faults with unreachable
 * 14 SPIN     a rounds; 0: without end                    0; burns gas
 * 15 LOOP     a number of a command, b times              0; goes back to command a until b passes are made
 * 16 SKIP     a commands, d value                         0; leaves out the next a if the last result was d
 *
 * Results:
 *   0   u32 commandCount · u32 outputLength
 *   8   commandCount × i64: the last result of each command, zero where it did not run
 *   ..  outputLength bytes, what OUT appended in order
 *
 * An unknown op, a script that does not fit or an output that does not fit aborts.
 */

import {
  ABI_VERSION,
  SNAPSHOT_DATA_LENGTH,
  SNAPSHOT_DATA_POINTER,
  SNAPSHOT_REGION_CAPACITY,
} from "../../syscalls/abi.ts";
import { SNAPSHOT_REGION_POINTER, SNAPSHOT_SIZE, SNAPSHOT_VERSION } from "../../syscalls/abi.ts";
import { get, put, ret, snapshot } from "../../guest/stillpoint.ts";

const REGION: usize = 0x100000;
const REGION_CAPACITY: u32 = 0x100000;
const RESULTS: usize = 0x300000;
const RESULTS_CAPACITY: u32 = 0x200000;
const HEADER: u32 = 32;
const COMMAND: u32 = 32;

const request: usize = memory.data(SNAPSHOT_SIZE, 8);
let burned: u64 = 0;

/** Root: block after block, each a script. Block 0 carries no data. */
export function main(argument: i64): i64 {
  let dataLength: u32 = 0;
  while (true) {
    memory.fill(request, 0, SNAPSHOT_SIZE);
    store<u32>(request, ABI_VERSION, SNAPSHOT_VERSION);
    store<u32>(request, <u32>RESULTS, SNAPSHOT_DATA_POINTER);
    store<u32>(request, dataLength, SNAPSHOT_DATA_LENGTH);
    store<u32>(request, <u32>REGION, SNAPSHOT_REGION_POINTER);
    store<u32>(request, REGION_CAPACITY, SNAPSHOT_REGION_CAPACITY);
    const length = snapshot(request);
    if (length < 0) throw new Error("driver: snapshot failed");
    if (length == 0) {
      dataLength = 0;
      continue;
    }
    if (<u32>length < HEADER || load<u32>(REGION) > (<u32>length - HEADER) / COMMAND)
      throw new Error("driver: script too short");
    dataLength = execute(REGION);
  }
}

/** Child: runs the script at `argument`, returns the length of the results at RESULTS. */
export function run(argument: i64): i64 {
  return execute(<usize>argument);
}

function execute(script: usize): u32 {
  const count = load<u32>(script);
  if (count > (RESULTS_CAPACITY - 8) / 8) throw new Error("driver: too many commands");
  const values = RESULTS + 8;
  memory.fill(values, 0, count * 8);
  let end = 8 + count * 8;
  let previous: i64 = 0;
  let i: u32 = 0;
  while (i < count) {
    const command = script + HEADER + i * COMMAND;
    const a = load<u32>(command, 4);
    const b = load<u32>(command, 8);
    const c = load<u32>(command, 12);
    const d = load<i64>(command, 16);
    let result: i64 = 0;
    let next = i + 1;
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
        if (b > RESULTS_CAPACITY - end) throw new Error("driver: output too long");
        memory.copy(RESULTS + end, a, b);
        end += b;
        result = b;
        break;
      case 6:
        memory.fill(a, <u8>c, b);
        break;
      case 7:
        store<i64>(a, d);
        break;
      case 8:
        result = load<i64>(a);
        break;
      case 9:
        memory.copy(a, b, c);
        break;
      case 10:
        result = memory.grow(a);
        break;
      case 11:
        result = memory.size();
        break;
      case 12:
        throw new Error("driver: command ABORT");
        break;
      case 13:
        unreachable();
        break;
      case 14:
        spin(a);
        break;
      case 15: {
        const passes = load<u64>(command, 24) + 1;
        const again = passes < <u64>b;
        store<u64>(command, again ? passes : 0, 24);
        if (again) next = a;
        break;
      }
      case 16:
        if (previous == d) next += a;
        break;
      default:
        throw new Error("driver: unknown command");
    }
    store<i64>(values + i * 8, result);
    previous = result;
    i = next;
  }
  store<u32>(RESULTS, count);
  store<u32>(RESULTS, end - 8 - count * 8, 4);
  return end;
}

function spin(rounds: u32): void {
  if (rounds == 0) while (true) burned += 1;
  let state = burned;
  for (let i: u32 = 0; i < rounds; i++) state = state * 6364136223846793005 + 1442695040888963407;
  burned = state;
}
