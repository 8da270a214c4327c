/**
 * A runtime on a store that fails now and then, beside a model: any operations in any order, with
 * collections, evictions and sweeps whenever they can be.
 */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import type { Block, Chain, Runtime } from "../../runtime/index.ts";
import { openReader, verifyStore } from "../../runtime/store.ts";
import { HistoryModel } from "../chain/history-model.ts";
import { open } from "../fixture.ts";
import { random } from "../kernel/trees.ts";
import { AT, FailingStore, faulting, sweepingAlways, WINDOW, writing } from "./failing.ts";

const OPTIONS = { workers: 1, runner: "sequential", retainBlocks: 10 } as const;
const FORKS_LIMIT = 2;
const STEPS_LIMIT = 40;

const ids = (blocks: readonly Block[]): string[] => blocks.map(({ id }) => id);

interface Fork {
  readonly runtime: Runtime;
  readonly model: HistoryModel;
}

/** Does `operations` random operations; throws if anything is not as it must be. */
export function withFailures(
  path: string,
  seed: number,
  operations: number,
): Promise<{ failures: number; collections: number }> {
  return sweepingAlways(async () => {
    const scenario = new Scenario(new FailingStore(path), random(seed));
    try {
      await scenario.open();
      for (let i = 0; i < operations; i++) await scenario.operation();
      return await scenario.end();
    } catch (error) {
      await scenario.abandon();
      throw error;
    }
  });
}

class Scenario {
  readonly #store: FailingStore;
  readonly #next: (limit: number) => number;
  /** Where the runtime may be after a failure; the last is where it is without one. */
  #models: HistoryModel[] = [];
  /** The memory of the root in every block that there was. */
  readonly #states = new Map<string, Buffer>();
  readonly #forks: Fork[] = [];
  #runtime!: Runtime;
  #forkCount = 0;
  #failures = 0;
  #collections = 0;

  constructor(store: FailingStore, next: (limit: number) => number) {
    this.#store = store;
    this.#next = next;
  }

