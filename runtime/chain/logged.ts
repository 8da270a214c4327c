/**
 * What the input log keeps of a change of the history: of a block what it is made from and its id, never its
 * state or its data, which are computed again and which the id covers.
 *
 *   body      u16 length · build, UTF-8 · changes
 *   change    u8 kind · u64 height · block id · of a push: parent's id · u64 gas limit ·
 *             u32 length of the rules, 2^32 - 1: as before · u32 length of the metadata · rules · metadata
 *
 * The changes of one body happen together or not at all.
 */

import { assert } from "../errors.ts";
import type { Heap } from "../heap/heap.ts";
import { lookAt } from "../heap/stub.ts";
import { inputOf } from "./block.ts";
import type { BlockName, Change } from "./history.ts";

/** A block to run again, on the head. */
export interface LoggedPush {
  readonly kind: "push";
  readonly block: BlockName;
  readonly parent: string;
  readonly metadata: Uint8Array;
  readonly gasLimit: number;
  /** The change of the rules that comes with the block, as change.ts writes it; null: none. */
  readonly rules: Uint8Array | null;
}

/** A change as the log keeps it. */
export type LoggedChange = LoggedPush | Exclude<Change, { kind: "push" }>;

/** What a frame of the log holds. */
export interface LoggedBody {
  /** What wrote it: versions of the runtime and of the engine. */
  readonly build: string;
  readonly changes: readonly LoggedChange[];
}

const KINDS = ["push", "goTo", "forget", "pin", "unpin"] as const;
const ID_BYTES = 32;
const NAME_BYTES = 1 + 8 + ID_BYTES;
const PUSH_BYTES = ID_BYTES + 8 + 4 + 4;
const NO_RULES = 0xffffffff;

/** How long the body of a frame with these changes is. */
export function loggedBytes(heap: Heap, build: string, changes: readonly Change[]): number {
  return changes.reduce((bytes, change) => {
    if (change.kind !== "push") return bytes + NAME_BYTES;
    const { metadata, change: rules } = change.entry;
    const input = lookAt(heap, () => heap.length(metadata) + (rules === 0 ? 0 : heap.length(rules)));
    return bytes + NAME_BYTES + PUSH_BYTES + input;
  }, 2 + Buffer.byteLength(build));
}

/** The body of a frame. */
export function encodeLogged(heap: Heap, build: string, changes: readonly Change[]): Buffer {
  const name = Buffer.from(build, "utf8");
  const head = Buffer.alloc(2);
  head.writeUInt16LE(name.length);
  return Buffer.concat([head, name, ...changes.flatMap((change) => encodeChange(heap, change))]);
}

function encodeChange(heap: Heap, change: Change): Uint8Array[] {
  const block = change.kind === "push" ? change.entry.block : change.block;
  const name = Buffer.alloc(NAME_BYTES);
  name[0] = KINDS.indexOf(change.kind);
  name.writeBigUInt64LE(BigInt(block.height), 1);
  name.write(block.id, 9, "hex");
  if (change.kind !== "push") return [name];
  const { entry } = change;
  const { metadata, gasLimit } = inputOf(heap, entry);
  const rules = entry.change === 0 ? null : lookAt(heap, () => new Uint8Array(heap.payload(entry.change)));
  const rest = Buffer.alloc(PUSH_BYTES);
  rest.write(entry.block.parent, 0, "hex");
  rest.writeBigUInt64LE(BigInt(gasLimit), ID_BYTES);
  rest.writeUInt32LE(rules?.length ?? NO_RULES, ID_BYTES + 8);
  rest.writeUInt32LE(metadata.length, ID_BYTES + 12);
  return rules === null ? [name, rest, metadata] : [name, rest, rules, metadata];
}

/** The body of a frame whose check is right: what it says was written by `encodeLogged`. */
export function decodeLogged(body: Buffer): LoggedBody {
  let at = 2 + body.readUInt16LE(0);
  const build = body.toString("utf8", 2, at);
  const take = (length: number): Buffer => {
    assert(at + length <= body.length, "log: a change is cut off");
    at += length;
    return body.subarray(at - length, at);
  };
  const changes: LoggedChange[] = [];
  while (at < body.length) {
    const name = take(NAME_BYTES);
    const kind = KINDS[name[0] as number];
    assert(kind !== undefined, "log: a change of another kind");
    const block = { height: Number(name.readBigUInt64LE(1)), id: name.toString("hex", 9) };
    if (kind !== "push") {
      changes.push({ kind, block });
      continue;
    }
    const rest = take(PUSH_BYTES);
    const parent = rest.toString("hex", 0, ID_BYTES);
    const gasLimit = Number(rest.readBigUInt64LE(ID_BYTES));
    const rulesBytes = rest.readUInt32LE(ID_BYTES + 8);
    const rules = rulesBytes === NO_RULES ? null : new Uint8Array(take(rulesBytes));
    const metadata = new Uint8Array(take(rest.readUInt32LE(ID_BYTES + 12)));
    changes.push({ kind, block, parent, metadata, gasLimit, rules });
  }
  return { build, changes };
}
