/** Runtimes on stores whose transactions fail when a test says so, and that sweep as often as they can. */

import { existsSync, writeFileSync } from "node:fs";
import type { RuntimeOptions } from "../../runtime/index.ts";
import { Store } from "../../runtime/store/store.ts";
import { SCRATCH, Script } from "../driver.ts";
import { random } from "../kernel/trees.ts";

export const AT = SCRATCH + 0x80000;
export const WINDOW = 64 * 4096;
/** Objects that a sweep looks at in one step: few, so that there are many steps. */
const SLICE = 24;

/** A block that writes here and there; what it writes follows from `value`. */
export function writing(value: number): Uint8Array {
  const next = random(value);
  const script = new Script();
  for (let i = 1 + next(5); i > 0; i--) script.fill(AT + next(60) * 4096, 1 + next(9000), next(256));
  script.store(AT, BigInt(value));
  return script.metadata();
}

/** A block that faults. */
export function faulting(): Uint8Array {
  const script = new Script();
  script.fill(AT, 5000, 77);
  script.trap();
  return script.metadata();
}

/** A store in `path` of which transactions can be made to fail. */
export class FailingStore {
  readonly #plan: string;
  readonly options: Exclude<RuntimeOptions["store"], undefined | string>;

  constructor(path: string) {
    this.#plan = `${path}.plan`;
    const steps = new URL("planned-steps.ts", import.meta.url);
    steps.searchParams.set("plan", this.#plan);
    this.options = { path, durability: "block", steps: steps.href };
  }

  /** The step after `steps` others fails, and as many more as make `count`. */
  failAfter(steps: number, count = 1): void {
    writeFileSync(this.#plan, `${steps} ${count}`);
  }

  /** Whether failures are still to come. */
  get isPlanned(): boolean {
    return existsSync(this.#plan);
  }
}

type Replaced = { [name: string]: unknown };

/** Replaces methods of a class while `use` runs. */
export async function replacing<T>(
  target: object,
  methods: Readonly<Record<string, unknown>>,
  use: () => Promise<T>,
): Promise<T> {
  const prototype = target as Replaced;
  const before = Object.getOwnPropertyDescriptors(target);
  for (const [name, method] of Object.entries(methods)) {
    Object.defineProperty(prototype, name, { value: method, configurable: true, writable: true });
  }
  try {
    return await use();
  } finally {
    for (const name of Object.keys(methods)) {
      Object.defineProperty(prototype, name, before[name] as PropertyDescriptor);
    }
  }
}

/** Every change of a store begins a sweep in the background, which takes many steps. */
export function sweepingAlways<T>(use: () => Promise<T>): Promise<T> {
  const { change, sweep } = Store.prototype;
  const methods = {
    change: async function (this: Store, ...args: Parameters<typeof change>) {
      return { ...(await change.apply(this, args)), sweepDue: true };
    },
    sweep: function (this: Store, number: number) {
      return sweep.call(this, number, SLICE);
    },
  };
  return replacing(Store.prototype, methods, use);
}
