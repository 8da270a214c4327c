/**
 * What `debug` prints, in tests and traces. After a call has run, it is run again on a copy of the state, by
 * a second program in which `debug` prints, not instrumented. So gas, hashes and outcomes are those of the
 * real program. The two programs differ only in their prints.
 */

import * as abi from "../../syscalls/abi.ts";

/** Takes what is printed: file, line and text. */
export type Print = (text: string) => void;

export class Printer {
  readonly #module: WebAssembly.Module;
  readonly #print: Print;

  constructor(program: Uint8Array, print: Print) {
    this.#module = new WebAssembly.Module(program as Uint8Array<ArrayBuffer>);
    this.#print = print;
  }

  /** Runs the entry with an input on a copy of this state, and prints; the state where it ended. */
  run(entry: string, state: Uint8Array, input: Uint8Array): Uint8Array {
    let memory = new WebAssembly.Memory({ initial: 0 });
    const text = (address: number): string => {
      const length = new DataView(memory.buffer).getUint32(address - 4, true);
      return Buffer.from(memory.buffer, address, length).toString("utf16le");
    };
    const ended = (): never => {
      throw new Ended();
    };
    const calls = { put: ended, get: ended, ret: ended, snapshot: ended };
    const { exports } = new WebAssembly.Instance(this.#module, {
      env: { abort: ended },
      stillpoint: { ...calls, accumulate: (request: number) => accumulate(memory.buffer, request) },
      debug: {
        print: (file: number, line: number, said: number) =>
          this.#print(`${text(file)}:${line}: ${text(said)}`),
      },
    });
    memory = exports.memory as WebAssembly.Memory;
    const bytes = new Uint8Array(memory.buffer);
    bytes.set(state);
    bytes.set(input, state.length);
    try {
      (exports[entry] as (length: bigint) => bigint)(BigInt(input.length));
    } catch (error) {
      const isOfGuest = error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
      if (!(error instanceof Ended) && !isOfGuest) throw error;
    }
    return bytes.subarray(0, state.length);
  }
}

/** Ends the run: the guest has aborted, or made a call that a contract does not make. */
class Ended extends Error {}

/** The call `accumulate`: see guest/accumulate.ts. */
function accumulate(memory: ArrayBuffer, request: number): number {
  const view = new DataView(memory);
  const field = (offset: number): number => view.getUint32(request + offset, true);
  const width = field(abi.ACCUMULATE_WIDTH);
  const integer = (at: number): bigint => {
    const bytes = Buffer.from(memory, at, width);
    return BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
  };
  const [flags, address] = [field(abi.ACCUMULATE_FLAGS), field(abi.ACCUMULATE_ADDRESS)];
  const delta = integer(request + abi.ACCUMULATE_DELTA);
  const isBounded = (flags & abi.ACCUMULATE_BOUNDED) !== 0;
  const minimum = isBounded ? integer(request + abi.ACCUMULATE_MINIMUM) : 0n;
  const maximum = isBounded ? integer(request + abi.ACCUMULATE_MAXIMUM) : (1n << BigInt(8 * width)) - 1n;
  const sum = integer(address) + ((flags & abi.ACCUMULATE_SUBTRACT) === 0 ? delta : -delta);
  if (sum < minimum || sum > maximum) return 0;
  const hex = sum.toString(16).padStart(2 * width, "0");
  Buffer.from(memory, address, width).set(Buffer.from(hex, "hex").reverse());
  return 1;
}
