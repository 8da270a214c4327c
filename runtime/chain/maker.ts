/**
 * Making blocks: what runs on top of which state, what becomes of the result, and which blocks go for it.
 *
 * `execute` may run beside anything; all else here is for one call at a time, whose draft is the journal's.
 */

import type { BatchReport } from "../batch/evidence.ts";
import { StillpointError, UsageError } from "../errors.ts";
import type { Ref } from "../heap/heap.ts";
import { lookAt } from "../heap/stub.ts";
import { loadProcess } from "../image/process.ts";
import { checkCapacity } from "../worker/upgrade.ts";
import { type Block, type BlockRun, makeBlock, type Retained } from "./block.ts";
import { type Base, Candidate } from "./candidates.ts";
import type { Engine } from "./engine.ts";
import type { BlockName, Change, History } from "./history.ts";
import type { Input } from "./input.ts";
import type { Journal } from "./journal.ts";
import { type RulesOfBlock, rulesOf, unchanged } from "./upgrade.ts";

/** What `reorg` changed. */
export interface Reorg {
  /** Blocks of the chain that are not on it any more, newest first. */
  readonly removed: readonly Block[];
  /** Blocks that came instead, oldest first; the last is the head. */
  readonly added: readonly Block[];
  readonly head: Block;
}

/** What `prune` freed. */
export interface Pruned {
  readonly blocks: number;
  /** In the store; its file does not shrink, the space is used again. 0 without a store. */
  readonly objects: number;
  readonly bytes: number;
}

/** A block that can run. */
interface Prepared {
  readonly ref: Ref;
  readonly rules: RulesOfBlock;
  readonly gasLimit: number;
}

/** Forgets at most this number of blocks because the heap is full; returns how many. */
type Forget = (count: number) => Promise<number>;

export class Maker {
  readonly #engine: Engine;
  readonly #journal: Journal;
  readonly #closing: AbortSignal;

  /** `closing` is aborted when whatever runs is to be given up. */
  constructor(engine: Engine, journal: Journal, closing: AbortSignal) {
    this.#closing = closing;
    this.#engine = engine;
    this.#journal = journal;
  }

