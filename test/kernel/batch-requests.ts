/**
 * The parts BATCH and OUTCOMES of random requests (requests.ts): their structs, and which must be refused.
 */

import * as abi from "../../syscalls/abi.ts";
import type { Script } from "../driver.ts";

type Next = (limit: number) => number;

export const BATCH_RULES = [
  "batch-alignment",
  "batch-bounds",
  "batch-reserved",
  "batch-count",
  "inputs-alignment",
  "inputs-bounds",
  "input-bounds",
  "input-length",
  "mail-alignment",
  "mail-overlap",
  "outbox-capacity",
  "outcomes-alignment",
  "outcomes-bounds",
  "outcomes-reserved",
  "outcomes-count",
  "records-alignment",
  "records-bounds",
  "output-bounds",
] as const;
type BatchRule = (typeof BATCH_RULES)[number];

/** Where broken rules are collected. */
interface Broken {
  unless(condition: boolean, rule: BatchRule, code: number): void;
}

const { E_BAD_REQUEST, E_RANGE } = abi;

function view(size: number, fields: Readonly<Record<number, number>>): Uint8Array {
  const bytes = new Uint8Array(size);
  const words = new DataView(bytes.buffer);
  for (const [offset, value] of Object.entries(fields)) words.setUint32(Number(offset), value >>> 0, true);
  return bytes;
}

/** What a struct lies at: mostly where it was placed, else where no request is. */
function place(script: Script, next: Next, bytes: Uint8Array, memory: number): number {
  const at = script.place(bytes);
  return next(15) === 0 ? (next(2) === 0 ? at + 1 + next(7) : (memory - 24 + 8 * next(3)) >>> 0) : at;
}

/** Where a struct was placed, and codes that the child may give besides. */
interface Placed {
  readonly pointer: number;
  readonly perhaps: readonly number[];
}

/** Every child has so much memory, all of it private. */
const CHILD_BYTES = 65536;

/** Places a BATCH struct with inputs. */
export function wildBatch(script: Script, next: Next, memory: number, broken: Broken): Placed {
  const rarely = (usual: number, other: () => number): number => (next(20) === 0 ? other() >>> 0 : usual);
  const count = next(4);
  const list = new DataView(new ArrayBuffer(count * abi.INPUT_SIZE));
  const inboxCapacity = rarely(64, () => [0, 8, 0x7fffffff, 0xffffffff][next(4)] as number);
  for (let i = 0; i < count; i++) {
    const length = rarely(next(9), () => [inboxCapacity, inboxCapacity + 1, 0xffffffff][next(3)] as number);
    const pointer = rarely(next(5000), () => memory - next(8));
    list.setUint32(i * abi.INPUT_SIZE + abi.INPUT_POINTER, pointer, true);
    list.setUint32(i * abi.INPUT_SIZE + abi.INPUT_LENGTH, length, true);
    list.setUint32(i * abi.INPUT_SIZE + abi.INPUT_GAS, next(30_000), true);
    list.setUint32(i * abi.INPUT_SIZE + abi.INPUT_GAS + 4, next(20) === 0 ? 0xffffffff : 0, true);
    broken.unless(length <= inboxCapacity, "input-length", E_RANGE);
    broken.unless(pointer + length <= memory, "input-bounds", E_RANGE);
  }
  const inputs = rarely(script.place(new Uint8Array(list.buffer)), () =>
    next(2) === 0 ? 4 + 8 * next(9) : memory - 8,
  );
  const claimed = rarely(count, () => abi.BATCH_LIMIT + next(2));
  const inbox = rarely(0x8000, () => [0x8004, 0x9000, 0xfff8, 0xfffffff8][next(4)] as number);
  const outbox = rarely(0x9000, () => [0x9002, 0x8038, 0, 0xfffffff8][next(4)] as number);
  const outboxCapacity = rarely(64, () => [3, 4, 0xffffffff][next(3)] as number);
  const reserved = rarely(0, () => 1 + next(9));
  broken.unless(claimed <= abi.BATCH_LIMIT, "batch-count", E_BAD_REQUEST);
  broken.unless(inputs % 8 === 0, "inputs-alignment", E_BAD_REQUEST);
  broken.unless(inputs + claimed * abi.INPUT_SIZE <= memory, "inputs-bounds", E_RANGE);
  broken.unless(inbox % 8 === 0 && outbox % 8 === 0, "mail-alignment", E_BAD_REQUEST);
  broken.unless(outboxCapacity >= 4, "outbox-capacity", E_RANGE);
  const apart = inbox + inboxCapacity <= outbox || outbox + outboxCapacity <= inbox;
  broken.unless(apart, "mail-overlap", E_RANGE);
  broken.unless(reserved === 0, "batch-reserved", E_BAD_REQUEST);
  const struct = view(abi.BATCH_SIZE, {
    [abi.BATCH_INPUTS_POINTER]: inputs,
    [abi.BATCH_INPUTS_COUNT]: claimed,
    [abi.BATCH_INBOX]: inbox,
    [abi.BATCH_INBOX_CAPACITY]: inboxCapacity,
    [abi.BATCH_OUTBOX]: outbox,
    [abi.BATCH_OUTBOX_CAPACITY]: outboxCapacity,
    [abi.BATCH_RESERVED + 4 * next(2)]: reserved,
  });
  const pointer = place(script, next, struct, memory);
  broken.unless(pointer % 8 === 0, "batch-alignment", E_BAD_REQUEST);
  broken.unless(pointer + abi.BATCH_SIZE <= memory, "batch-bounds", E_RANGE);
  const end = Math.max(inbox + inboxCapacity, outbox + outboxCapacity);
  return { pointer, perhaps: end > CHILD_BYTES ? [E_RANGE] : [] };
}

