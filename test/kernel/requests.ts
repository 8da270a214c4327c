/**
 * Random requests with wild fields, and a model of which of them must be refused.
 *
 * A script is a function of its seed: a root (the driver) with children in every status gets PUTs and GETs
 * whose fields are plausible, borderline or wild. The model does not imitate the order of the kernel's
 * checks: it collects the code of every rule that a request breaks. The call must give one of them, or 0 if
 * there is none, and a refused call must leave the hash of every child as it was.
 *
 * `RULES` names the rules; leaving one out of the model must show (the canary of the fuzzer).
 */

import { programHash } from "../../runtime/index.ts";
import * as abi from "../../syscalls/abi.ts";
import { DRIVER_INITIAL_MEMORY, quota, type Results, SCRATCH, Script } from "../driver.ts";
import { DRIVER_HASH, guest } from "../fixture.ts";
import { BATCH_RULES, wildBatch, wildOutcomes } from "./batch-requests.ts";
import { random } from "./trees.ts";

const trivial = await guest("trivial");
const nested = await guest("nested");
export const REQUEST_PROGRAMS = [trivial, nested];
const TRIVIAL = programHash(trivial);
const NESTED = programHash(nested);

export const RULES = [
  "child-number",
  "request-alignment",
  "request-bounds",
  "version",
  "no-parts",
  "unknown-parts",
  "drop-alone",
  "program-or-clone",
  "reserved",
  "program-bounds",
  "program-known",
  "ranges-alignment",
  "ranges-count",
  "ranges-bounds",
  "range-kind",
  "range-zero-source",
  "range-source-bounds",
  "range-target-bounds",
  "flags",
  "entry-bounds",
  "entry-name",
  "gas",
  "status-alignment",
  "status-bounds",
  "detail-bounds",
  "hash-bounds",
  "copy-or-merge",
  "start-or-batch",
  ...BATCH_RULES,
] as const;
export type Rule = (typeof RULES)[number];

export const REQUEST_OPTIONS = { memoryQuotaPages: quota(2000), processQuota: 100, gasLimit: 20_000_000_000 };
const MEMORY = DRIVER_INITIAL_MEMORY * 65536;
const CHILDREN = 5;
/** Requests after which the children are made again. */
const SET_UP_EVERY = 12;
/** Where outputs may go: nothing that the driver or the script needs. */
const SAFE = SCRATCH + 0x80000;
const SAFE_END = SCRATCH + 0xf0000;

type Next = (limit: number) => number;
type Words = Record<number, number>;

/** A request of the script, and what it may give. */
interface Case {
  readonly handle: number;
  readonly name: string;
  readonly child: number;
  /** Codes of the rules it breaks; empty: it must succeed. */
  readonly codes: readonly number[];
  /** Codes that the state of the child may give besides. */
  readonly perhaps: readonly number[];
  readonly before: readonly number[];
  readonly after: readonly number[];
}

export interface Requests {
  readonly script: Script;
  /** Compares what the script gave with the model: differences as text, with how many were refused. */
  check(results: Results): { differences: string[]; refused: number };
}

/** `count` random requests; the rules in `without` are unknown to the model. */
export function randomRequests(seed: number, count: number, without: readonly Rule[] = []): Requests {
  const next = random(seed);
  const script = new Script({ commands: 2000 });
  const cases: Case[] = [];
  let before: number[] = [];
  for (let i = 0; i < count; i++) {
    if (i % SET_UP_EVERY === 0) {
      setUp(script);
      before = hashes(script);
    }
    const kind = next(2);
    const made = kind === 0 ? wildPut(script, next, without) : wildGet(script, next, without);
    const after = hashes(script);
    cases.push({ ...made, before, after });
    before = after;
  }
  return { script, check: (results) => check(cases, results) };
}

/** Children: 0 fresh, 1 returned, 2 in RET, 3 faulted, 4 none. */
function setUp(script: Script): void {
  script.put(0, { program: TRIVIAL, memoryQuotaPages: quota(3) });
  script.put(1, { program: TRIVIAL, start: { entry: "run", argument: 1n, gas: 1_000_000 } });
  script.put(2, { program: NESTED, start: { entry: "calls", argument: 3n, gas: 1_000_000 } });
  script.put(3, { program: TRIVIAL, start: { entry: "run", gas: 3 } });
}

