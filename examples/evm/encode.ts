/** The messages between host and root, drawn in guest/messages.ts, which reads and writes the same. */

import { UsageError } from "../../runtime/errors.ts";
import { type EvmBlock, FORKS } from "./block.ts";

const METADATA_VERSION = 3;
const HEADER_BYTES = 264;
const CODE_PADDING = 64;
const SENDER_ROOM = Buffer.alloc(32);

/** Hashes of the two programs that the root makes its children from. */
export interface Programs {
  readonly evm: Uint8Array;
  readonly senders: Uint8Array;
}

/** Metadata for a block. */
export function encodeBlock(
  block: EvmBlock,
  codes: ReadonlyMap<string, Uint8Array>,
  programs: Programs,
): Uint8Array {
  const numbers = numberCodes(block, codes);
  const slots = block.accounts.flatMap(({ storage }, owner) =>
    storage.map((slot) => [owner, ...slot] as const),
  );
  const parts: Uint8Array[] = [
    header(block, programs, slots.length, numbers.size),
    ...block.accounts.map(({ address, balance, nonce, codeHash }) =>
      Buffer.concat([word(address), word(balance), u64(nonce), u32(codeNumber(numbers, codeHash)), u32(1)]),
    ),
    ...slots.map(([owner, key, value]) => Buffer.concat([u32(owner), u32(0), word(key), word(value)])),
    ...block.blockHashes.map(([number, hash]) => Buffer.concat([u64(number), hash])),
    ...block.withdrawals.map(({ address, amount }) => Buffer.concat([word(address), u64(amount)])),
    ...[...numbers.keys()].map((hash) => encodeCode(hash, codes.get(hash) as Uint8Array)),
    ...block.transactions.map(({ bytes }) => padded([u32(bytes.length), u32(0), SENDER_ROOM, bytes])),
  ];
  return Buffer.concat(parts);
}

function header(block: EvmBlock, { evm, senders }: Programs, slots: number, codes: number): Uint8Array {
  const { accounts, blockHashes, withdrawals, transactions, beaconRoot } = block;
  const bytes = Buffer.concat([
    u32(METADATA_VERSION),
    u32(FORKS.get(block.fork) as number),
    evm,
    senders,
    u64(block.number),
    u64(block.timestamp),
    u64(block.gasLimit),
    u64(block.excessBlobGas),
    ...[accounts.length, slots, codes, blockHashes.length, withdrawals.length, transactions.length].map(u32),
    word(block.miner),
    word(block.baseFee),
    word(block.randao),
    beaconRoot ?? Buffer.alloc(32),
    u32(beaconRoot === null ? 0 : 1),
    u32(0),
  ]);
  if (bytes.length !== HEADER_BYTES) throw new Error(`a header has ${bytes.length} bytes`);
  return bytes;
}

/** The codes of the block in the order in which its accounts name them. */
function numberCodes(block: EvmBlock, codes: ReadonlyMap<string, Uint8Array>): ReadonlyMap<string, number> {
  const numbers = new Map<string, number>();
  for (const { codeHash } of block.accounts) {
    if (codeHash === null || numbers.has(codeHash)) continue;
    if (!codes.has(codeHash)) {
      const message =
        `block ${block.number}: the code ${codeHash} is in no file codes-*.json.gz beside it; ` +
        "add the files that came with the blocks";
      throw new UsageError("BAD_BLOCK_FILE", message, { number: String(block.number), codeHash });
    }
    numbers.set(codeHash, numbers.size + 1);
  }
  return numbers;
}

function codeNumber(numbers: ReadonlyMap<string, number>, hash: string | null): number {
  return hash === null ? 0 : (numbers.get(hash) as number);
}

function encodeCode(hash: string, code: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(40 + Math.ceil((code.length + CODE_PADDING) / 8) * 8);
  bytes.set(Buffer.from(hash.slice(2), "hex"), 0);
  bytes.writeUInt32LE(code.length, 32);
  bytes.set(code, 40);
  return bytes;
}

// ---- values -----------------------------------------------------------------------------------------------

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value, 0);
  return bytes;
}

function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value, 0);
  return bytes;
}

function word(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(64, "0"), "hex").reverse();
}

function padded(parts: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.concat(parts);
  return Buffer.concat([bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8)]);
}