/** Places an OUTCOMES struct whose answers go to `safe`, where there is room. */
export function wildOutcomes(
  script: Script,
  next: Next,
  memory: number,
  safe: number,
  broken: Broken,
): Placed {
  const rarely = (usual: number, other: () => number): number => (next(15) === 0 ? other() >>> 0 : usual);
  const count = rarely(next(5), () => abi.BATCH_LIMIT + next(2));
  const records = rarely(safe, () => (next(2) === 0 ? safe + 4 : memory - 8 * next(3)));
  const output = rarely(safe + 4096, () => memory - next(40));
  const capacity = rarely(4096, () => [0, 3, 0xffffffff][next(3)] as number);
  const reserved = rarely(0, () => 1 + next(9));
  broken.unless(count <= abi.BATCH_LIMIT, "outcomes-count", E_BAD_REQUEST);
  broken.unless(records % 8 === 0, "records-alignment", E_BAD_REQUEST);
  broken.unless(records + count * abi.OUTCOME_SIZE <= memory, "records-bounds", E_RANGE);
  broken.unless(output + capacity <= memory, "output-bounds", E_RANGE);
  broken.unless(reserved === 0, "outcomes-reserved", E_BAD_REQUEST);
  const struct = view(abi.OUTCOMES_SIZE, {
    [abi.OUTCOMES_FIRST]: next(3),
    [abi.OUTCOMES_COUNT]: count,
    [abi.OUTCOMES_POINTER]: records,
    [abi.OUTCOMES_OUTPUT_POINTER]: output,
    [abi.OUTCOMES_OUTPUT_CAPACITY]: capacity,
    [abi.OUTCOMES_RESERVED]: reserved,
  });
  const pointer = place(script, next, struct, memory);
  broken.unless(pointer % 8 === 0, "outcomes-alignment", E_BAD_REQUEST);
  broken.unless(pointer + abi.OUTCOMES_SIZE <= memory, "outcomes-bounds", E_RANGE);
  return { pointer, perhaps: capacity < 4096 ? [abi.E_STATE, E_RANGE] : [abi.E_STATE] };
}
