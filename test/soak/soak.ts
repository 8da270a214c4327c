/**
 * A long run: many idle children, and block after block that starts some of them, joins them or leaves them
 * running, drops and makes others. It goes back, forks, reorganises and prunes; some blocks are chosen among
 * candidates, of which others are released, or dropped without a word; views look on. The state of such a run
 * does not grow, so neither may the heap once it is warm: at every tenth of the run it is collected and
 * measured.
 */

import { performance } from "node:perf_hooks";
import { setTimeout } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { CONTROL_GENERATION, UNIT_BYTES } from "../../runtime/heap/heap.ts";
import { type Candidate, programHash, type Runtime } from "../../runtime/index.ts";
import * as abi from "../../syscalls/abi.ts";
import { REGION, Script } from "../driver.ts";
import { ENDLESS_GAS, guest, withRuntime } from "../fixture.ts";
import { random } from "../kernel/trees.ts";

export interface SoakOptions {
  readonly blocks: number;
  readonly children: number;
  readonly seed: number;
  /** Blocks retained; the canary's are all. */
  readonly retainBlocks?: number;
  readonly workers?: number;
  /** Children that a block starts. */
  readonly startsPerBlock?: number;
  readonly progress?: (text: string) => void;
}

export interface SoakResult {
  readonly blocks: number;
  readonly children: number;
  readonly seed: number;
  /** In the heap, of a child that was made and nothing else, and of one that ran and changed a page. */
  readonly bytesPerChild: { readonly fresh: number; readonly worked: number };
  /** What collections left at each tenth of the run. */
  readonly liveBytes: readonly number[];
  /** The greatest part of the heap that was ever taken from the OS, at each tenth. */
  readonly takenBytes: readonly number[];
  readonly collections: number;
  readonly reverts: number;
  readonly speculativeUsed: number;
  readonly reorgs: number;
  readonly forks: number;
  readonly prunes: number;
  readonly views: number;
  /** Candidates that were committed, released, dropped, and of the last how many were noticed. */
  readonly candidates: Readonly<Record<"committed" | "released" | "dropped" | "noticed", number>>;
  /** Of the whole process, at the end. */
  readonly residentBytes: number;
  readonly seconds: number;
  /** Id of the last block: a function of the other numbers that were given. */
  readonly id: string;
  /** What grew, null if nothing did. */
  readonly grew: string | null;
}

const TENTHS = 10;
/** Tenths in which the run becomes stationary. */
const WARM = 3;
/** What may differ between measurements: a few chunks of each thread, and holes too small to be used. */
const SLACK_BYTES = 16 << 20;
const SLACK_SHARE = 1.05;
const COMMANDS = 12_500;
const GAS = 100_000;
/**
 * Of 100 blocks, before how many the run goes back to an earlier one, is continued on a fork, is pruned, is
 * reorganised, and has its next block chosen among candidates.
 */
const REVERTS = 2;
const FORKS = 2;
const PRUNES = 1;
const REORGS = 2;
const CHOICES = 10;
const CANDIDATES = 3;
/** So many blocks have a view beside them. */
const VIEW_EVERY = 8;
const VIEW = { input: new Script({ commands: 0 }).metadata(), inbox: REGION, argument: REGION };
const PUT = 1;
const GET = 2;

const trivial = await guest("trivial");
/** Dropped candidates are noticed when the engine collects its own heap. */
setFlagsFromString("--expose-gc");
const collectHost = runInNewContext("gc") as () => void;

const OPTIONS = { candidatesLimit: 1 << 12, memoryQuotaPages: 2 ** 21, gasLimit: ENDLESS_GAS };

/** Child numbers spread over the whole range. */
const numberOf = (child: number): number => (child * 104_729) % abi.CHILD_LIMIT;

