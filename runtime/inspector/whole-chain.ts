/**
 * A chain that has the states of all its retained blocks: those that are not at hand are made, one after the
 * other, and the last few are kept.
 *
 * To look at a state is synchronous, and to make one is not. So whoever looks at one that is missing is
 * refused with StateMissing, and `whole` makes the state and lets them start again: as a page fault does.
 */

import type { ArchivedBlock } from "../chain/archive.ts";
import { Chain, type Outline, type Side } from "../chain/chain.ts";
import { Remade } from "../chain/remade.ts";
import { StillpointError, UsageError } from "../errors.ts";
import { type Block, type RetainedInput, type Rules, Runtime } from "../index.ts";
import { Reader } from "../store.ts";
import { SharedRun } from "./shared-run.ts";

/** Runtimes with states that were made. A view looks at two states at most, which may be of two chains. */
const KEPT = 3;
/** How often a view starts again: others may have had more states made meanwhile. */
const TRIES = 8;

/** The state of a block is not there, and can be made. */
class StateMissing extends StillpointError {
  readonly make: (signal: AbortSignal | null) => Promise<void>;

  constructor(error: UsageError, make: StateMissing["make"]) {
    super(error.code, error.message, error.facts);
    this.make = make;
  }
}

/**
 * Calls `look` until no state is missing that it looks at. One that nobody waits for any more, for all of
 * their signals were aborted, is given up.
 */
export async function whole<T>(look: () => T | Promise<T>, signal: AbortSignal | null = null): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await look();
    } catch (error) {
      if (!(error instanceof StateMissing) || tries === TRIES) throw error;
      await error.make(signal);
    }
  }
}

export class WholeChain extends Chain implements AsyncDisposable {
  readonly #chain: Chain;
  readonly #made: Remade[] = [];
  readonly #making = new Map<string, SharedRun<void>>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(chain: Chain) {
    super();
    this.#chain = chain;
  }

  /** Height of the stored block from whose state that of another is made; null: it is not made. */
  madeFrom(block: Block): number | null {
    if (!(this.#chain instanceof Reader)) return null;
    const { anchor, above } = this.#chain.wayTo(block);
    return above.length === 0 ? null : anchor.height;
  }

  withState<T>(block: number | Block | undefined, look: (state: Side) => T): T {
    const found = typeof block === "object" ? block : this.#at(block);
    for (const made of this.#made) {
      const name = made.nameOf(found.id);
      if (name !== undefined) return made.runtime.withState(name, look);
    }
    try {
      this.#chain.withState(found, () => {});
    } catch (error) {
      if (!(error instanceof UsageError) || error.code !== "NO_STATE") throw error;
      throw new StateMissing(error, (signal) => this.#waitFor(found.id, signal));
    }
    return this.#chain.withState(found, look);
  }

  #at(height: number | undefined): Block {
    if (height === undefined) return this.head;
    const found = this.blocks().find((block) => block.height === height);
    if (found !== undefined) return found;
    throw new UsageError("NOT_RETAINED", `the chain has no block of height ${height}`, { height });
  }

  /** Waits for a state that is missing, and is made if nobody waits for it yet. */
  #waitFor(id: string, signal: AbortSignal | null): Promise<void> {
    const known = this.#making.get(id);
    return (known?.isGivenUp === false ? known : this.#begin(id)).wait(signal);
  }

  #begin(id: string): SharedRun<void> {
    const making = new SharedRun((signal) => this.#turn.then(() => this.#make(id, signal)));
    this.#making.set(id, making);
    this.#turn = making.result
      .catch(() => {})
      .then(() => {
        if (this.#making.get(id) === making) this.#making.delete(id);
      });
    return making;
  }

  async #make(id: string, signal: AbortSignal): Promise<void> {
    if (this.#made.some((made) => made.nameOf(id) !== undefined)) return;
    const chain = this.#chain;
    if (chain instanceof Runtime) await chain.recompute(chain.blockOf(id), { signal });
    if (!(chain instanceof Reader)) return;
    this.#made.push(await Remade.of(chain, chain.blockOf(id), signal));
    if (this.#made.length > KEPT) await this.#made.shift()?.[Symbol.asyncDispose]();
  }

  /** Closes what was made, and not the chain itself. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turn;
    for (const made of this.#made.splice(0)) await made[Symbol.asyncDispose]();
  }

  get genesis(): string {
    return this.#chain.genesis;
  }

  get origin(): string | null {
    return this.#chain.origin;
  }

  get head(): Block {
    return this.#chain.head;
  }

  blocks(): readonly Block[] {
    return this.#chain.blocks();
  }

  retained(): readonly Block[] {
    return this.#chain.retained();
  }

  outline(): Outline {
    return this.#chain.outline();
  }

  override blockOf(id: string): Block {
    return this.#chain.blockOf(id);
  }

  input(block?: number | Block): RetainedInput {
    return this.#chain.input(block);
  }

  rules(block?: number | Block): Rules {
    return this.#chain.rules(block);
  }

  programBytes(program: string): Uint8Array {
    return this.#chain.programBytes(program);
  }

  archived(target: number | string): Promise<ArchivedBlock | null> {
    return this.#chain.archived(target);
  }

  blockHeader(block?: number | Block): Uint8Array {
    return this.#chain.blockHeader(block);
  }
}
