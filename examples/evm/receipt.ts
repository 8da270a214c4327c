/** What an item of the EVM puts out, drawn in guest/messages.ts. */

export interface Receipt {
  readonly succeeded: boolean;
  readonly type: number;
  readonly gasUsed: bigint;
  readonly bloom: Uint8Array;
  /** RLP of the list of logs. */
  readonly logs: Uint8Array;
}

export function decodeReceipt(bytes: Buffer): Receipt {
  return {
    succeeded: bytes.readUInt32LE(0) === 1,
    type: bytes.readUInt32LE(4),
    gasUsed: bytes.readBigUInt64LE(8),
    bloom: Uint8Array.from(bytes.subarray(56, 312)),
    logs: Uint8Array.from(bytes.subarray(312, 312 + bytes.readUInt32LE(20))),
  };
}