export function soak(options: SoakOptions): Promise<SoakResult> {
  const { blocks, children, seed, retainBlocks = 64, workers = 2, startsPerBlock = 12 } = options;
  const progress = options.progress ?? (() => {});
  const begin = performance.now();
  return withRuntime([trivial], { ...OPTIONS, retainBlocks, workers }, async (runtime) => {
    const bytesPerChild = await fill(runtime, children, progress);
    const next = random(seed);
    const liveBytes: number[] = [];
    const takenBytes: number[] = [];
    let on = runtime;
    let notice = watch(on);
    const counts = { reverts: 0, reorgs: 0, forks: 0, prunes: 0, views: 0 };
    const candidates = { committed: 0, released: 0, dropped: 0, noticed: 0 };
    let view: Promise<unknown> = Promise.resolve();
    // As many as a tenth of the run touches several times.
    const active = Math.min(children, Math.ceil(blocks / TENTHS));
    for (let block = 0; block < blocks; block++) {
      const metadata = (): Uint8Array => script(next, active, startsPerBlock, block);
      const dice = next(100);
      const isTurn = (before: number, count: number): boolean => dice >= before && dice < before + count;
      const kept = on.blocks();
      const earlier = kept[next(Math.min(kept.length, 32))] ?? on.head;
      if (block % VIEW_EVERY === 0) {
        await view;
        view = on.call([], "run", { ...VIEW, block: earlier });
        counts.views++;
      }
      if (isTurn(0, REVERTS)) {
        await on.revert(earlier);
        counts.reverts++;
      } else if (isTurn(10, FORKS)) {
        await view;
        const fork = await on.fork();
        await on.close();
        candidates.noticed += await notice;
        on = fork;
        notice = watch(on);
        counts.forks++;
      } else if (isTurn(20, PRUNES)) {
        await on.prune(Math.max(1, retainBlocks >> 1));
        counts.prunes++;
      } else if (isTurn(30, REORGS)) {
        await on.reorg({ to: earlier, blocks: [{ metadata: metadata() }, { metadata: metadata() }] });
        counts.reorgs++;
      }
      if (isTurn(40, CHOICES)) {
        const made = await Promise.all(
          Array.from({ length: CANDIDATES }, metadata).map((each) => on.execute(each)),
        );
        const [chosen, released] = made as [Candidate, Candidate];
        await on.commit(chosen);
        await on.release(released);
        candidates.committed++;
        candidates.released++;
        candidates.dropped += CANDIDATES - 2;
      } else await on.produce(metadata());
      if (((block + 1) * TENTHS) % blocks < TENTHS) {
        progress(`block ${block + 1} of ${blocks}`);
        liveBytes.push(await live(on));
        takenBytes.push(on.engine.heap.top * UNIT_BYTES);
      }
    }
    await view;
    await on.close();
    candidates.noticed += await notice;
    return {
      ...{ blocks, children, seed, bytesPerChild, liveBytes, takenBytes, candidates },
      ...counts,
      id: on.head.id,
      collections: runtime.engine.heap.control[CONTROL_GENERATION] as number,
      speculativeUsed: runtime.engine.pool.speculativeUsed,
      residentBytes: process.memoryUsage().rss,
      seconds: (performance.now() - begin) / 1000,
      grew: growth("live", liveBytes) ?? growth("taken", takenBytes),
    };
  });
}

/** How many dropped candidates the runtime has noticed, once it is closed. */
async function watch(runtime: Runtime): Promise<number> {
  let noticed = 0;
  for await (const event of runtime.events()) {
    if (event.kind === "release" && event.reason === "dropped") noticed++;
  }
  return noticed;
}

/** What an idle child takes of the heap, among so many. */
export function bytesPerChild(children: number): Promise<SoakResult["bytesPerChild"]> {
  return withRuntime([trivial], { ...OPTIONS, retainBlocks: 1 }, (runtime) =>
    fill(runtime, children, () => {}),
  );
}

/** Bytes of the heap in use, after a collection. */
async function live(runtime: Runtime): Promise<number> {
  const { engine } = runtime;
  collectHost();
  await setTimeout(1);
  const generation = engine.heap.control[CONTROL_GENERATION];
  // Speculative work puts a collection off.
  for (; engine.heap.control[CONTROL_GENERATION] === generation; await setTimeout(1)) await engine.collect();
  return engine.heap.usedBytes;
}