  /** Runs a block on the head, and makes it the head once it is durable. It was asked for at `called`. */
  async produce(input: Input, called: number): Promise<Block> {
    const journal = this.#journal;
    this.#engine.latency.since(called, "wait");
    const { head } = journal.history;
    const keep = (entry: Retained) => ({ entry, written: this.#push(entry) });
    const { entry, written } = await this.#run(head, input, keep, (count) =>
      this.makeRoom(count, head.block),
    );
    await written;
    return entry.block;
  }

  /** Runs a block on top of `base`, which is a candidate then. */
  execute(base: Base, input: Input, forget: Forget): Promise<Candidate> {
    const { candidates } = this.#journal;
    return this.#run(base.entry, input, (entry, hints) => candidates.add(base, entry, hints), forget);
  }

  /**
   * Makes a candidate that stands on the head the head. If it cannot be written, it is a candidate as before.
   */
  async commit(candidate: Candidate): Promise<Block> {
    const { candidates, history } = this.#journal;
    const entry = candidates.get(candidate);
    checkParent(entry, history.head.block);
    await this.#push(entry);
    return entry.block;
  }

  /** A block on top of the head, and what is not retained any more for it. */
  #push(entry: Retained): Promise<void> {
    const journal = this.#journal;
    const pushed: Change = { kind: "push", entry };
    return journal.write([pushed, ...this.#excessAfter(journal.history, pushed)]);
  }

  /** Goes to a retained block, and from there over blocks that are run, or candidates: all or nothing. */
  async reorg(to: number | Block, blocks: readonly (Input | Candidate)[]): Promise<Reorg> {
    const journal = this.#journal;
    const before = journal.history;
    const base = before.find(to);
    await journal.recompute(base, null);
    const target = base.block;
    const changes: Change[] = [{ kind: "goTo", block: target }];
    const made: Retained[] = [];
    journal.draft = before.apply(changes);
    const draft = (): History => journal.draft as History;
    const keep = (entry: Retained): { entry: Retained } => {
      const pushed: Change = { kind: "push", entry };
      changes.push(pushed);
      // To make room for it, blocks may have been forgotten since.
      journal.draft = draft().apply([pushed]);
      return { entry };
    };
    for (const [index, block] of blocks.entries()) {
      const { head } = draft();
      try {
        const { entry } =
          block instanceof Candidate
            ? keep(this.#candidateOn(head, block))
            : await this.#run(head, block, keep, (count) => this.makeRoom(count, target));
        await journal.stage(entry);
        made.push(entry);
      } catch (error) {
        if (!(error instanceof StillpointError)) throw error;
        throw error.locate(`blocks[${index}] of the reorg`, { index, height: head.block.height + 1 });
      }
    }
    const removed: Block[] = [];
    for (let next: Retained | undefined = before.head; next && !draft().isOnChain(next.block); ) {
      removed.push(next.block);
      next = before.parent(next);
    }
    const added = made.flatMap(({ block }) => (before.isOnChain(block) ? [] : [block]));
    await journal.write([...changes, ...this.#excessAfter(draft())]);
    return { removed, added, head: journal.history.head.block };
  }

  #candidateOn({ block }: Retained, candidate: Candidate): Retained {
    const entry = this.#journal.candidates.get(candidate);
    checkParent(entry, block);
    return entry;
  }

  /** Runs a block on top of another and hands it to `keep`, which must make it reachable at once. */
  async #run<T extends object>(
    parent: Retained,
    input: Input,
    keep: (entry: Retained, reports: readonly BatchReport[]) => T,
    forget: Forget,
  ): Promise<T> {
    const { heap, genesis, latency } = this.#engine;
    const { metadata, hints, signal: own } = input;
    const start = performance.now();
    const { id } = parent.block;
    const height = parent.block.height + 1;
    const { ref, rules, gasLimit } = await this.prepare(parent, input);
    const commit = (run: BlockRun): T => {
      const entry = makeBlock(heap, genesis.id, run, height, id, gasLimit);
      const milliseconds = latency.since(start, "run");
      this.#journal.events.emit("run", entry.block, { milliseconds });
      return keep(entry, run.reports(entry.block));
    };
    const signal = own === null ? this.#closing : AbortSignal.any([own, this.#closing]);
    const plan = {
      block: { height, parent: id },
      hints,
      signal,
      events: this.#journal.events,
      rules,
      again: null,
    };
    return this.#engine.run(ref, metadata, gasLimit, plan, commit, forget);
  }

  /**
   * What a block with this input runs on, by which rules, and with how much gas.
   *
   * @throws UsageError (ENDED, METADATA_TOO_LONG, GAS_LIMIT, RULES_UNKNOWN, E_STATE), AdmissionError,
   * LimitError
   */
  async prepare(parent: Retained, { metadata, gasLimit, change }: Input): Promise<Prepared> {
    const { block, ref } = parent;
    if (block.ended) {
      const { height } = block;
      throw new UsageError("ENDED", "the root has returned: no block can follow", { height });
    }
    const { heap, rulebook, genesis, settings } = this.#engine;
    const { entry } = genesis;
    const rules =
      change === null
        ? unchanged(parent.rules)
        : await this.#engine.inTurn(() => rulesOf(rulebook, parent.rules, change, entry, settings));
    const { gasLimit: limit } = rules.known.rules;
    const gas = gasLimit ?? limit;
    if (gas > limit) throw aboveLimit(gas, limit);
    // The region of a root with another program is known when that has run.
    if (change?.replace.some(({ path }) => path.length === 0) !== true) {
      checkCapacity(
        metadata,
        lookAt(heap, () => loadProcess(heap, ref).regionCapacity),
      );
    }
    return { ref, rules, gasLimit: gas };
  }

  /**
   * Makes room because the heap is full; 0 if it found none. With a log of inputs, first by a checkpoint,
   * after which pages can be evicted. Then it forgets blocks, at most `count`, those first that the option
   * "retainBlocks" would let go first; never the head, nor the block that is `needed`.
   */
  async makeRoom(count: number, needed: BlockName): Promise<number> {
    const { retainBlocksMin, onForget } = this.#engine.settings;
    const journal = this.#journal;
    if (await journal.checkpoint().catch(() => false)) return 1;
    const oldest = journal.history
      .oldest(count, retainBlocksMin)
      .filter(({ block }) => block.id !== needed.id);
    if (oldest.length === 0) return 0;
    const changes = oldest.map(({ block }): Change => ({ kind: "forget", block }));
    await journal.write(changes);
    journal.forgetInDraft(oldest.map(({ block }) => block));
    onForget?.(oldest.map(({ block }) => block));
    return oldest.length;
  }

  /** The blocks that the option "retainBlocks" lets go, after these changes. */
  #excessAfter(history: History, ...changes: readonly Change[]): Change[] {
    const over = history.apply(changes).excess(this.#engine.settings.retainBlocks);
    return over.map(({ block }) => ({ kind: "forget", block }));
  }
}

/** The rules' limit is the ceiling of every block's: heap and quotas are sized for it. */
function aboveLimit(gasLimit: number, limit: number): UsageError {
  const text =
    `gasLimit of a block is ${gasLimit}, above the ${limit} that the rules allow. ` +
    'Give the block less, or raise it with a change of "rules", which all replicas see';
  return new UsageError("GAS_LIMIT", text, { gasLimit, limit });
}

/** @throws UsageError (STALE) */
function checkParent({ block }: Retained, expected: Block): void {
  if (block.parent === expected.id) return;
  throw new UsageError(
    "STALE",
    `candidate ${block.id} of height ${block.height} stands on ${block.parent}, and not on ` +
      `${expected.id} of height ${expected.height}, on which it is to be ` +
      "committed. Go there first, or execute it again",
    { candidate: block.id, parent: block.parent, expected: expected.id },
  );
}
