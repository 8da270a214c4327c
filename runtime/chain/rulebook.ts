/**
 * The rulebook: all rules that runtimes of one engine have met, each once, and their programs.
 *
 * Rules are known by their hash. What they name lies in the heap: their bytes, those of the programs, and
 * once a block is to run by them, a kit, from which threads make compiled programs (kernel/kit.ts). All of it
 * stays as long as the engine, so the reference of a kit names the rules in a job.
 *
 * Called from the main thread, and where it makes objects while no collection runs.
 */

import { StoreError, UsageError } from "../errors.ts";
import type { Heap, Ref } from "../heap/heap.ts";
import { hashHexOf, lookAt } from "../heap/stub.ts";
import { hashObject } from "../image/hash.ts";
import { decodeRules, encodeRules, type Rules } from "../image/rules.ts";
import { describeProgram, type Kit, type ProgramParts } from "../kernel/kit.ts";
import { installedBytesOf, type ProgramHandle } from "../kernel/program.ts";
import type { Program } from "../program/admit.ts";
import type { ProgramCache } from "../program/cache.ts";
import { bytesOf, hexOf } from "../text.ts";
import { checkCarried } from "./versions.ts";

/** Rules, and where they lie. */
export interface KnownRules {
  readonly rules: Rules;
  /** Their hash, in hex. */
  readonly hash: string;
  /** The BLOB of their bytes. */
  readonly ref: Ref;
  /** The BLOBs of the programs, in order. */
  readonly programs: readonly Ref[];
}

/** A stub of what a store holds under this hash. */
export type Fetch = (hash: Buffer) => Ref;

export class Rulebook {
  readonly #heap: Heap;
  readonly #cache: ProgramCache;
  /** Whether batches run in parallel. */
  readonly #isParallel: boolean;
  readonly #known = new Map<string, KnownRules>();
  /** BLOBs of programs, by their names. */
  readonly #bytes = new Map<string, Ref>();
  /** What threads need of programs, by name and version of the cost table. */
  readonly #parts = new Map<string, ProgramParts>();
  readonly #kits = new Map<string, Ref>();

  constructor(heap: Heap, cache: ProgramCache, isParallel: boolean) {
    this.#heap = heap;
    this.#cache = cache;
    this.#isParallel = isParallel;
  }

