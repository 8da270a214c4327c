/** The chain: its blocks in a picture of at most 200 cells, and some of them as a list. */

import type { HeightCell, Placed } from "../index-of-blocks.ts";
import type { Query } from "../query.ts";
import type { Source } from "../source.ts";

const CELLS = 200;
const ROWS = 40;
const TIPS = 20;
const DAMAGED = 20;

export interface ChainView {
  readonly name: string;
  readonly kind: "store" | "runtime";
  readonly genesis: string;
  /** Id of the block of another chain with whose state this one began. */
  readonly origin: string | null;
  /** Null: which block it is cannot be read. */
  readonly head: BlockRow | null;
  readonly count: number;
  readonly pinned: number;
  readonly bottom: number;
  readonly top: number;
  readonly cells: readonly HeightCell[];
  /** Newest blocks of side branches. */
  readonly tips: readonly BlockRow[];
  /** Ids of blocks whose records cannot be read: the first 20, and how many there are. */
  readonly damaged: { readonly count: number; readonly ids: readonly string[] };
  /** Descending by height from `at` on. */
  readonly rows: readonly BlockRow[];
  readonly at: number;
  /** Where the next older and newer rows begin; null: there are none. */
  readonly older: number | null;
  readonly newer: number | null;
  /** Names of other stores to compare with. */
  readonly others: readonly string[];
}

export type BlockRow = Omit<Placed, "root">;

export function chainView(source: Source, query: Query): ChainView {
  const { index, chain } = source;
  const top = index.blocks[0]?.height ?? 0;
  const bottom = index.blocks.at(-1)?.height ?? 0;
  const at = query.integer("at", top, 0, Number.MAX_SAFE_INTEGER);
  const rows = index.below(at, ROWS);
  const last = rows.at(-1);
  return {
    name: source.name,
    kind: source.kind,
    genesis: chain.genesis,
    origin: chain.origin,
    head: index.head === null ? null : rowOf({ ...index.head, lane: 0 }),
    count: index.blocks.length,
    pinned: index.pinnedCount,
    bottom,
    top,
    cells: index.cells(CELLS),
    tips: index.tips(TIPS).map(rowOf),
    damaged: { count: index.damaged.length, ids: index.damaged.slice(0, DAMAGED) },
    rows: rows.map(rowOf),
    at,
    older: last === undefined || last.height <= bottom ? null : last.height - 1,
    newer: at >= top ? null : Math.min(top, at + ROWS),
    others: [...source.others.keys()],
  };
}

function rowOf({ root: _, ...row }: Placed): BlockRow {
  return row;
}

/** What changes when anything of the chain does. */
export interface Version {
  readonly version: string;
  readonly height: number | null;
}

/** How often a store is looked at while a page waits for its next block. */
const LOOK_MS = 100;
/** How long proxies and browsers keep a request open. */
const WAIT_MS = 25_000;

/** Resolves when the chain is another than that of `version`, after 25 s, or when whoever asked has gone. */
export async function nextVersion(source: Source, query: Query, signal: AbortSignal): Promise<Version> {
  const seen = query.text("version");
  const until = performance.now() + WAIT_MS;
  for (;;) {
    const now = versionOf(source);
    if (now.version !== seen || performance.now() > until || signal.aborted) return now;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

function versionOf(source: Source): Version {
  const { index } = source;
  const durable = index.blocks.reduce((sum, block) => sum + Number(block.durable), 0);
  const head = source.headId();
  const version = [head, index.blocks.length, index.pinnedCount, durable].join(" ");
  return { version, height: index.head?.height ?? null };
}
