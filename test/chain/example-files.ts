/** Files whose examples examples.test.ts runs; test/docs/examples.test.ts runs all others. */
export const EMBEDDING: readonly string[] = [
  "runtime/chain/chain.ts",
  "runtime/chain/runtime.ts",
  "runtime/chain/diff.ts",
  "runtime/chain/diverge.ts",
  "runtime/chain/reader.ts",
  "runtime/chain/record-block.ts",
  "runtime/chain/maintenance.ts",
  "runtime/chain/export.ts",
  "runtime/proof/verify.ts",
  "runtime/proof/native.ts",
];
