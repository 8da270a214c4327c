/**
 * Host side of test/guests/driver.ts: builds scripts of raw calls as metadata of a block, and reads what they
 * gave.
 *
 *   const script = new Script();
 *   script.put(1, { program: hash, start: { entry: "run", argument: 5n, gas: 1_000_000 } });
 *   const got = script.get(1, { status: true, hash: true });
 *   const results = script.read((await runtime.produce(script.metadata())).data);
 *   results.status(got).code;
 *
 * A script belongs to one block: addresses of its requests lie in the driver's REGION, outputs of GET in its
 * SCRATCH. For a child, construct it with the address to which the parent copies it.
 */

import * as abi from "../syscalls/abi.ts";

export const DRIVER_INITIAL_MEMORY = 80;
export const REGION = 0x100000;
export const REGION_CAPACITY = 0x100000;
export const SCRATCH = 0x200000;
export const SCRATCH_CAPACITY = 0x100000;
export const RESULTS = 0x300000;
export const RESULTS_CAPACITY = 0x200000;

/**
 * Memory quota, in pages of 4 KiB, for processes with `wasmPages` pages of 64 KiB in all: 16 for each, and 4,
 * which is what a process takes besides.
 */
export function quota(wasmPages: number): number {
  return 20 * wasmPages;
}

const HEADER = 32;
const COMMAND = 32;

export interface RangeSpec {
  /** Bytes to place in the script, or an address and `length`. */
  readonly source?: number | Uint8Array;
  readonly target: number;
  readonly length?: number;
  readonly zero?: boolean;
}

export interface PutSpec {
  /** Hash of the program, or the address of one. */
  readonly program?: Uint8Array | number;
  /** Wasm bytes of a program to install. */
  readonly install?: Uint8Array;
  /** In pages of 4 KiB; 0 or none: what a fresh child takes. */
  readonly memoryQuotaPages?: number;
  readonly processQuota?: number;
  readonly heldGas?: number;
  /** Number of the child to copy, or abi.CLONE_SELF. */
  readonly clone?: number;
  readonly drop?: boolean;
  readonly ranges?: readonly RangeSpec[];
  readonly start?: {
    readonly entry?: string;
    readonly argument?: bigint;
    readonly gas?: number | bigint;
    readonly keep?: boolean;
  };
  /** Words of the request to overwrite, by byte offset: for requests that are wrong on purpose. */
  readonly words?: Readonly<Record<number, number>>;
}

export interface GetSpec {
  readonly status?: boolean;
  /** Capacity for the text of an abort. */
  readonly detail?: number;
  readonly hash?: boolean;
  readonly merge?: { readonly kind?: number; readonly address: number; readonly length: number };
  /**
   * Copy from the child to `target` in the driver, or, without a target, into the results (see
   * Results.bytes).
   */
  readonly copy?: readonly { readonly source: number; readonly length: number; readonly target?: number }[];
  readonly words?: Readonly<Record<number, number>>;
}

export interface StatusRecord {
  readonly kind: number;
  readonly fault: number;
  readonly code: bigint;
  readonly gasUsed: bigint;
  readonly memoryPages: number;
  readonly children: number;
  readonly line: number;
  readonly column: number;
  readonly detailLength: number;
}

/** A command of a script: its number, by which its result is found. */
export type Handle = number;

export class Script {
  readonly base: number;
  readonly #capacity: number;
  readonly #commands: { op: number; a: number; b: number; c: number; d: bigint }[] = [];
  readonly #payload: { address: number; bytes: Uint8Array }[] = [];
  readonly #order: { handle: Handle; name: string; length: number }[] = [];
  #end: number;
  #scratch: number;

  constructor(options: { base?: number; commands?: number; scratch?: number } = {}) {
    this.base = options.base ?? REGION;
    this.#capacity = options.commands ?? 256;
    this.#end = this.base + HEADER + this.#capacity * COMMAND;
    this.#scratch = options.scratch ?? SCRATCH;
  }

  /** Number of commands so far: the number the next one gets. */
  get length(): number {
    return this.#commands.length;
  }

