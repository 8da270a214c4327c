/**
 * Blocks over a log while the sequencer dies at random steps and comes back, or is replaced by a follower and
 * comes back as one. In the end all have the chain of the log, with each height once.
 */

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import type { Block, Runtime } from "../../runtime/index.ts";
import {
  BlockLog,
  type Follower,
  follow,
  LogError,
  type RuntimeArguments,
  type Sequencer,
  sequence,
} from "../../runtime/log/index.ts";
import type { LogStorage } from "../../runtime/log/storage.ts";
import { metadata } from "../crash/metadata.ts";
import { open } from "../fixture.ts";
import { Random } from "../program/random.ts";
import { changed, type Place } from "./places.ts";

const DURABILITIES = ["block", "logged"] as const;
const NEVER = new Promise<never>(() => {});

/** Steps after which the sequencer is gone: the last is that its answer is lost, and it lives. */
const STEPS = ["before", "appended", "committed", "unanswered"] as const;
type Step = (typeof STEPS)[number] | null;

/** A storage whose user dies at a step. */
class Dying {
  readonly storage: LogStorage;
  step: Step = null;
  died = Promise.withResolvers<void>();

  constructor(storage: LogStorage) {
    this.storage = changed(storage, { put: (number, bytes) => this.#put(storage, number, bytes) });
  }

  async #put(storage: LogStorage, number: number, bytes: Uint8Array): Promise<void> {
    const { step } = this;
    if (step !== "before") await storage.put(number, bytes);
    if (step === "before" || step === "appended") {
      this.died.resolve();
      return NEVER;
    }
    if (step !== "unanswered") return;
    this.step = null;
    throw new LogError("LOG_UNCERTAIN", "the answer was lost");
  }
}

export interface ChaosOptions {
  readonly seed: number;
  readonly blocks: number;
  /** For stores: removed afterwards. */
  readonly directory: string;
}

/** A sequencer that can be started again, on a store. */
class Node {
  readonly name: string;
  readonly #place: Place;
  readonly #store: string;
  readonly #durability: (typeof DURABILITIES)[number];
  runtime: Runtime | null = null;
  storage: Dying | null = null;
  sequencer: Sequencer<RuntimeArguments, Block> | null = null;
  follower: Follower<RuntimeArguments, Block> | null = null;

  constructor(name: string, place: Place, directory: string, durability: (typeof DURABILITIES)[number]) {
    this.name = name;
    this.#place = place;
    this.#store = `${directory}-${name}`;
    this.#durability = durability;
  }

  async start(): Promise<{ runtime: Runtime; log: BlockLog }> {
    this.runtime ??= await open([], {
      workers: 1,
      runner: "sequential",
      store: { path: this.#store, durability: this.#durability },
      retainBlocks: 1000,
    });
    this.storage = new Dying(await this.#place.open());
    return { runtime: this.runtime, log: new BlockLog(this.storage.storage) };
  }

  async write(takeOver: boolean): Promise<void> {
    const { runtime, log } = await this.start();
    const options = { writer: this.name, takeOver };
    this.sequencer = await sequence(runtime, log, options);
  }

  async follow(): Promise<Follower<RuntimeArguments, Block>> {
    const { runtime, log } = await this.start();
    this.follower = await follow(runtime, log);
    return this.follower;
  }

  /** What a kill leaves of it: the store. */
  async die(): Promise<void> {
    await this.follower?.stop();
    await this.runtime?.close({ cancel: true });
    await this.storage?.storage.close();
    this.runtime = this.storage = this.sequencer = this.follower = null;
  }

  remove(): void {
    rmSync(this.#store, { recursive: true, force: true });
  }
}

/** Runs it; asserts that all is well, and tells how often what happened. */
export async function chaos(
  place: Place,
  { seed, blocks, directory }: ChaosOptions,
): Promise<Map<string, number>> {
  const random = new Random(seed);
  const seen = new Map<string, number>();
  const count = (what: string): void => void seen.set(what, (seen.get(what) ?? 0) + 1);
  const nodes = ["a", "b", "c"].map(
    (name) => new Node(name, place, directory, random.pick(DURABILITIES)),
  ) as [Node, Node, Node];
  try {
    let [writer, ...others] = nodes;
    await writer.write(false);
    await Promise.all(others.map((other) => other.follow()));
    let made = 0;
    let away: Node | null = null;
    let back = 0;
    for (let turn = 0; ; turn++) {
      const { sequencer, storage } = writer;
      const head = sequencer?.runtime.head.height ?? 0;
      if (head >= blocks) break;
      const step = random.below(4) === 0 ? random.pick(STEPS) : null;
      (storage as Dying).step = step;
      const produced = sequencer?.produce(metadata(head + 1, turn));
      const died = (storage as Dying).died.promise.then(() => "died" as const);
      const ended = await Promise.race([produced, died]).catch((error: LogError) => error.code);
      assert.ok(typeof ended !== "string" || step !== null, `a block was refused: ${ended as string}`);
      if (typeof ended === "string") count(step as string);
      else made++;
      if (step === "unanswered") {
        assert.equal(ended, "LOG_UNCERTAIN");
        continue;
      }
      // Now and then one who follows is away, for up to half of the blocks.
      if (away === null && random.below(10) === 0) {
        away = random.pick(others);
        back = turn + random.below(blocks / 2);
        await away.die();
        count("away");
      } else if (away !== null && turn >= back) {
        await away.follow();
        away = null;
      }
      if (step === null) continue;
      if (step === "committed") count("gone");
      if (random.below(2) === 0) {
        await writer.die();
        await writer.write(false);
        continue;
      }
      // Another continues; the old one is alive and thinks it writes, or comes back.
      const next = random.pick(others.filter((other) => other !== away));
      const promoted = await (next.follower as Follower<RuntimeArguments, Block>).promote({
        writer: next.name,
      });
      next.sequencer = promoted;
      next.follower = null;
      count("promoted");
      if (step === "committed") {
        (storage as Dying).step = null;
        await assert.rejects(async () => sequencer?.produce(metadata(999, turn)), { code: "LOG_FENCED" });
        await assert.rejects(writer.write(false), { code: "LOG_OWNED" });
        count("fenced");
      }
      await writer.die();
      await writer.follow();
      others = [...others.filter((other) => other !== next), writer] as [Node, Node];
      writer = next;
    }
    await away?.follow();
    await everybodyAgrees(nodes, place, blocks);
    assert.ok(made > 0);
    return seen;
  } finally {
    for (const node of nodes) {
      await node.die();
      node.remove();
    }
  }
}

/** All stand at the end of the log, which has each height once. */
async function everybodyAgrees(nodes: readonly Node[], place: Place, blocks: number): Promise<void> {
  const log = new BlockLog(await place.open());
  const last = await log.last();
  const ids: string[] = [];
  for await (const { entry } of log.read()) {
    if (entry.kind === "term") continue;
    ids.push(entry.id);
    assert.equal(entry.height, ids.length, "heights follow each other, each once");
  }
  assert.ok(ids.length >= blocks);
  await log.close();
  for (const { runtime, follower } of nodes) {
    const { head } = runtime as Runtime;
    if (follower !== null) {
      while ((await follower.metrics()).lag > 0) {
        await Promise.race([follower.done, new Promise((resolve) => setTimeout(resolve, 5))]);
      }
    }
    assert.equal((runtime as Runtime).head.id, last?.entry.id, `a follower stood at ${head.height}`);
    for (const { height, id } of (runtime as Runtime).blocks()) {
      if (height > 0) assert.equal(id, ids[height - 1], `block ${height}`);
    }
  }
}