function hashes(script: Script): number[] {
  return Array.from({ length: CHILDREN }, (_, child) => script.get(child, { hash: true }));
}

function check(cases: readonly Case[], results: Results): { differences: string[]; refused: number } {
  const differences: string[] = [];
  let refused = 0;
  const hash = (handle: number): string =>
    results.value(handle) < 0n
      ? `${results.value(handle)}`
      : Buffer.from(results.hash(handle)).toString("hex");
  for (const { handle, name, child, codes, perhaps, before, after } of cases) {
    const code = Number(results.value(handle));
    const allowed = codes.length > 0 ? [...codes, ...perhaps] : [abi.OK, ...perhaps];
    const hashed = before[child];
    if (hashed !== undefined && results.value(hashed) < 0n) allowed.push(abi.E_NO_CHILD);
    if (!allowed.includes(code)) differences.push(`${name}: gave ${code}, not one of ${allowed.join(" ")}`);
    if (code === abi.OK) continue;
    refused++;
    if (before.map(hash).join() !== after.map(hash).join()) {
      differences.push(`${name}: was refused with ${code}, and a child changed`);
    }
  }
  return { differences, refused };
}

// ---- fields -----------------------------------------------------------------------------------------------

const WILD = [0, 1, 3, 4, 8, 0x7fffffff, 0x80000000, 0xfffffff8, 0xfffffffc, 0xffffffff, MEMORY, MEMORY - 1];

/** Mostly `usual`, now and then something else. */
function sometimes(next: Next, usual: number, other: () => number, share = 12): number {
  return next(share) === 0 ? other() >>> 0 : usual;
}

function wild(next: Next): number {
  const value = WILD[next(WILD.length)] as number;
  return next(3) === 0 ? (value + next(64) - 32) >>> 0 : value;
}

function childNumber(next: Next): number {
  return (
    sometimes(next, next(CHILDREN), () => [-1, abi.CHILD_LIMIT, 0x7fffffff, -0x80000000][next(4)] as number) |
    0
  );
}

function inside(pointer: number, length: number, size = MEMORY): boolean {
  return pointer + length <= size;
}

/** Collects the codes of broken rules. */
class Broken {
  readonly codes: number[] = [];
  readonly #without: readonly Rule[];

  constructor(without: readonly Rule[]) {
    this.#without = without;
  }