  /** Puts bytes into the script; returns the address they will have. */
  place(bytes: Uint8Array, align = 8): number {
    const address = Math.ceil(this.#end / align) * align;
    this.#payload.push({ address, bytes });
    this.#end = address + bytes.length;
    return address;
  }

  /** Reserves bytes of SCRATCH; they keep what earlier scripts left there. */
  reserve(length: number, align = 8): number {
    const address = Math.ceil(this.#scratch / align) * align;
    this.#scratch = address + length;
    return address;
  }

  command(op: number, a = 0, b = 0, c = 0, d = 0n): Handle {
    if (this.#commands.length >= this.#capacity)
      throw new Error(`script: more than ${this.#capacity} commands`);
    return this.#commands.push({ op, a, b, c, d }) - 1;
  }

  put(child: number, spec: PutSpec): Handle {
    const request = new DataView(new ArrayBuffer(abi.PUT_SIZE));
    const set = (offset: number, value: number) => request.setUint32(offset, value, true);
    let parts = 0;
    set(abi.PUT_VERSION, abi.ABI_VERSION);
    if (spec.program !== undefined) {
      parts |= abi.PART_PROGRAM;
      set(
        abi.PUT_PROGRAM_POINTER,
        typeof spec.program === "number" ? spec.program : this.place(spec.program),
      );
      set(abi.PUT_MEMORY_QUOTA, spec.memoryQuotaPages ?? 0);
      set(abi.PUT_PROCESS_QUOTA, spec.processQuota ?? 0);
      request.setBigUint64(abi.PUT_HELD_GAS, BigInt(spec.heldGas ?? 0), true);
    }
    if (spec.install) {
      parts |= abi.PART_PROGRAM;
      set(abi.PUT_PROGRAM_POINTER, this.place(spec.install));
      set(abi.PUT_PROGRAM_LENGTH, spec.install.length);
      set(abi.PUT_MEMORY_QUOTA, spec.memoryQuotaPages ?? 0);
      set(abi.PUT_PROCESS_QUOTA, spec.processQuota ?? 0);
      request.setBigUint64(abi.PUT_HELD_GAS, BigInt(spec.heldGas ?? 0), true);
    }
    if (spec.clone !== undefined) {
      parts |= abi.PART_CLONE;
      set(abi.PUT_CLONE_SOURCE, spec.clone);
      set(abi.PUT_MEMORY_QUOTA, spec.memoryQuotaPages ?? 0);
      set(abi.PUT_PROCESS_QUOTA, spec.processQuota ?? 0);
      request.setBigUint64(abi.PUT_HELD_GAS, BigInt(spec.heldGas ?? 0), true);
    }
    if (spec.drop) parts |= abi.PART_DROP;
    if (spec.ranges) {
      parts |= abi.PART_RANGES;
      set(abi.PUT_RANGES_POINTER, this.#ranges(spec.ranges));
      set(abi.PUT_RANGES_COUNT, spec.ranges.length);
    }
    if (spec.start) {
      parts |= abi.PART_START;
      const entry = new TextEncoder().encode(spec.start.entry ?? "");
      set(abi.PUT_ENTRY_POINTER, entry.length ? this.place(entry) : 0);
      set(abi.PUT_ENTRY_LENGTH, entry.length);
      set(abi.PUT_FLAGS, spec.start.keep ? abi.FLAG_KEEP : 0);
      request.setBigInt64(abi.PUT_ARGUMENT, spec.start.argument ?? 0n, true);
      request.setBigUint64(abi.PUT_GAS, BigInt(spec.start.gas ?? 0), true);
    }
    set(abi.PUT_PARTS, parts);
    for (const [offset, value] of Object.entries(spec.words ?? {})) set(Number(offset), value);
    const address = this.place(new Uint8Array(request.buffer));
    const handle = this.command(1, child, address);
    if (spec.install) this.#output(handle, "reason", address + abi.PUT_REASON, 8);
    return handle;
  }

  get(child: number, spec: GetSpec): Handle {
    const request = new DataView(new ArrayBuffer(abi.GET_SIZE));
    const set = (offset: number, value: number) => request.setUint32(offset, value, true);
    const outputs: { name: string; address: number; length: number }[] = [];
    let parts = 0;
    set(abi.GET_VERSION, abi.ABI_VERSION);
    if (spec.status) {
      parts |= abi.PART_GET_STATUS;
      const address = this.reserve(abi.STATUS_SIZE);
      set(abi.GET_STATUS_POINTER, address);
      outputs.push({ name: "status", address, length: abi.STATUS_SIZE });
      if (spec.detail) {
        const detail = this.reserve(spec.detail);
        set(abi.GET_DETAIL_POINTER, detail);
        set(abi.GET_DETAIL_CAPACITY, spec.detail);
        outputs.push({ name: "detail", address: detail, length: spec.detail });
      }
    }
    if (spec.copy) {
      parts |= abi.PART_GET_COPY;
      const ranges = spec.copy.map(({ source, length, target }, i): RangeSpec => {
        if (target !== undefined) return { source, length, target };
        const address = this.reserve(length, length >= 4096 ? 4096 : 8);
        outputs.push({ name: `copy${i}`, address, length });
        return { source, length, target: address };
      });
      set(abi.GET_RANGES_POINTER, this.#ranges(ranges));
      set(abi.GET_RANGES_COUNT, ranges.length);
    }
    if (spec.merge) {
      parts |= abi.PART_GET_MERGE;
      const merge = new DataView(new ArrayBuffer(abi.MERGE_SIZE));
      merge.setUint32(abi.MERGE_KIND, spec.merge.kind ?? abi.MERGE_BYTES, true);
      merge.setUint32(abi.MERGE_ADDRESS, spec.merge.address, true);
      merge.setUint32(abi.MERGE_LENGTH, spec.merge.length, true);
      const address = this.place(new Uint8Array(merge.buffer));
      set(abi.GET_MERGE_POINTER, address);
      outputs.push({ name: "merge", address, length: abi.MERGE_SIZE });
    }
    if (spec.hash) {
      parts |= abi.PART_GET_HASH;
      const address = this.reserve(32);
      set(abi.GET_HASH_POINTER, address);
      outputs.push({ name: "hash", address, length: 32 });
    }
    set(abi.GET_PARTS, parts);
    for (const [offset, value] of Object.entries(spec.words ?? {})) set(Number(offset), value);
    const handle = this.command(2, child, this.place(new Uint8Array(request.buffer)));
    for (const output of outputs) this.#output(handle, output.name, output.address, output.length);
    return handle;
  }

  ret(code: bigint): Handle {
    return this.command(3, 0, 0, 0, code);
  }

  /** Appends bytes of the driver's memory to the results: Results.bytes(handle). */
  out(address: number, length: number): Handle {
    const handle = this.length;
    this.#output(handle, "copy0", address, length);
    return handle;
  }

  fill(address: number, length: number, byte: number): Handle {
    return this.command(6, address, length, byte);
  }

  store(address: number, value: bigint): Handle {
    return this.command(7, address, 0, 0, value);
  }

  load(address: number): Handle {
    return this.command(8, address);
  }

  copy(target: number, source: number, length: number): Handle {
    return this.command(9, target, source, length);
  }

  grow(pages: number): Handle {
    return this.command(10, pages);
  }

  size(): Handle {
    return this.command(11);
  }

  abort(): Handle {
    return this.command(12);
  }

  trap(): Handle {
    return this.command(13);
  }

  spin(rounds: number): Handle {
    return this.command(14, rounds);
  }

  /**
   * Goes back to `first` until the commands from there to here have run `times` times. OUT inside a loop is
   * not supported.
   */
  loop(first: Handle, times: number): Handle {
    return this.command(15, first, times);
  }

  /** Leaves out the next `commands` commands if the previous result was `value`. */
  skip(commands: number, value: bigint): Handle {
    return this.command(16, commands, 0, 0, value);
  }

  /** The script's bytes, to lie at `base`. */
  metadata(): Uint8Array {
    const bytes = new Uint8Array(this.#end - this.base);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, this.#commands.length, true);
    this.#commands.forEach((command, i) => {
      const at = HEADER + i * COMMAND;
      view.setUint32(at, command.op, true);
      view.setUint32(at + 4, command.a, true);
      view.setUint32(at + 8, command.b, true);
      view.setUint32(at + 12, command.c, true);
      view.setBigInt64(at + 16, BigInt.asIntN(64, command.d), true);
    });
    for (const { address, bytes: part } of this.#payload) bytes.set(part, address - this.base);
    return bytes;
  }

  /** Reads the data of the block (or a child's RESULTS) that this script gave. */
  read(data: Uint8Array): Results {
    return new Results(data, this.#commands.length, this.#order);
  }

  #output(handle: Handle, name: string, address: number, length: number): void {
    this.#order.push({ handle, name, length });
    this.command(5, address, length);
  }

  #ranges(ranges: readonly RangeSpec[]): number {
    const view = new DataView(new ArrayBuffer(ranges.length * abi.RANGE_SIZE));
    ranges.forEach((range, i) => {
      const at = i * abi.RANGE_SIZE;
      const source = typeof range.source === "object" ? this.place(range.source) : (range.source ?? 0);
      const length = range.length ?? (typeof range.source === "object" ? range.source.length : 0);
      view.setUint32(at + abi.RANGE_KIND, range.zero ? abi.RANGE_ZERO : abi.RANGE_COPY, true);
      view.setUint32(at + abi.RANGE_SOURCE, source, true);
      view.setUint32(at + abi.RANGE_TARGET, range.target, true);
      view.setUint32(at + abi.RANGE_LENGTH, length, true);
    });
    return this.place(new Uint8Array(view.buffer));
  }
}

/** What a script gave. A result that a command did not give throws. */
export class Results {
  readonly values: readonly bigint[];
  readonly #outputs = new Map<string, Uint8Array>();

  constructor(
    data: Uint8Array,
    commands: number,
    order: readonly { handle: Handle; name: string; length: number }[],
  ) {
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    if (view.getUint32(0, true) !== commands)
      throw new Error(`script: results of ${view.getUint32(0, true)} commands`);
    this.values = Array.from({ length: commands }, (_, i) => view.getBigInt64(8 + i * 8, true));
    let at = 8 + commands * 8;
    for (const { handle, name, length } of order) {
      this.#outputs.set(`${handle}.${name}`, data.slice(at, at + length));
      at += length;
    }
    if (at !== data.length) throw new Error(`script: ${data.length - at} bytes too many in the results`);
  }

  value(handle: Handle): bigint {
    const value = this.values[handle];
    if (value === undefined) throw new Error(`script: no command ${handle}`);
    return value;
  }

  status(handle: Handle): StatusRecord {
    const bytes = this.#find(handle, "status");
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return {
      kind: view.getUint32(abi.STATUS_KIND, true),
      fault: view.getUint32(abi.STATUS_FAULT, true),
      code: view.getBigInt64(abi.STATUS_CODE, true),
      gasUsed: view.getBigUint64(abi.STATUS_GAS_USED, true),
      memoryPages: view.getUint32(abi.STATUS_MEMORY_PAGES, true),
      children: view.getUint32(abi.STATUS_CHILDREN, true),
      line: view.getUint32(abi.STATUS_LINE, true),
      column: view.getUint32(abi.STATUS_COLUMN, true),
      detailLength: view.getUint32(abi.STATUS_DETAIL_LENGTH, true),
    };
  }

  detail(handle: Handle): string {
    const bytes = this.#find(handle, "detail");
    return new TextDecoder().decode(
      bytes.subarray(0, Math.min(this.status(handle).detailLength, bytes.length)),
    );
  }

  hash(handle: Handle): Uint8Array {
    return this.#find(handle, "hash");
  }

  /** Why the bytes of a PUT with `install` were not admitted: reason and offset. */
  reason(handle: Handle): [reason: number, offset: number] {
    const bytes = this.#outputs.get(`${handle}.reason`);
    if (!bytes) throw new Error(`script: command ${handle} installed nothing`);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return [view.getUint32(0, true), view.getUint32(4, true)];
  }

  /** What MERGE reported, also when it found conflicts. */
  merge(handle: Handle): { conflicts: number; first: number; child: number; caller: number } {
    const bytes = this.#outputs.get(`${handle}.merge`);
    if (!bytes) throw new Error(`script: command ${handle} merged nothing`);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return {
      conflicts: view.getUint32(abi.MERGE_CONFLICTS, true),
      first: view.getUint32(abi.MERGE_FIRST, true),
      child: view.getUint32(abi.MERGE_CHILD_BYTE, true),
      caller: view.getUint32(abi.MERGE_CALLER_BYTE, true),
    };
  }

  /** Bytes of the `index`-th range of a GET without a target, or of an `out`. */
  bytes(handle: Handle, index = 0): Uint8Array {
    return this.#find(handle, `copy${index}`);
  }

  #find(handle: Handle, name: string): Uint8Array {
    const bytes = this.#outputs.get(`${handle}.${name}`);
    if (!bytes) throw new Error(`script: command ${handle} gave no ${name}`);
    if (this.value(handle) < 0n)
      throw new Error(`script: command ${handle} failed with ${this.value(handle)}`);
    return bytes;
  }
}
