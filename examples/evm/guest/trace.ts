/**
 * Imports from the host of a trace, which reads the memory in their arguments at once. The file's name is the
 * module name of the imports.
 */

/** An opcode begins: `words` of 32 bytes at `stack`, `returned` bytes at `returnData` from the last call. */
export declare function onStep(
  pc: u32,
  opcode: u32,
  gas: i64,
  depth: u32,
  memoryBytes: u32,
  stack: usize,
  words: u32,
  returnData: usize,
  returned: u32,
): void;

/** What gas is left once it is charged for, and what is to be refunded; 1 if it has not failed. */
export declare function onPaid(gas: i64, refund: i64, good: u32): void;

/** The output of the transaction. */
export declare function onEnd(output: usize, length: u32): void;
