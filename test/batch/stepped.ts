/**
 * The compiled core, one atomic instruction at a time: before each of them stands the call of an import that
 * suspends (JSPI). So the code that runs goes through random orders of steps, as its specification does.
 */

import initialise from "wabt";
import { coreBytes, type instantiateCore } from "../../runtime/batch/core.ts";
import { type Call, CoreEngine, CoreSubject } from "./engines.ts";
import type { Steps } from "./steps.ts";

type Suspending = new (call: () => Promise<void>) => WebAssembly.ImportValue;
type Promising = (call: unknown) => (...parameters: number[]) => Promise<number>;
const { Suspending, promising } = WebAssembly as unknown as { Suspending: Suspending; promising: Promising };

/** Makes of the text of the core what is to be run; for planting defects. */
export type Edit = (text: string) => string;

/** A helper that takes bits out of a set in two steps instead of one. */
const TORN = `(func $torn (param i32 i64) (result i64) (local i64)
  (local.set 2 (i64.atomic.load (local.get 0)))
  (call $pause)
  (i64.atomic.store (local.get 0) (i64.and (local.get 2) (local.get 1)))
  (local.get 2))`;

/** An edit that lets two workers take the same task. */
export const tearSets: Edit = (text) =>
  text.replaceAll("i64.atomic.rmw.and\n", "call $torn\n").replace(/\)\s*$/, `${TORN})`);

const FEATURES = { threads: true, simd: true, bulk_memory: true, mutable_globals: true };

/** The core with a pause before each atomic instruction; and their number. */
export async function pausingCore(edit: Edit = (text) => text): Promise<[WebAssembly.Module, number]> {
  const wabt = await initialise();
  const module = wabt.readWasm(await coreBytes(), FEATURES);
  module.generateNames();
  module.applyNames();
  const text = module.toText({ foldExprs: false, inlineExport: false });
  let pauses = 0;
  const pausing = edit(text)
    .replace(/^ *\S+\.atomic\..*$/gm, (line) => {
      pauses++;
      return `call $pause\n${line}`;
    })
    .replace("(import", '(import "step" "pause" (func $pause))\n(import');
  const { buffer } = wabt.parseWat("core.wat", pausing, FEATURES).toBinary({});
  return [await WebAssembly.compile(new Uint8Array(buffer)), pauses];
}

/** A worker whose calls stop before each atomic instruction until it is their turn. */
export class SteppedEngine extends CoreEngine {
  readonly #stepper: Stepper;

  constructor(subject: CoreSubject, number: number, module: WebAssembly.Module) {
    const stepper = new Stepper();
    super(subject, number, (_, memory, base): ReturnType<typeof instantiateCore> => {
      const pause = new Suspending(() => stepper.pause());
      const imports = { env: { memory }, base: { ...base }, step: { pause } };
      const { exports } = new WebAssembly.Instance(module, imports as unknown as WebAssembly.Imports);
      return exports as unknown as ReturnType<typeof instantiateCore>;
    });
    this.#stepper = stepper;
  }

  protected override *call(name: Call, ...parameters: number[]): Steps<number> {
    yield;
    const stepper = this.#stepper;
    stepper.begin(promising(this.core[name])(...parameters));
    while (stepper.answer === null) yield;
    return stepper.answer;
  }

  /** Lets the call continue to its next pause, or its end. */
  advance(): Promise<void> {
    return this.#stepper.advance();
  }
}

class Stepper {
  answer: number | null = 0;
  #resume: (() => void) | null = null;
  #arrived: Promise<void> = Promise.resolve();
  #arrive: () => void = () => {};
  /** The core has trapped: one of its assertions does not hold. */
  #fail: (error: unknown) => void = () => {};

  begin(call: Promise<number>): void {
    this.answer = null;
    if (this.#resume === null) this.#expect();
    call.then(
      (answer) => {
        this.answer = answer;
        this.#arrive();
      },
      (error: unknown) => this.#fail(error),
    );
  }

  #expect(): void {
    this.#arrived = new Promise((resolve, reject) => {
      this.#arrive = resolve;
      this.#fail = reject;
    });
  }

  pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#resume = resolve;
      this.#arrive();
    });
  }

  async advance(): Promise<void> {
    await this.#arrived;
    if (this.answer !== null || this.#resume === null) return;
    const resume = this.#resume;
    this.#resume = null;
    this.#expect();
    resume();
    await this.#arrived;
  }
}

/** A window of stepped workers. */
export class SteppedSubject extends CoreSubject {
  readonly stepped: readonly SteppedEngine[];

  constructor(module: WebAssembly.Module, workers: number) {
    super();
    this.stepped = Array.from({ length: workers }, (_, number) => new SteppedEngine(this, number, module));
  }
}