function growth(what: string, bytes: readonly number[]): string | null {
  const warm = bytes[WARM - 1] as number;
  const most = Math.max(...bytes.slice(WARM));
  if (most <= warm * SLACK_SHARE + SLACK_BYTES) return null;
  return `${what} bytes grew from ${warm} to ${most} after the warm-up`;
}

/** Makes the children and lets each run once; what they take. */
async function fill(runtime: Runtime, children: number, progress: (text: string) => void) {
  const each = async (make: (script: Script, numbers: readonly number[]) => void): Promise<number> => {
    for (let first = 0; first < children; first += COMMANDS) {
      const count = Math.min(COMMANDS, children - first);
      const script = new Script({ commands: 2 * count });
      make(
        script,
        Array.from({ length: count }, (_, i) => numberOf(first + i)),
      );
      const { data } = await runtime.produce(script.metadata());
      const failed = script.read(data).values.find((value) => value !== 0n);
      if (failed !== undefined) throw new Error(`soak: a call on a child gave ${failed}`);
      progress(`${first + count} of ${children} children`);
    }
    // Further blocks push those with fewer children out of what is retained.
    const { retainBlocks } = runtime.engine.settings;
    for (let i = 0; i < Math.min(retainBlocks, 64); i++) await runtime.produce(new Uint8Array());
    return live(runtime);
  };
  const empty = await live(runtime);
  const fresh = await each((script, numbers) => {
    const request = putRequest(script, "program");
    for (const number of numbers) script.command(PUT, number, request);
  });
  const worked = await each((script, numbers) => {
    const start = putRequest(script, "start");
    const status = statusRequest(script);
    for (const number of numbers) {
      script.command(PUT, number, start);
      script.command(GET, number, status);
    }
  });
  return {
    fresh: Math.round((fresh - empty) / children),
    worked: Math.round((worked - empty) / children),
  };
}

/** A block: makes, drops, starts and joins some of the first `active` children. */
function script(next: (limit: number) => number, active: number, starts: number, block: number): Uint8Array {
  const script = new Script({ commands: 3 * starts });
  const [make, start] = [putRequest(script, "program"), putRequest(script, "start", BigInt(block))];
  const status = statusRequest(script);
  for (let i = 0; i < starts; i++) {
    const child = numberOf(next(active));
    const choice = next(8);
    if (choice === 0) script.command(PUT, child, make);
    script.command(PUT, child, start);
    // The others run speculatively, until a later block joins them or makes them again.
    if (choice < 6) script.command(GET, child, status);
  }
  return script.metadata();
}

/** A PUT that many commands of a script share. */
function putRequest(script: Script, part: "program" | "start", argument = 1n): number {
  const request = new DataView(new ArrayBuffer(abi.PUT_SIZE));
  request.setUint32(abi.PUT_VERSION, abi.ABI_VERSION, true);
  request.setUint32(abi.PUT_PARTS, part === "program" ? abi.PART_PROGRAM : abi.PART_START, true);
  request.setUint32(abi.PUT_PROGRAM_POINTER, script.place(programHash(trivial)), true);
  request.setUint32(abi.PUT_ENTRY_POINTER, script.place(new TextEncoder().encode("run")), true);
  request.setUint32(abi.PUT_ENTRY_LENGTH, 3, true);
  request.setBigInt64(abi.PUT_ARGUMENT, argument, true);
  request.setUint32(abi.PUT_GAS, GAS, true);
  return script.place(new Uint8Array(request.buffer));
}

function statusRequest(script: Script): number {
  const request = new DataView(new ArrayBuffer(abi.GET_SIZE));
  request.setUint32(abi.GET_VERSION, abi.ABI_VERSION, true);
  request.setUint32(abi.GET_PARTS, abi.PART_GET_STATUS, true);
  request.setUint32(abi.GET_STATUS_POINTER, script.reserve(abi.STATUS_SIZE), true);
  return script.place(new Uint8Array(request.buffer));
}
