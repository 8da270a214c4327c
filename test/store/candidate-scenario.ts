/**
 * Candidates beside a model: made, committed, released, in any order with all else that happens to a history,
 * with collections, evictions and sweeps whenever they can be.
 */

import assert from "node:assert/strict";
import type { StoreSettings } from "../../runtime/chain/options.ts";
import type { Block, Candidate, Runtime } from "../../runtime/index.ts";
import { verifyStore } from "../../runtime/store.ts";
import { HistoryModel } from "../chain/history-model.ts";
import { open } from "../fixture.ts";
import { random } from "../kernel/trees.ts";
import { AT, faulting, sweepingAlways, WINDOW, writing } from "./failing.ts";

const LIMIT = 8;
const RETAIN = 6;
const OPTIONS = { workers: 2, runner: "sequential", retainBlocks: RETAIN, candidatesLimit: LIMIT } as const;
/** Different blocks that can follow on one: few, so that they are made again and again. */
const VALUES = 4;

const ids = (blocks: readonly Block[]): string[] => blocks.map(({ id }) => id);

/** A candidate as it must be. */
interface Expected {
  readonly handle: Candidate;
  /** Null: a retained block. */
  parent: Expected | null;
}

/** Does `operations` random operations; throws if anything is not as it must be. */
export function withCandidates(
  path: string,
  durability: "block" | "logged",
  seed: number,
  operations: number,
): Promise<Readonly<Record<string, number>>> {
  return sweepingAlways(async () => {
    const runtime = await open([], { ...OPTIONS, store: { path, durability } });
    // It makes every block there ever is, one after the other, and forgets none.
    const plain = await open([], { ...OPTIONS, workers: 1, retainBlocks: 1 << 18 });
    const scenario = new Scenario(runtime, plain, random(seed));
    try {
      for (let i = 0; i < operations; i++) await scenario.operation();
      await scenario.end();
      assert.deepEqual((await verifyStore(path)).damages, []);
      return scenario.counts;
    } finally {
      await Promise.all([runtime.close(), plain.close()]);
    }
  });
}

class Scenario {
  readonly #runtime: Runtime;
  readonly #plain: Runtime;
  readonly #next: (limit: number) => number;
  /** The memory of the root in every block. */
  readonly #states = new Map<string, Buffer>();
  readonly counts = { executed: 0, committed: 0, stale: 0, ended: 0, full: 0 };
  #model: HistoryModel;
  #live: Expected[] = [];
  /** What is to be made in the runtime beside. */
  #made: Promise<unknown> = Promise.resolve();
  #released = 0;

  constructor(runtime: Runtime, plain: Runtime, next: (limit: number) => number) {
    this.#runtime = runtime;
    this.#plain = plain;
    this.#next = next;
    this.#model = new HistoryModel([runtime.head], runtime.head.id);
    (async () => {
      for await (const { kind } of runtime.events()) if (kind === "release") this.#released++;
    })();
  }

  #some<T>(list: readonly T[]): T | undefined {
    return list[this.#next(list.length)];
  }