  get #model(): HistoryModel {
    return this.#models.at(-1) as HistoryModel;
  }

  async open(): Promise<void> {
    this.#runtime = await open([], { ...OPTIONS, store: this.#store.options });
    const { head } = this.#runtime;
    this.#models = [this.#models.at(-1) ?? new HistoryModel([head], head.id)];
    this.#note([head]);
    await this.check();
  }

  async operation(): Promise<void> {
    const next = this.#next;
    const runtime = this.#runtime;
    if (next(3) === 0) {
      // A write is tried again behind a sweep: it takes a few for one that is given up.
      this.#store.failAfter(next(STEPS_LIMIT), 1 + next(4));
    }
    const retained = runtime.retained();
    const some = retained[next(retained.length)] as Block;
    switch (next(14)) {
      case 0:
        return this.#restart();
      case 1:
        return this.#attempt(runtime.revert(some), () => this.#model.goTo(some.id));
      case 2:
      case 3:
        return this.#reorg(some);
      case 4:
        return this.#setPinned(some, true);
      case 5:
        return this.#setPinned(some, false);
      case 6: {
        const keep = 1 + next(10);
        const pruned = this.#model.forget(this.#model.excess(keep));
        // It may be the sweep that fails, when the blocks are forgotten.
        this.#models.push(pruned);
        return this.#attempt(runtime.prune(keep), () => pruned);
      }
      case 7:
        await runtime.engine.collect({ force: true, evict: next(2) === 0 });
        return this.check();
      case 8:
        return this.#fork();
      case 9:
        return this.#forkToStore();
      case 10:
        await assert.rejects(runtime.produce(faulting()), (error: { code: string }) => {
          if (error.code !== "BLOCK_FAULT") this.#failed(error);
          return true;
        });
        return this.check();
      default:
        // Few different ones, so that blocks are made again that are still retained.
        return this.#attempt(runtime.produce(writing(next(6))), (block) => this.#retained([block]));
    }
  }

  /** All is there, also for whoever opens it again. */
  async end(): Promise<{ failures: number; collections: number }> {
    await this.#restart();
    assert.deepEqual((await verifyStore(this.#store.options.path)).damages, []);
    for (const block of this.#runtime.retained()) this.#checkState(this.#runtime, block);
    await this.#close();
    return { failures: this.#failures, collections: this.#collections };
  }

  /** Waits for what was asked for; the model follows if it was done, and stays if the store failed. */
  async #attempt<T>(asked: Promise<T>, follow: (result: T) => HistoryModel): Promise<void> {
    try {
      const result = await asked;
      this.#models.push(follow(result));
    } catch (error) {
      this.#failed(error as { code: string });
    }
    await this.check();
  }

  /** The store failed: the runtime is where it was after one of the changes that were acknowledged. */
  #failed(error: { code: string }): void {
    assert.equal(error.code, "STORE_FULL", String(error));
    this.#failures++;
    const { head } = this.#runtime;
    const retained = ids(this.#runtime.retained());
    const found = this.#models.findLast(
      (model) => model.head === head.id && model.all().join() === retained.join(),
    );
    assert.ok(found !== undefined, "the runtime is where it never was");
    this.#models = [found];
  }

  /** The model with these blocks on top, as far as they are retained. */
  #retained(blocks: readonly Block[], model = this.#model): HistoryModel {
    this.#note(blocks);
    const pushed = blocks.reduce((before, block) => before.push(block), model);
    return pushed.forget(pushed.excess(OPTIONS.retainBlocks));
  }

  #note(blocks: readonly Block[]): void {
    for (const block of blocks) {
      if (this.#states.has(block.id)) continue;
      if (!this.#runtime.retained().some(({ id }) => id === block.id)) continue;
      this.#states.set(block.id, Buffer.from(this.#runtime.read([], AT, WINDOW, block)));
    }
  }

  /** Whether a block is pinned cannot be seen, so a failure must say that it is not. */
  #setPinned(block: Block, pinned: boolean): Promise<void> {
    const runtime = this.#runtime;
    this.#models = [this.#model];
    const set = pinned ? runtime.pin(block) : runtime.unpin(block);
    return this.#attempt(set, () => this.#model.setPinned(block.id, pinned));
  }

  async #reorg(to: Block): Promise<void> {
    const next = this.#next;
    const blocks = Array.from({ length: 1 + next(4) }, () => ({ metadata: writing(next(6)) }));
    const fails = next(3) === 0;
    if (fails) blocks.push({ metadata: faulting() });
    const asked = this.#runtime.reorg({ to, blocks });
    // Between two of its blocks.
    const collecting = (async () => {
      for (let i = next(8); i > 0; i--) await setImmediate();
      await this.#runtime.engine.collect({ force: true, evict: next(2) === 0 });
    })();
    const ended = asked.catch((error) => {
      if (error.code !== "BLOCK_FAULT") throw error;
      assert.ok(fails);
      return null;
    });
    await this.#attempt(
      ended.finally(() => collecting),
      (change) => {
        if (change === null) return this.#model;
        assert.equal(fails, false);
        // Those that were on the chain before are not among the added: all of the new chain is looked up.
        const made = this.#runtime.blocks().slice(-blocks.length);
        return this.#retained(made, this.#model.goTo(to.id));
      },
    );
  }

  async #fork(): Promise<void> {
    if (this.#forks.length === FORKS_LIMIT) {
      const [{ runtime }] = this.#forks.splice(this.#next(FORKS_LIMIT), 1) as [Fork];
      return runtime.close();
    }
    await this.#attempt(this.#runtime.fork(), (runtime) => {
      this.#forks.push({ runtime, model: this.#model });
      return this.#model;
    });
  }

  async #forkToStore(): Promise<void> {
    const { path } = this.#store.options;
    const store = new FailingStore(`${path}-${this.#forkCount++}`);
    if (this.#next(2) === 0) store.failAfter(this.#next(STEPS_LIMIT));
    let fork: Runtime | null = null;
    const asked = this.#runtime.fork({ store: store.options }).then(
      (runtime) => {
        fork = runtime;
      },
      (error) => {
        // That of the first store, before it began.
        if (error.facts.path !== store.options.path) throw error;
        assert.equal(error.code, "STORE_FULL");
      },
    );
    const { isPlanned } = store;
    await this.#attempt(asked, () => this.#model);
    if (fork === null) {
      if (isPlanned && !store.isPlanned) assert.equal(existsSync(store.options.path), false);
      return;
    }
    await (fork as Runtime).close();
    const reader = await openReader(store.options.path);
    assert.deepEqual(ids(reader.retained()), this.#model.all());
    for (const block of reader.retained()) this.#checkState(reader, block);
    await reader.close();
  }

  /** Something is not as it must be: lets go of everything. */
  async abandon(): Promise<void> {
    for (const { runtime } of [{ runtime: this.#runtime }, ...this.#forks]) {
      await runtime.close().catch(() => {});
    }
  }

  /** Forks are closed first: the store is not let go while they may need it. */
  async #close(): Promise<void> {
    for (const { runtime } of this.#forks.splice(0)) await runtime.close();
    this.#collections += this.#runtime.metrics().collections;
    await this.#runtime.close().catch((error) => this.#failed(error));
  }

  async #restart(): Promise<void> {
    await this.#close();
    await this.open();
  }

  /** All is as the model says. */
  async check(): Promise<void> {
    const runtime = this.#runtime;
    const model = this.#model;
    assert.equal(runtime.head.id, model.head);
    assert.deepEqual(ids(runtime.blocks()), model.chain());
    assert.deepEqual(ids(runtime.retained()), model.all());
    for (const one of [{ runtime, model }, ...this.#forks]) {
      const retained = one.runtime.retained();
      assert.deepEqual(ids(retained), one.model.all());
      for (const block of [one.runtime.head, retained[this.#next(retained.length)] as Block]) {
        this.#checkState(one.runtime, block);
      }
    }
  }

  #checkState(runtime: Chain, block: Block): void {
    assert.equal(runtime.inspect([], block)?.hash, block.root);
    const known = this.#states.get(block.id);
    if (known === undefined) return;
    assert.ok(known.equals(runtime.read([], AT, WINDOW, block)), `block ${block.height} reads other bytes`);
  }
}
