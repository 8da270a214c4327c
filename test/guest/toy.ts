/**
 * A toy of the four calls for tests of guests: enough that a root and its children can talk, nothing of what
 * the runtime promises. A started child runs at once, on the same stack; there is no gas, no quota, no
 * falling back, no RET, and SNAPSHOT does not suspend but asks the test for the next block.
 */

import { createHash } from "node:crypto";
import * as abi from "../../syscalls/abi.ts";
import { type Guest, GuestAbort, instantiateSync } from "./harness.ts";

/** Ends a root from inside SNAPSHOT. */
class End extends Error {}

export class Toy {
  readonly #modules = new Map<string, WebAssembly.Module>();
  /** Every request put or got, for tests that look at them: "put 1 9", child and parts. */
  readonly calls: string[] = [];

  constructor(programs: readonly Uint8Array[]) {
    for (const bytes of programs) {
      this.#modules.set(
        programHash(bytes).toString("hex"),
        new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>),
      );
    }
  }

  /** Runs `entry` of a root through the blocks; gives the data of each block, block 0 first. */
  run(root: Uint8Array, blocks: readonly Uint8Array[], entry = "main"): Uint8Array[] {
    const data: Uint8Array[] = [];
    const process = new Process(this, new WebAssembly.Module(root as Uint8Array<ArrayBuffer>), (request) => {
      const view = process.guest.view();
      const word = (offset: number): number => view.getUint32(request + offset, true);
      data.push(process.guest.bytes(word(abi.SNAPSHOT_DATA_POINTER), word(abi.SNAPSHOT_DATA_LENGTH)).slice());
      const next = blocks[data.length - 1];
      if (!next) throw new End();
      if (next.length > word(abi.SNAPSHOT_REGION_CAPACITY))
        throw new Error("toy: metadata longer than the region");
      process.guest.write(word(abi.SNAPSHOT_REGION_POINTER), next);
      return next.length;
    });
    try {
      process.guest.call(entry, 0n);
    } catch (error) {
      if (!(error instanceof End)) throw error;
    }
    return data;
  }

  module(hash: Uint8Array): WebAssembly.Module | undefined {
    return this.#modules.get(Buffer.from(hash).toString("hex"));
  }
}

class Process {
  readonly guest: Guest;
  readonly children = new Map<number, Process>();
  kind = abi.STATUS_FRESH as number;
  fault = 0;
  code = 0n;
  detail = "";

  constructor(toy: Toy, module: WebAssembly.Module, snapshot: (request: number) => number) {
    const calls = {
      put: (child: number, request: number) => this.#put(toy, child, request),
      get: (child: number, request: number) => this.#get(toy, child, request),
      snapshot,
    };
    this.guest = instantiateSync(module, calls);
  }

  #put(toy: Toy, number: number, request: number): number {
    const view = this.guest.view();
    const word = (offset: number): number => view.getUint32(request + offset, true);
    const parts = word(abi.PUT_PARTS);
    toy.calls.push(`put ${number} ${parts}`);
    if (parts & abi.PART_PROGRAM) {
      const module = toy.module(this.guest.bytes(word(abi.PUT_PROGRAM_POINTER), 32));
      if (!module) return abi.E_BAD_PROGRAM;
      this.children.set(number, new Process(toy, module, () => abi.E_PERMISSION));
    }
    const child = this.children.get(number);
    if (!child) return abi.E_NO_CHILD;
    if (parts & abi.PART_DROP) this.children.delete(number);
    if (parts & abi.PART_RANGES) {
      for (let i = 0; i < word(abi.PUT_RANGES_COUNT); i++) {
        const at = word(abi.PUT_RANGES_POINTER) + i * abi.RANGE_SIZE;
        const [kind, source, target, length] = [0, 4, 8, 12].map((offset) =>
          view.getUint32(at + offset, true),
        );
        if (kind === abi.RANGE_ZERO) child.guest.bytes(target!, length!).fill(0);
        else child.guest.write(target!, this.guest.bytes(source!, length!));
      }
    }
    if (parts & abi.PART_START) {
      const name = this.guest.bytes(word(abi.PUT_ENTRY_POINTER), word(abi.PUT_ENTRY_LENGTH));
      return child.#start(Buffer.from(name).toString(), view.getBigInt64(request + abi.PUT_ARGUMENT, true));
    }
    return abi.OK;
  }

  #start(entry: string, argument: bigint): number {
    if (!this.guest.has(entry)) return abi.E_NO_ENTRY;
    try {
      this.code = BigInt.asIntN(64, this.guest.call64(entry, argument));
      this.kind = abi.STATUS_RETURNED;
    } catch (error) {
      if (!(error instanceof GuestAbort || error instanceof WebAssembly.RuntimeError)) throw error;
      this.kind = abi.STATUS_FAULTED;
      this.fault = error instanceof GuestAbort ? abi.FAULT_ABORT : abi.FAULT_UNREACHABLE;
      this.detail = error instanceof GuestAbort ? `${error.message} in ${error.file}` : "";
    }
    return abi.OK;
  }

  #get(toy: Toy, number: number, request: number): number {
    const view = this.guest.view();
    const word = (offset: number): number => view.getUint32(request + offset, true);
    const parts = word(abi.GET_PARTS);
    toy.calls.push(`get ${number} ${parts}`);
    const child = this.children.get(number);
    if (!child) return abi.E_NO_CHILD;
    if (parts & abi.PART_GET_STATUS) {
      const at = word(abi.GET_STATUS_POINTER);
      const detail = Buffer.from(child.detail);
      this.guest.bytes(at, abi.STATUS_SIZE).fill(0);
      view.setUint32(at + abi.STATUS_KIND, child.kind, true);
      view.setUint32(at + abi.STATUS_FAULT, child.fault, true);
      view.setBigInt64(at + abi.STATUS_CODE, child.code, true);
      view.setUint32(at + abi.STATUS_MEMORY_PAGES, child.guest.memory.buffer.byteLength >> 16, true);
      view.setUint32(at + abi.STATUS_CHILDREN, child.children.size, true);
      view.setUint32(at + abi.STATUS_DETAIL_LENGTH, detail.length, true);
      this.guest.write(word(abi.GET_DETAIL_POINTER), detail.subarray(0, word(abi.GET_DETAIL_CAPACITY)));
    }
    if (parts & abi.PART_GET_COPY) {
      for (let i = 0; i < word(abi.GET_RANGES_COUNT); i++) {
        const at = word(abi.GET_RANGES_POINTER) + i * abi.RANGE_SIZE;
        const [, source, target, length] = [0, 4, 8, 12].map((offset) => view.getUint32(at + offset, true));
        this.guest.write(target!, child.guest.bytes(source!, length!));
      }
    }
    if (parts & abi.PART_GET_HASH) {
      const hash = createHash("sha256").update(new Uint8Array(child.guest.memory.buffer)).digest();
      this.guest.write(word(abi.GET_HASH_POINTER), hash);
    }
    return abi.OK;
  }
}

export function programHash(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}
