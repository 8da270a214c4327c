/**
 * Runs a guest of test/guests as child 1 of the driver, with several numbers of workers, and sees that all
 * states are equal.
 */

import assert from "node:assert/strict";
import { type CompileOptions, compileGuest } from "../../runtime/compile.ts";
import { type Block, programHash, type Runtime } from "../../runtime/index.ts";
import type { StatusRecord } from "../driver.ts";
import { quota } from "../driver.ts";
import { open, play } from "../fixture.ts";

export const WORKERS = [1, 2, 4];
export const GAS = 16_000_000_000;

export function compile(name: string, options: CompileOptions = {}): Promise<Uint8Array> {
  return compileGuest(new URL(`../guests/${name}.ts`, import.meta.url).pathname, options);
}

/** The guest in one runtime. */
export class Guest {
  readonly runtime: Runtime;

  constructor(runtime: Runtime) {
    this.runtime = runtime;
  }

  /** Starts the entry and joins it, in one block. */
  async start(entry: string, argument = 0n): Promise<{ status: StatusRecord; detail: string; block: Block }> {
    const { block, results, handles } = await play(this.runtime, (s) => {
      s.put(1, { start: { entry, argument, gas: GAS } });
      return s.get(1, { status: true, detail: 400 });
    });
    return { status: results.status(handles), detail: results.detail(handles), block };
  }

  /** The code that the entry returns. */
  async call(entry: string, argument = 0n): Promise<bigint> {
    const { status, detail } = await this.start(entry, argument);
    assert.equal(status.fault, 0, `${entry} faulted: ${status.fault} ${detail}`);
    return status.code;
  }

  /** Bytes of the guest's memory, as of the latest block. */
  read(address: bigint | number, length: number): Buffer {
    return Buffer.from(this.runtime.read([1], Number(address), length));
  }

  words(address: bigint | number, count: number): bigint[] {
    const bytes = this.read(address, count * 8);
    return Array.from({ length: count }, (_, i) => bytes.readBigInt64LE(i * 8));
  }
}

/** The same guest in a runtime for each number of workers. */
export class Fleet {
  readonly #guests: readonly Guest[];

  private constructor(guests: readonly Guest[]) {
    this.#guests = guests;
  }

  static async open(program: Uint8Array, workers: readonly number[] = WORKERS): Promise<Fleet> {
    const guests: Guest[] = [];
    for (const count of workers) {
      const runtime = await open([program], { workers: count, gasLimit: 4 * GAS });
      await play(runtime, (s) =>
        s.put(1, { program: programHash(program), memoryQuotaPages: quota(16_384), processQuota: 4096 }),
      );
      guests.push(new Guest(runtime));
    }
    return new Fleet(guests);
  }

  /**
   * Runs `use` in each runtime, from the fresh guest on; the blocks it ends at, their gas, and what it
   * returns must be equal.
   */
  async everywhere<T>(use: (guest: Guest) => Promise<T>): Promise<T> {
    const ends: { result: T; id: string; gasUsed: number }[] = [];
    for (const guest of this.#guests) {
      await guest.runtime.revert(1);
      const result = await use(guest);
      const { id, gasUsed } = guest.runtime.head;
      ends.push({ result, id, gasUsed });
      assert.deepEqual(ends.at(-1), ends[0], "equal with any number of workers");
    }
    return (ends[0] as { result: T }).result;
  }

  async close(): Promise<void> {
    for (const { runtime } of this.#guests) await runtime.close();
  }
}
