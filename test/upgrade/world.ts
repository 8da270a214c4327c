/** Chains for tests of upgrades: the guests of test/guests/upgrade in their versions, and blocks for them. */

import { compileGuest } from "../../runtime/compile.ts";
import { type Block, programHash, Runtime, type RuntimeOptions } from "../../runtime/index.ts";

const compiled = (name: string, constants: Record<string, number>): Promise<Uint8Array> =>
  compileGuest(new URL(`../guests/upgrade/${name}.ts`, import.meta.url).pathname, { constants });

/** Versions 1 and 2 of the root, and of the contract; the third declares more state, the fourth less. */
export const roots = await Promise.all([1, 2].map((VERSION) => compiled("root", { VERSION })));
export const [root, root2] = roots as [Uint8Array, Uint8Array];
const bounds = [2, 2, 3, 1];
export const contracts = await Promise.all(
  bounds.map((BOUND, i) => compiled("contract", { VERSION: i + 1, BOUND })),
);
export const [contract, contract2, wider, narrower] = contracts as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
  Uint8Array,
];

export const nameOf = (program: Uint8Array): string => Buffer.from(programHash(program)).toString("hex");

export const OPTIONS = {
  root,
  programs: [contract],
  memoryQuotaPages: 20_000,
  heldGasQuota: 4_000_000_000,
  gasLimit: 2_000_000_000,
} satisfies RuntimeOptions;

export function open(options: Partial<RuntimeOptions> = {}): Promise<Runtime> {
  return Runtime.open({ ...OPTIONS, workers: 1, ...options });
}

/** Operations of the root: what · child · value · a program. */
export type Operation = readonly [
  what: keyof typeof NUMBERS,
  child: number,
  value?: number,
  program?: Uint8Array,
];

const NUMBERS = { create: 1, add: 2, version: 3, start: 4, join: 5, count: 6, resume: 7, drop: 8 } as const;

export function metadata(...operations: Operation[]): Uint8Array {
  const bytes = Buffer.alloc(48 * operations.length);
  operations.forEach(([what, child, value = 0, program], i) => {
    bytes.writeUInt32LE(NUMBERS[what], 48 * i);
    bytes.writeUInt32LE(child, 48 * i + 4);
    bytes.writeBigInt64LE(BigInt(value), 48 * i + 8);
    if (program !== undefined) bytes.set(programHash(program), 48 * i + 16);
  });
  return new Uint8Array(bytes);
}

/** What a block of the root says: its version, its number of blocks, and the results. */
export function said({ data }: Block): number[] {
  return Array.from(new BigInt64Array(new Uint8Array(data).buffer), Number);
}

/** The results of a block alone. */
export const results = (block: Block): number[] => said(block).slice(2);