  async operation(): Promise<void> {
    const runtime = this.#runtime;
    const some = this.#some(runtime.retained()) as Block;
    const candidate = this.#some(this.#live);
    switch (this.#next(16)) {
      case 0:
        await runtime.revert(some);
        this.#model = this.#model.goTo(some.id);
        break;
      case 1: {
        const keep = 1 + this.#next(RETAIN);
        await runtime.prune(keep);
        this.#model = this.#model.forget(this.#model.excess(keep));
        break;
      }
      case 2:
        await runtime.engine.collect({ force: true, evict: this.#next(2) === 0 });
        break;
      case 3:
      case 4:
        if (candidate !== undefined) await this.#release(candidate);
        break;
      case 5:
        await this.#fork(candidate?.handle ?? some);
        break;
      case 6:
        await this.#reorg(some);
        break;
      case 7:
        if (candidate !== undefined) await this.#commit(candidate);
        break;
      case 8:
        if (candidate !== undefined) await this.#commit(this.#on(this.#model.head) ?? candidate);
        break;
      case 9:
        await assert.rejects(runtime.execute(faulting(), { on: some }), {
          code: this.#live.length < LIMIT ? "BLOCK_FAULT" : "TOO_MANY_CANDIDATES",
        });
        break;
      case 10:
        this.#pushed([await runtime.produce(this.#metadata())]);
        break;
      default:
        await this.#execute();
    }
    this.#settle();
    await this.#check();
  }

  #metadata(): Uint8Array {
    return writing(this.#next(VALUES));
  }

  /** One or several side by side, perhaps beside a block. */
  async #execute(): Promise<void> {
    const runtime = this.#runtime;
    const runs = Array.from({ length: 1 + this.#next(3) }, () => {
      const parent = this.#next(2) === 0 ? this.#some(this.#live) : undefined;
      const on = parent?.handle ?? (this.#some(runtime.retained()) as Block);
      const metadata = this.#metadata();
      const asked = runtime.execute(metadata, { on });
      return { parent: parent ?? null, on, metadata, asked };
    });
    const produced = this.#next(4) === 0 ? runtime.produce(this.#metadata()) : null;
    const ended = await Promise.allSettled(runs.map(({ asked }) => asked));
    if (produced !== null) this.#pushed([await produced]);
    let room = LIMIT - this.#live.length;
    for (const [i, { parent, on, metadata }] of runs.entries()) {
      const result = ended[i] as PromiseSettledResult<Candidate>;
      if (result.status === "rejected") {
        const { code } = result.reason;
        if (code === "TOO_MANY_CANDIDATES") {
          this.counts.full++;
          assert.ok(room <= 0, "there was room");
        } else {
          assert.equal(code, "NOT_RETAINED", String(result.reason));
          assert.equal(this.#model.find(on.id), undefined);
        }
        continue;
      }
      room--;
      this.counts.executed++;
      const handle = result.value;
      await this.#checkBlock(on, metadata, handle);
      this.#live.push({ handle, parent });
      this.#settle();
    }
  }

  /** The candidate is the block that is made without candidates. */
  async #checkBlock(on: Block, metadata: Uint8Array, made: Block): Promise<void> {
    const plain = this.#plain;
    await this.#made;
    await plain.revert({ ...on });
    const block = await plain.produce(metadata);
    const { height, id, parent, root, data, gasUsed, ended } = made;
    assert.deepEqual({ height, id, parent, root, data, gasUsed, ended }, block);
    this.#states.set(id, Buffer.from(plain.read([], AT, WINDOW)));
  }

  #pushed(blocks: readonly Block[]): void {
    for (const block of blocks) {
      this.#model = this.#model.push(block);
      this.#note(block);
    }
    this.#model = this.#model.forget(this.#model.excess(RETAIN));
  }

  /** Every block is made in the runtime beside as well, for candidates on it. */
  #note(block: Block): void {
    if (this.#states.has(block.id)) return;
    this.#states.set(block.id, Buffer.from(this.#runtime.read([], AT, WINDOW, block)));
    const input = this.#runtime.input(block);
    this.#made = this.#made.then(async () => {
      const before = this.#plain.retained().find(({ id }) => id === block.parent) as Block;
      await this.#plain.revert(before);
      const again = await this.#plain.produce(input.metadata, { gasLimit: input.gasLimit });
      assert.deepEqual(again, block);
    });
  }

  async #commit(one: Expected): Promise<void> {
    const { handle } = one;
    if (handle.parent !== this.#model.head) {
      this.counts.stale++;
      return assert.rejects(this.#runtime.commit(handle), { code: "STALE" });
    }
    const { blocks } = this.#runtime.metrics();
    const block = await this.#runtime.commit(handle);
    assert.equal(this.#runtime.metrics().blocks, blocks, "nothing ran");
    this.counts.committed++;
    this.#pushed([block]);
    this.#end(one);
  }

  async #release(one: Expected): Promise<void> {
    await this.#runtime.release(one.handle);
    this.counts.ended++;
    this.#end(one);
  }

  /** It is not live any more; those on it continue if it is retained. */
  #end(one: Expected): void {
    this.#live = this.#live.filter((other) => other !== one);
    for (const other of this.#live) {
      if (other.parent === one && this.#model.find(one.handle.id) !== undefined) other.parent = null;
    }
  }

  /** Ends those whose parent is gone. */
  #settle(): void {
    for (;;) {
      const gone = this.#live.find(({ parent, handle }) =>
        parent === null ? this.#model.find(handle.parent) === undefined : !this.#live.includes(parent),
      );
      if (gone === undefined) return;
      this.counts.ended++;
      this.#end(gone);
    }
  }

  async #fork(at: Block | Candidate): Promise<void> {
    const fork = await this.#runtime.fork({ at });
    assert.equal(fork.head.id, at.id);
    assert.equal(fork.inspect([])?.hash, at.root);
    const metadata = this.#metadata();
    const block = await fork.produce(metadata);
    await this.#checkBlock(at, metadata, block);
    await fork.close();
  }

  /** Over some candidates, then inputs; perhaps with one that faults. */
  async #reorg(to: Block): Promise<void> {
    const used: Expected[] = [];
    let at = to.id;
    for (let next = this.#on(at); next !== undefined && this.#next(4) > 0; next = this.#on(at)) {
      used.push(next);
      at = next.handle.id;
    }
    const inputs = Array.from({ length: this.#next(3) }, () => ({ metadata: this.#metadata() }));
    const handles = used.map(({ handle }) => handle);
    const stale = this.#live.find(({ handle }) => handle.parent !== at);
    if (stale !== undefined && inputs.length === 0 && this.#next(3) === 0) {
      const asked = this.#runtime.reorg({ to, blocks: [...handles, stale.handle] });
      return assert.rejects(asked, { code: "STALE" });
    }
    if (this.#next(3) === 0) {
      const blocks = [...handles, ...inputs, { metadata: faulting() }];
      return assert.rejects(this.#runtime.reorg({ to, blocks }), { code: "BLOCK_FAULT" });
    }
    await this.#runtime.reorg({ to, blocks: [...handles, ...inputs] });
    this.#model = this.#model.goTo(to.id);
    const count = handles.length + inputs.length;
    // Not all of them are retained, perhaps.
    this.#pushed(count === 0 ? [] : this.#runtime.blocks().slice(-count));
    this.counts.committed += used.length;
    for (const one of used) this.#end(one);
  }

  #on(id: string): Expected | undefined {
    return this.#some(this.#live.filter(({ handle }) => handle.parent === id));
  }

  async #check(): Promise<void> {
    const runtime = this.#runtime;
    await this.#made;
    assert.equal(runtime.head.id, this.#model.head);
    assert.deepEqual(ids(runtime.retained()), this.#model.all());
    assert.equal(runtime.metrics().candidates, this.#live.length);
    for (const { handle } of this.#live) {
      assert.equal(runtime.inspect([], handle)?.hash, handle.root);
      const state = this.#states.get(handle.id) as Buffer;
      assert.ok(state.equals(runtime.read([], AT, WINDOW, handle)), "a candidate reads other bytes");
    }
    const block = this.#some(runtime.retained()) as Block;
    await runtime.recompute(block);
    assert.equal(runtime.inspect([], block)?.hash, block.root);
  }

  /** Every end that was not a commit was told of, and nothing but the history is left. */
  async end(): Promise<void> {
    const runtime = this.#runtime;
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(this.#released, this.counts.ended);
    const { path } = runtime.engine.settings.store as StoreSettings;
    const retained = runtime.retained();
    await runtime.close();
    const again = await open([], { ...OPTIONS, store: path });
    assert.deepEqual(again.retained(), retained);
    for (const block of retained) {
      await again.recompute(block);
      assert.equal(again.inspect([], block)?.hash, block.root);
    }
    await again.close();
  }
}