  unless(condition: boolean, rule: Rule, code: number): void {
    if (!condition && !this.#without.includes(rule)) this.codes.push(code);
  }
}

/** The command for `request`, now and then at another address than its own. */
function call(
  script: Script,
  next: Next,
  op: number,
  size: number,
  words: Words,
  broken: Broken,
): Pick<Case, "handle" | "name" | "child"> {
  const child = childNumber(next);
  broken.unless(child >= 0 && child < abi.CHILD_LIMIT, "child-number", abi.E_NO_CHILD);
  const view = new DataView(new ArrayBuffer(size));
  for (const [offset, value] of Object.entries(words)) view.setUint32(Number(offset), value >>> 0, true);
  let pointer = script.place(new Uint8Array(view.buffer));
  if (next(25) === 0) {
    // Misaligned, or beyond the end; what happens to lie at other places is nobody's request.
    pointer = next(2) === 0 ? pointer + 1 + next(7) : (MEMORY - size + 8 + 8 * next(1000)) >>> 0;
  }
  broken.unless(pointer % 8 === 0, "request-alignment", abi.E_BAD_REQUEST);
  broken.unless(inside(pointer, size), "request-bounds", abi.E_RANGE);
  const handle = script.command(op, child, pointer);
  const shown = Object.entries(words).map(([offset, value]) => `${offset}:${value.toString(16)}`);
  const name = `${op === 1 ? "PUT" : "GET"} ${child} at ${pointer.toString(16)} {${shown.join(" ")}}`;
  return { handle, name, child };
}

function versionAndReserved(words: Words, reserved: number, broken: Broken): void {
  broken.unless(words[0] === abi.ABI_VERSION, "version", abi.E_BAD_REQUEST);
  broken.unless(words[reserved] === 0, "reserved", abi.E_BAD_REQUEST);
}

// ---- PUT --------------------------------------------------------------------------------------------------

function wildPut(script: Script, next: Next, without: readonly Rule[]): Omit<Case, "before" | "after"> {
  const broken = new Broken(without);
  const { E_BAD_REQUEST, E_RANGE, E_STATE, E_NO_ENTRY, E_NO_CHILD, E_QUOTA } = abi;
  const usual = [
    abi.PART_RANGES,
    abi.PART_START,
    abi.PART_PROGRAM,
    abi.PART_CLONE,
    abi.PART_DROP,
    24,
    25,
    9,
    26,
    17,
    abi.PART_BATCH,
    abi.PART_BATCH,
    33,
    40,
  ];
  const parts = sometimes(next, usual[next(usual.length)] as number, () => next(128));
  const words: Words = {
    [abi.PUT_VERSION]: sometimes(next, abi.ABI_VERSION, () => wild(next), 30),
    [abi.PUT_PARTS]: parts,
  };
  words[abi.PUT_RESERVED] = sometimes(next, 0, () => 1 + next(9), 30);
  versionAndReserved(words, abi.PUT_RESERVED, broken);
  const known = 63;
  broken.unless(parts !== 0, "no-parts", E_BAD_REQUEST);
  broken.unless((parts & ~known) === 0, "unknown-parts", E_BAD_REQUEST);
  broken.unless(
    (parts & abi.PART_DROP) === 0 || (parts & ~abi.PART_DROP & known) === 0,
    "drop-alone",
    E_BAD_REQUEST,
  );
  broken.unless((parts & 3) !== 3, "program-or-clone", E_BAD_REQUEST);
  broken.unless((parts & 48) !== 48, "start-or-batch", E_BAD_REQUEST);
  // How large a child is and where it stands is not modelled.
  const perhaps: number[] = [];

  if ((parts & abi.PART_PROGRAM) !== 0) {
    const hash = [TRIVIAL, NESTED, DRIVER_HASH][next(3)] as Uint8Array;
    const unknown = next(12) === 0;
    const pointer = sometimes(
      next,
      script.place(unknown ? hash.slice().reverse() : hash),
      () => MEMORY - next(40),
    );
    words[abi.PUT_PROGRAM_POINTER] = pointer;
    // With a length it points to Wasm bytes, which these are not.
    const length = sometimes(next, 0, () => wild(next), 15);
    words[abi.PUT_PROGRAM_LENGTH] = length;
    broken.unless(inside(pointer, length === 0 ? 32 : length), "program-bounds", E_RANGE);
    const known = length === 0 && !unknown && pointer < MEMORY - 40;
    broken.unless(known, "program-known", abi.E_BAD_PROGRAM);
  }
  if ((parts & 3) !== 0) {
    words[abi.PUT_MEMORY_QUOTA] = sometimes(next, next(100), () => wild(next));
    words[abi.PUT_PROCESS_QUOTA] = sometimes(next, next(3), () => wild(next));
    words[abi.PUT_CLONE_SOURCE] = sometimes(next, next(CHILDREN), () => (next(2) === 0 ? -1 : wild(next)));
    perhaps.push(E_QUOTA);
    if ((parts & abi.PART_CLONE) !== 0) perhaps.push(E_NO_CHILD);
  }
  if ((parts & abi.PART_RANGES) !== 0) {
    ranges(script, next, words, abi.PUT_RANGES_POINTER, broken, (kind, source, target, length) => {
      broken.unless(kind === abi.RANGE_COPY || kind === abi.RANGE_ZERO, "range-kind", E_BAD_REQUEST);
      broken.unless(kind !== abi.RANGE_ZERO || source === 0, "range-zero-source", E_BAD_REQUEST);
      broken.unless(kind !== abi.RANGE_COPY || inside(source, length), "range-source-bounds", E_RANGE);
      broken.unless(inside(target, length, 100 * 65536), "range-target-bounds", E_RANGE);
      if (!inside(target, length, 65536)) perhaps.push(E_RANGE);
    });
  }
  if ((parts & (abi.PART_START | abi.PART_BATCH)) !== 0) {
    const name = ["run", "run", "run", "immediate", "", "walk"][next(6)] as string;
    const bytes = new TextEncoder().encode(name);
    const pointer = sometimes(next, bytes.length === 0 ? 0 : script.place(bytes), () => MEMORY - next(8));
    const length = sometimes(next, bytes.length, () => wild(next));
    words[abi.PUT_FLAGS] = sometimes(next, next(2), () => wild(next));
    words[abi.PUT_ENTRY_POINTER] = pointer;
    words[abi.PUT_ENTRY_LENGTH] = length;
    words[abi.PUT_ARGUMENT] = next(3);
    words[abi.PUT_GAS] = [0, 100, 1_000_000][next(3)] as number;
    words[abi.PUT_GAS + 4] = sometimes(next, 0, () => Math.max(5, wild(next)), 6);
    broken.unless((words[abi.PUT_FLAGS] & ~abi.FLAG_KEEP) === 0, "flags", E_BAD_REQUEST);
    broken.unless(inside(pointer, length), "entry-bounds", E_RANGE);
    const walks = name === "walk" && length === 4 && pointer < MEMORY - 8;
    broken.unless(!walks, "entry-name", E_NO_ENTRY);
    broken.unless((words[abi.PUT_GAS + 4] as number) < 5, "gas", abi.E_GAS);
    perhaps.push(E_STATE);
    if (!walks) perhaps.push(E_NO_ENTRY);
  }
  if ((parts & abi.PART_BATCH) !== 0) {
    const batch = wildBatch(script, next, MEMORY, broken);
    words[abi.PUT_BATCH_POINTER] = batch.pointer;
    perhaps.push(...batch.perhaps);
  }
  return { ...call(script, next, 1, abi.PUT_SIZE, words, broken), codes: broken.codes, perhaps };
}

/** Places a list of ranges, and gives each to `rules`. */
function ranges(
  script: Script,
  next: Next,
  words: Words,
  at: number,
  broken: Broken,
  rules: (kind: number, source: number, target: number, length: number) => void,
): number[] {
  const count = next(4);
  const view = new DataView(new ArrayBuffer(count * abi.RANGE_SIZE));
  const list: number[] = [];
  const toCaller = at === abi.GET_RANGES_POINTER;
  for (let i = 0; i < count; i++) {
    const length = sometimes(next, next(3) === 0 ? 4096 * next(3) : next(300), () => wild(next));
    const kind = sometimes(next, toCaller ? abi.RANGE_COPY : 1 + next(2), () => next(5));
    const inCaller = toCaller ? SAFE + 4096 * next(8) + next(2) * next(4096) : next(MEMORY - 20_000);
    const inChild = 4096 * next(4) + next(2) * next(4096);
    const caller = sometimes(next, inCaller, () => MEMORY - next(16) + next(4));
    const child = sometimes(next, inChild, () => wild(next));
    const source = toCaller
      ? child
      : kind === abi.RANGE_ZERO
        ? sometimes(next, 0, () => 1 + next(9))
        : caller;
    const target = toCaller ? caller : child;
    list.push(kind, source, target, length);
    list.slice(-4).forEach((value, word) => {
      view.setUint32(i * abi.RANGE_SIZE + word * 4, value, true);
    });
  }
  const pointer = sometimes(next, script.place(new Uint8Array(view.buffer)), () => MEMORY - 1 - next(64));
  const claimed = sometimes(
    next,
    count,
    () => (next(2) === 0 ? 0xffffffff : abi.RANGES_LIMIT + 1 + next(9)),
    20,
  );
  words[at] = pointer;
  words[at + 4] = claimed;
  broken.unless(pointer % 4 === 0, "ranges-alignment", abi.E_BAD_REQUEST);
  broken.unless(claimed <= abi.RANGES_LIMIT, "ranges-count", abi.E_BAD_REQUEST);
  broken.unless(inside(pointer, claimed * abi.RANGE_SIZE), "ranges-bounds", abi.E_RANGE);
  // What lies at the end of memory is zero: ranges of kind 0.
  if (pointer > MEMORY - 100 && claimed > 0) rules(0, 0, 0, 0);
  else
    for (let i = 0; i < list.length; i += 4)
      rules(...(list.slice(i, i + 4) as [number, number, number, number]));
  return list;
}

// ---- GET --------------------------------------------------------------------------------------------------

function wildGet(script: Script, next: Next, without: readonly Rule[]): Omit<Case, "before" | "after"> {
  const broken = new Broken(without);
  const { E_BAD_REQUEST, E_RANGE } = abi;
  const usual = [abi.PART_GET_STATUS, abi.PART_GET_COPY, abi.PART_GET_HASH, 11, 3, 16, 17];
  const parts = sometimes(next, usual[next(usual.length)] as number, () => next(64));
  const words: Words = {
    [abi.GET_VERSION]: sometimes(next, abi.ABI_VERSION, () => wild(next), 30),
    [abi.GET_PARTS]: parts,
  };
  broken.unless(words[abi.GET_VERSION] === abi.ABI_VERSION, "version", E_BAD_REQUEST);
  broken.unless(parts !== 0, "no-parts", E_BAD_REQUEST);
  broken.unless((parts & ~31) === 0, "unknown-parts", E_BAD_REQUEST);
  broken.unless((parts & 6) !== 6, "copy-or-merge", E_BAD_REQUEST);
  const perhaps: number[] = [];

  // Outputs may lie over each other, over the ranges and over the request: those were read before.
  const output = (): number => SAFE + 8 * next((SAFE_END - SAFE) / 8 - 4096);
  if ((parts & abi.PART_GET_STATUS) !== 0) {
    const pointer = sometimes(next, output(), () =>
      next(2) === 0 ? output() + 1 + next(7) : MEMORY - 8 * next(6),
    );
    const capacity = sometimes(next, next(3) * 40, () => wild(next));
    const detail = sometimes(next, output(), () => MEMORY - next(30) + next(3));
    words[abi.GET_STATUS_POINTER] = pointer;
    words[abi.GET_DETAIL_POINTER] = detail;
    words[abi.GET_DETAIL_CAPACITY] = capacity;
    broken.unless(pointer % 8 === 0, "status-alignment", E_BAD_REQUEST);
    broken.unless(inside(pointer, abi.STATUS_SIZE), "status-bounds", E_RANGE);
    broken.unless(inside(detail, capacity), "detail-bounds", E_RANGE);
  }
  if ((parts & abi.PART_GET_COPY) !== 0) {
    ranges(script, next, words, abi.GET_RANGES_POINTER, broken, (kind, source, target, length) => {
      broken.unless(kind === abi.RANGE_COPY, "range-kind", E_BAD_REQUEST);
      broken.unless(inside(target, length), "range-target-bounds", E_RANGE);
      broken.unless(inside(source, length, 100 * 65536), "range-source-bounds", E_RANGE);
      if (!inside(source, length, 65536)) perhaps.push(E_RANGE);
      // A long copy from a large child would overwrite the script.
      if (target < MEMORY && inside(target, length) && target + length > SAFE_END) perhaps.push(abi.OK);
    });
  }
  if ((parts & abi.PART_GET_MERGE) !== 0) {
    // Empty or wild: what MERGE does is tested elsewhere.
    const empty = new DataView(new ArrayBuffer(abi.MERGE_SIZE));
    empty.setUint32(abi.MERGE_KIND, next(11), true);
    empty.setUint32(abi.MERGE_ADDRESS, 8 * next(4), true);
    const placed = script.place(new Uint8Array(empty.buffer));
    const pointer = sometimes(next, placed, () => wild(next), 3);
    words[abi.GET_MERGE_POINTER] = pointer;
    perhaps.push(abi.E_STATE);
    if (pointer !== placed) perhaps.push(E_BAD_REQUEST, E_RANGE, abi.E_CONFLICT);
  }
  if ((parts & abi.PART_GET_HASH) !== 0) {
    const pointer = sometimes(next, output(), () => MEMORY - 1 - next(40));
    words[abi.GET_HASH_POINTER] = pointer;
    broken.unless(inside(pointer, 32), "hash-bounds", E_RANGE);
  }
  if ((parts & abi.PART_GET_OUTCOMES) !== 0) {
    const outcomes = wildOutcomes(script, next, MEMORY, output(), broken);
    words[abi.GET_OUTCOMES_POINTER] = outcomes.pointer;
    perhaps.push(...outcomes.perhaps);
  }
  return { ...call(script, next, 2, abi.GET_SIZE, words, broken), codes: broken.codes, perhaps };
}
