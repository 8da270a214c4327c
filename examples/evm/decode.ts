/** What the root commits of a block, drawn in guest/messages.ts. */

const LINES_AT = 408;
const LINE_BYTES = 112;

export interface ExecutedTransaction {
  /** Whether it ended well; what it did is reverted otherwise. */
  readonly succeeded: boolean;
  readonly logs: number;
  readonly gasUsed: bigint;
  /** Recovered from its signature, in hex. */
  readonly sender: string;
  /** The contract that it created, in hex, or null. */
  readonly created: string | null;
  readonly hash: string;
}

export interface ExecutedBlock {
  readonly number: bigint;
  readonly gasUsed: bigint;
  readonly receiptsRoot: string;
  readonly transactionsRoot: string;
  readonly logsBloom: string;
  /** Wei of fees that were burned. */
  readonly burned: bigint;
  /** Hash of the process that executes. */
  readonly processHash: string;
  readonly transactions: readonly ExecutedTransaction[];
}

export function decodeResult(data: Uint8Array): ExecutedBlock {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const hex = (at: number, length: number): string => `0x${bytes.toString("hex", at, at + length)}`;
  const word = (at: number): bigint =>
    BigInt(
      `0x${Buffer.from(bytes.subarray(at, at + 32))
        .reverse()
        .toString("hex")}`,
    );
  const address = (at: number): string => `0x${word(at).toString(16).padStart(40, "0")}`;
  return {
    number: bytes.readBigUInt64LE(0),
    gasUsed: bytes.readBigUInt64LE(8),
    receiptsRoot: hex(24, 32),
    transactionsRoot: hex(56, 32),
    processHash: hex(88, 32),
    burned: word(120),
    logsBloom: hex(152, 256),
    transactions: Array.from({ length: bytes.readUInt32LE(16) }, (_, i) => {
      const at = LINES_AT + i * LINE_BYTES;
      return {
        succeeded: bytes.readUInt32LE(at) === 1,
        logs: bytes.readUInt32LE(at + 4),
        gasUsed: bytes.readBigUInt64LE(at + 8),
        sender: address(at + 16),
        created: word(at + 48) === 0n ? null : address(at + 48),
        hash: hex(at + 80, 32),
      };
    }),
  };
}
