/**
 * The exchange's state as it lies in the memory of its processes: balances, keys and reserves, read from
 * outside without asking a program.
 */

import type { Runtime } from "../../runtime/index.ts";
import { hex } from "./reference.ts";

const ROUTER = [2];
const TOKENS = [
  [2, 0],
  [2, 1],
] as const;
const POOL = [2, 2];
const POOL_RESERVES = 64;
const TABLE = 64;
/** Of a table (guest/accounts.ts): where its segments are listed, and how many accounts there are. */
const TABLE_SEGMENTS = 8;
const SEGMENTS_COUNT = 65_536;
const RECORD_BYTES = 64;
const RECORD_NONCE = 24;
const RECORD_BALANCE = 32;

export interface ExchangeState {
  readonly balances: readonly [Map<string, bigint>, Map<string, bigint>];
  /** The first key that may still be used. */
  readonly keys: Map<string, number>;
  readonly reserves: readonly [bigint, bigint];
}

/** Everything as it is at the head of `runtime`. */
export function readExchange(runtime: Runtime): ExchangeState {
  const reserves = view(runtime.read(POOL, POOL_RESERVES, 16));
  const balances = TOKENS.map((token) => readTable(runtime, token, RECORD_BALANCE));
  const keys = [...readTable(runtime, ROUTER, RECORD_NONCE)].map(([address, key]) => [address, Number(key)]);
  return {
    balances: balances as [Map<string, bigint>, Map<string, bigint>],
    keys: new Map(keys as [string, number][]),
    reserves: [reserves.getBigUint64(0, true), reserves.getBigUint64(8, true)],
  };
}

/** A u64 of each account in a table of fewer than 4,096. */
function readTable(runtime: Runtime, path: readonly number[], offset: number): Map<string, bigint> {
  const word = (address: number): number => view(runtime.read(path, address, 4)).getUint32(0, true);
  const segments = word(TABLE + TABLE_SEGMENTS);
  const count = word(segments + SEGMENTS_COUNT);
  const records = runtime.read(path, word(segments), count * RECORD_BYTES);
  return new Map(
    Array.from({ length: count }, (_, i) => {
      const record = records.subarray(i * RECORD_BYTES, (i + 1) * RECORD_BYTES);
      return [hex(record.subarray(0, 20)), view(record).getBigUint64(offset, true)];
    }),
  );
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
