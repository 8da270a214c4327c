/** Steps of the guest "gas" (test/guests/gas.ts), as bytes that lie at a given address of its memory. */

import { WASM_PAGE_BYTES } from "../../runtime/limits.ts";
import { type GetSpec, type PutSpec, Script } from "../driver.ts";

/** Where the guest's state ends, and steps lie. */
export const STATE_BYTES = 4 << 20;
/** Beyond steps and the static data of the guest. */
export const PRIVATE = STATE_BYTES + (1 << 20);
const STEPS_BYTES = 1024;

export class Steps {
  readonly base: number;
  readonly #words: number[] = [];
  readonly #requests: Script;

  constructor(base = STATE_BYTES) {
    this.base = base;
    this.#requests = new Script({ base: base + STEPS_BYTES, commands: 64, scratch: PRIVATE });
  }

  /** The same request for children `first` to `first` + `count` - 1. */
  put(first: number, spec: PutSpec, count = 1): this {
    return this.#step(1, first, count, this.#address(this.#requests.put(first, spec)));
  }

  get(first: number, spec: GetSpec, count = 1): this {
    return this.#step(2, first, count, this.#address(this.#requests.get(first, spec)));
  }

  /** A u32 in each of so many pages of 4 KiB. */
  touch(address: number, pages: number, value: number): this {
    return this.#step(3, address, pages, value);
  }

  fill(address: number, bytes: number, value: number): this {
    return this.#step(4, address, bytes, value);
  }

  spin(turns: number): this {
    return this.#step(5, turns);
  }

  grow(pages: number): this {
    return this.#step(6, pages);
  }

  /** `ret`, so many calls deep. */
  ret(depth: number): this {
    return this.#step(7, depth);
  }

  trap(depth = 0): this {
    return this.#step(8, depth);
  }

  abort(): this {
    return this.#step(9);
  }

  deep(depth: number): this {
    return this.#step(10, depth);
  }

  bytes(): Uint8Array {
    if (this.#requests.length === 0) return new Uint8Array(Uint32Array.from([...this.#words, 0]).buffer);
    const requests = this.#requests.metadata();
    const bytes = new Uint8Array(STEPS_BYTES + requests.length);
    bytes.set(new Uint8Array(Uint32Array.from(this.#words).buffer));
    bytes.set(requests, STEPS_BYTES);
    return bytes;
  }

  #step(...words: number[]): this {
    if ((this.#words.length + 8) * 4 > STEPS_BYTES) throw new Error("steps: too many");
    this.#words.push(...words, ...[0, 0, 0].slice(words.length - 1));
    return this;
  }

  /** Where the request of a command of the script lies: the third word of the command. */
  #address(command: number): number {
    return new DataView(this.#requests.metadata().buffer).getUint32(32 + command * 32 + 8, true);
  }
}

/** Pages of 64 KiB that a guest needs which touches so many pages of 4 KiB from PRIVATE on. */
export function memoryFor(pages: number): number {
  return PRIVATE / WASM_PAGE_BYTES + Math.ceil((pages * 4096) / WASM_PAGE_BYTES);
}