  /** What the main thread makes; while another thread is at the heap's lock it waits without blocking. */
  async #make<T>(make: () => T): Promise<T> {
    this.#heap.refresh();
    for (;;) {
      const made = this.#heap.attempt(make);
      if (made !== null) return made.value;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** References that collections and sweeps must keep. */
  refs(): Ref[] {
    const parts = [...this.#parts.values()].flatMap(({ initialMemory, initialGlobals, code, batchCode }) => [
      initialMemory,
      initialGlobals,
      code,
      batchCode,
    ]);
    const rules = [...this.#known.values()].map(({ ref }) => ref);
    return [...rules, ...this.#bytes.values(), ...parts, ...this.#kits.values()].filter((ref) => ref !== 0);
  }

  /** Admits a program, so that rules can name it; its name. @throws AdmissionError */
  async add(bytes: Uint8Array): Promise<string> {
    const program = await this.#cache.admit(bytes);
    const name = hexOf(program.hash);
    if (!this.#bytes.has(name)) {
      const ref = await this.#make(() => this.#heap.blob(program.bytes));
      hashObject(this.#heap, ref);
      if (!this.#bytes.has(name)) this.#bytes.set(name, ref);
    }
    return name;
  }

  /** The Wasm bytes of a program of rules that are known. @throws UsageError (NO_PROGRAM) */
  bytesOf(name: string): Uint8Array {
    const ref = this.#bytes.get(name);
    if (ref === undefined) throw noProgram(name);
    return lookAt(this.#heap, () => new Uint8Array(this.#heap.payload(ref)));
  }

  /** Rules of which all programs were added. */
  async know(rules: Rules): Promise<KnownRules> {
    const ref = await this.#make(() => this.#heap.blob(encodeRules(rules)));
    hashObject(this.#heap, ref);
    return this.#enter(rules, ref);
  }

  /** The rules that a store holds under this hash. @throws StoreError (STORE_CORRUPT) */
  stored(hash: Buffer, fetch: Fetch): KnownRules {
    const known = this.#known.get(hash.toString("hex"));
    if (known !== undefined) return known;
    const ref = fetch(hash);
    const rules = lookAt(this.#heap, () => readRules(this.#heap.payload(ref)));
    for (const name of rules.programs) {
      if (!this.#bytes.has(name)) this.#bytes.set(name, fetch(Buffer.from(bytesOf(name))));
    }
    return this.#enter(rules, ref);
  }

  #enter(rules: Rules, ref: Ref): KnownRules {
    const hash = hashHexOf(this.#heap, ref);
    const known = this.#known.get(hash);
    if (known !== undefined) return known;
    const programs = rules.programs.map((name) => this.#bytes.get(name) as Ref);
    const entry = { rules, hash, ref, programs };
    this.#known.set(hash, entry);
    return entry;
  }

  /**
   * The compiled programs of rules, with which threads are started, and the kit by which they know them.
   *
   * @throws UsageError (RULES_UNKNOWN), AdmissionError
   */
  async compiled(known: KnownRules): Promise<{ readonly programs: ProgramHandle[]; readonly kit: Ref }> {
    checkCarried(known.rules);
    const { costs } = known.rules;
    const programs: ProgramHandle[] = [];
    for (const ref of known.programs) {
      const handle = await this.handle(ref, costs);
      const { module: _, batchModule: __, ...facts } = handle;
      programs.push(handle);
      this.#parts.set(`${handle.hashHex}/${costs}`, { ...facts, code: 0, batchCode: 0 });
    }
    return { programs, kit: await this.kit(known) };
  }

  /** The program whose bytes are this BLOB, compiled. */
  async handle(ref: Ref, costs: string): Promise<ProgramHandle> {
    const { program, batchCode } = await this.#admitted(ref, costs);
    const facts = await this.#make(() => describeProgram(this.#heap, ref, program));
    const module = await compile(program.code);
    const batchModule = batchCode === null ? null : await compile(batchCode);
    return { ...facts, module, batchModule: program.stateBytes === 0 ? module : batchModule };
  }

  /**
   * The kit of rules: what a job names them by.
   *
   * @throws UsageError (RULES_UNKNOWN), AdmissionError
   */
  async kit(known: KnownRules): Promise<Ref> {
    const made = this.#kits.get(known.hash);
    if (made !== undefined) return made;
    checkCarried(known.rules);
    const { costs, memoryQuotaPages } = known.rules;
    const programs: ProgramParts[] = [];
    for (const [i, ref] of known.programs.entries()) {
      const key = `${known.rules.programs[i]}/${costs}`;
      if (!this.#parts.has(key)) {
        const { program, batchCode } = await this.#admitted(ref, costs);
        const parts = await this.#make(() => {
          const described = describeProgram(this.#heap, ref, program);
          const code = this.#heap.blob(program.code);
          return { ...described, code, batchCode: batchCode === null ? 0 : this.#heap.blob(batchCode) };
        });
        this.#parts.set(key, parts);
      }
      programs.push(this.#parts.get(key) as ProgramParts);
    }
    const kit: Kit = { costs, installedBytes: installedBytesOf(memoryQuotaPages), programs };
    const ref = await this.#make(() => this.#heap.blob(Buffer.from(JSON.stringify(kit))));
    // Another block may have made one meanwhile: the first counts.
    if (!this.#kits.has(known.hash)) this.#kits.set(known.hash, ref);
    return this.#kits.get(known.hash) as Ref;
  }

  async #admitted(ref: Ref, costs: string): Promise<{ program: Program; batchCode: Uint8Array | null }> {
    const bytes = lookAt(this.#heap, () => new Uint8Array(this.#heap.payload(ref)));
    const program = await this.#cache.admit(bytes, costs);
    const wanted = this.#isParallel && program.stateBytes > 0;
    return { program, batchCode: wanted ? await this.#cache.batchCode(program, costs) : null };
  }
}

/** No rules name this program. */
export function noProgram(name: string): UsageError {
  const text = `no rules of a retained block name a program ${name}: "rules" lists those of a block`;
  return new UsageError("NO_PROGRAM", text, { program: name });
}

function compile(code: Uint8Array): Promise<WebAssembly.Module> {
  return WebAssembly.compile(code as Uint8Array<ArrayBuffer>);
}

function readRules(bytes: Buffer): Rules {
  try {
    return decodeRules(bytes);
  } catch (cause) {
    const text = "the store is damaged, or of another version: the rules of a block cannot be read";
    throw new StoreError("STORE_CORRUPT", text, {}, { cause });
  }
}
