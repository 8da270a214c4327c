/**
 * The EVM of the example as a plain module in Node, without the runtime: not instrumented, one transaction
 * after the other, in a loop of its own. What the runtime costs is measured against it, and tests of the
 * EVM's rules run on it by the thousand.
 */

import { decodeReceipt, type Receipt } from "./receipt.ts";

interface Exports {
  readonly memory: WebAssembly.Memory;
  prepare(length: bigint): bigint;
  boxes(argument: bigint): bigint;
  begin(length: bigint): bigint;
  transact(length: bigint): bigint;
  forget(argument: bigint): bigint;
  finish(argument: bigint): bigint;
  records(argument: bigint): bigint;
}

interface SenderExports {
  readonly memory: WebAssembly.Memory;
  boxes(argument: bigint): bigint;
  recover(length: bigint): bigint;
}

/** The guest called abort; an instance that did is of no use any more. */
export class PlainAbort extends Error {}

export class PlainEvm {
  readonly #exports: Exports;
  readonly #inbox: number;
  readonly #outbox: number;

  /** `trace`: the imports of guest/trace.ts, for the program that has them. */
  constructor(module: WebAssembly.Module, trace: WebAssembly.ModuleImports = {}) {
    const abort = (message: number, file: number, line: number): void => {
      throw new PlainAbort(`${this.#string(message)} (${this.#string(file)}:${line})`);
    };
    const none = (): never => {
      throw new Error("the EVM calls nothing but accumulate");
    };
    const accumulate = (request: number): number => this.#accumulate(request);
    const instance = new WebAssembly.Instance(module, {
      env: { abort },
      stillpoint: { accumulate, put: none, get: none },
      trace,
    });
    this.#exports = instance.exports as unknown as Exports;
    const boxes = this.#exports.boxes(0n);
    this.#inbox = Number(boxes & 0xffffffffn);
    this.#outbox = Number(boxes >> 32n);
  }

  /** Its memory. */
  get bytes(): Buffer {
    return Buffer.from(this.#exports.memory.buffer);
  }

  /** Takes the message of a block, but for its transactions. */
  begin(message: Uint8Array): void {
    const at = Number(this.#exports.prepare(BigInt(message.length)));
    this.bytes.set(message, at);
    this.#exports.begin(BigInt(message.length));
  }

  /** Runs a transaction of a sender (a word); its receipt, or why it is not valid. */
  transact(sender: Uint8Array, transaction: Uint8Array): Receipt | bigint {
    const bytes = this.bytes;
    bytes.set(sender, this.#inbox);
    bytes.set(transaction, this.#inbox + 32);
    const code = this.#exports.transact(BigInt(32 + transaction.length));
    const receipt = code === 0n ? decodeReceipt(this.bytes.subarray(this.#outbox + 4)) : code;
    this.#exports.forget(0n);
    return receipt;
  }

  finish(): void {
    this.#exports.finish(0n);
  }

  /** All accounts and slots of the block: 132 bytes each, a u32 number and the record (world.ts). */
  records(): Buffer {
    const at = Number(this.#exports.records(0n));
    const bytes = this.bytes;
    return Buffer.from(bytes.subarray(at + 4, at + 4 + 132 * bytes.readUInt32LE(at)));
  }

  /** Adds 32 bytes to 32 bytes, as the call of that name does without bounds (syscalls/README.md). */
  #accumulate(request: number): number {
    const view = new DataView(this.#exports.memory.buffer);
    const target = view.getUint32(request + 8, true);
    let carry = 0n;
    for (let at = 0; at < 32; at += 8) {
      const sum = view.getBigUint64(target + at, true) + view.getBigUint64(request + 16 + at, true) + carry;
      view.setBigUint64(target + at, BigInt.asUintN(64, sum), true);
      carry = sum >> 64n;
    }
    return 1;
  }

  #string(pointer: number): string {
    if (pointer === 0) return "";
    const bytes = this.bytes;
    return bytes.toString("utf16le", pointer, pointer + bytes.readUInt32LE(pointer - 4));
  }
}

/** The recovery of senders, in the same way. */
export class PlainSenders {
  readonly #exports: SenderExports;
  readonly #inbox: number;
  readonly #outbox: number;

  constructor(module: WebAssembly.Module) {
    const abort = (): never => {
      throw new PlainAbort("the recovery of senders called abort");
    };
    const instance = new WebAssembly.Instance(module, { env: { abort } });
    this.#exports = instance.exports as unknown as SenderExports;
    const boxes = this.#exports.boxes(0n);
    this.#inbox = Number(boxes & 0xffffffffn);
    this.#outbox = Number(boxes >> 32n);
  }

  /** The address of who signed a transaction, as a word, or why it is not valid. */
  recover(transaction: Uint8Array): Uint8Array | bigint {
    const bytes = Buffer.from(this.#exports.memory.buffer);
    bytes.set(transaction, this.#inbox);
    const code = this.#exports.recover(BigInt(transaction.length));
    if (code !== 0n) return code;
    return Uint8Array.from(bytes.subarray(this.#outbox + 4, this.#outbox + 36));
  }
}
