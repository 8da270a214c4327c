/**
 * A long run: many idle children, and block after block that starts some of them, joins them or leaves them
 * running, drops and makes others, goes back and forks. The state of such a run does not grow, so neither may
 * the heap once it is warm: at every tenth of the run it is collected and measured.
 */

import { performance } from "node:perf_hooks";
import { setTimeout } from "node:timers/promises";
import { CHUNK_BYTES, CONTROL_GENERATION, CONTROL_NEXT_CHUNK } from "../../runtime/heap/heap.ts";
import { programHash, type Runtime } from "../../runtime/index.ts";
import * as abi from "../../syscalls/abi.ts";
import { Script } from "../driver.ts";
import { guest, withRuntime } from "../fixture.ts";
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
/** Of 100 blocks, before how many the run goes back to an earlier one, and is continued on a fork. */
const REVERTS = 2;
const FORKS = 1;
const PUT = 1;
const GET = 2;

const trivial = await guest("trivial");
const OPTIONS = { memoryQuotaPages: 2 ** 21, heapBytes: 2 ** 33, gasLimit: 1e12 };

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
    let reverts = 0;
    let on = runtime;
    // As many as a tenth of the run touches several times.
    const active = Math.min(children, Math.ceil(blocks / TENTHS));
    for (let block = 0; block < blocks; block++) {
      const dice = next(100);
      if (dice < REVERTS && on.blocks().length > 2) {
        const kept = on.blocks();
        await on.revert(kept[next(Math.min(kept.length, 32))] ?? 0);
        reverts++;
      } else if (dice < REVERTS + FORKS) {
        const fork = await on.fork();
        await on.close();
        on = fork;
      }
      await on.produce(script(next, active, startsPerBlock, block));
      if (((block + 1) * TENTHS) % blocks < TENTHS) {
        progress(`block ${block + 1} of ${blocks}`);
        liveBytes.push(await live(on));
        takenBytes.push((on.engine.heap.control[CONTROL_NEXT_CHUNK] as number) * CHUNK_BYTES);
      }
    }
    await on.close();
    return {
      ...{ blocks, children, seed, bytesPerChild, liveBytes, takenBytes, reverts },
      id: on.head.id,
      collections: runtime.engine.heap.control[CONTROL_GENERATION] as number,
      speculativeUsed: runtime.engine.pool.speculativeUsed,
      residentBytes: process.memoryUsage().rss,
      seconds: (performance.now() - begin) / 1000,
      grew: growth("live", liveBytes) ?? growth("taken", takenBytes),
    };
  });
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
    // The others run speculatively, until a later block joins them or makes them anew.
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
