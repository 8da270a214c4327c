/**
 * The programs that an app has had: from the block of an upgrade on, calls, outcomes and state are those of
 * another program. A program is named by the SHA-256 of its bytes in hex; the data of a block starts with the
 * first digits of it.
 */

import type { Block, Runtime } from "../index.ts";
import { Client } from "../typed/client.ts";
import { readInterface } from "../typed/interface.ts";
import { programIn } from "./blocks.ts";
import { knownViews, type Read, type StateView, stateViews } from "./state.ts";

/** The path of the app's process. */
export const APP: readonly number[] = [1];
/** u64 height · u64 time, which the root writes into the first line of the state of the app's process. */
export const CONTEXT_BYTES = 16;

/** A program of an app. */
export interface AppProgram {
  readonly name: string;
  readonly client: Client;
  /** Its state as it is in the latest block. */
  readonly state: Readonly<Record<string, StateView>>;
}

export class Programs {
  readonly #runtime: Runtime;
  readonly #known = new Map<string, AppProgram>();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** The program of the app in the latest block. */
  get latest(): AppProgram {
    return this.of(this.#runtime.head);
  }

  /** The program of the app in a block: one of the chain by height, or any retained one or candidate. */
  at(block: number | Block): AppProgram {
    return typeof block === "number"
      ? this.#named(programAt(this.#runtime, block) as string)
      : this.of(block);
  }

  /** The program that ran in a block. The block need not be retained: its data name the program. */
  of(block: Block): AppProgram {
    const begins = programIn(block.data);
    for (const [name, program] of this.#known) if (begins !== null && name.startsWith(begins)) return program;
    const names = [this.#runtime.head, block].flatMap((each) => this.#programs(each));
    const name = begins === null ? undefined : names.find((each) => each.startsWith(begins));
    return this.#named(name ?? (programAt(this.#runtime, block) as string));
  }

  /** Programs that the rules of a block name; none if it is not retained. */
  #programs(block: Block): readonly string[] {
    try {
      return this.#runtime.rules(block).programs;
    } catch {
      return [];
    }
  }

  #named(name: string): AppProgram {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const client = new Client(readInterface(this.#runtime.programBytes(name)));
    const read: Read = (address, length) => this.#runtime.read(APP, address, length);
    const program = { name, client, state: knownViews(stateViews(client.description, read)) };
    this.#known.set(name, program);
    return program;
  }
}

/** The name of the app's program in a block; null if there is no app yet. */
export function programAt(runtime: Runtime, block?: number | Block): string | null {
  return runtime.inspect(APP, block)?.program ?? null;
}
