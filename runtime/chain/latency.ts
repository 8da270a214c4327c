/**
 * How long blocks take, in parts: counts of times by upper bounds, as Prometheus counts them. For all
 * runtimes that share an engine.
 */

/**
 * A part of a block's time: until the calls before have ended; until it has run, batches and hashes included;
 * until its change is on the disk.
 */
export type BlockPart = "wait" | "run" | "write";
/** All of them, in order. */
export const BLOCK_PARTS: readonly BlockPart[] = ["wait", "run", "write"];

const BOUNDS: readonly number[] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30];

/** Times that were counted. */
export interface Histogram {
  /** Upper bounds in seconds, ascending. */
  readonly bounds: readonly number[];
  /** How many were at most as long as each bound. */
  readonly counts: readonly number[];
  readonly count: number;
  readonly sumSeconds: number;
}

/** Counts the times of parts of blocks. */
export class Latency {
  readonly #parts = new Map(BLOCK_PARTS.map((part) => [part, new Times()]));

  /** Counts what has passed since `start`, a time of performance.now(); how many milliseconds. */
  since(start: number, part: BlockPart): number {
    const milliseconds = performance.now() - start;
    this.#parts.get(part)?.add(milliseconds / 1000);
    return milliseconds;
  }

  /** What was counted so far. */
  get parts(): Readonly<Record<BlockPart, Histogram>> {
    const entries = BLOCK_PARTS.map((part) => [part, (this.#parts.get(part) as Times).histogram]);
    return Object.fromEntries(entries) as Record<BlockPart, Histogram>;
  }
}

/** Counts times. */
export class Times {
  readonly #counts = BOUNDS.map(() => 0);
  #count = 0;
  #sumSeconds = 0;

  add(seconds: number): void {
    for (const [i, bound] of BOUNDS.entries())
      if (seconds <= bound) this.#counts[i] = (this.#counts[i] as number) + 1;
    this.#count++;
    this.#sumSeconds += seconds;
  }

  get histogram(): Histogram {
    return { bounds: BOUNDS, counts: [...this.#counts], count: this.#count, sumSeconds: this.#sumSeconds };
  }
}
