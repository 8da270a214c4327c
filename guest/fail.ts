/**
 * Failing by name. A failure ends the activation or the item with an abort, so everything it wrote is undone,
 * and its name gives the caller the reason.
 *
 *   if (balance < amount) fail("overdraft");
 *
 * An outcome of a batch has no text, only the line and the column of an abort. A failure with a number keeps
 * it in the column's place: FAILURE_FLAG · file << 16 · number, where the file is an index into a list that
 * the program's interface has. The SDK's own failures have the numbers below, and a line in programs of
 * contracts only (typed/mark.ts); those of a program begin at FAILURES_OWN.
 */

/** Set in the column of an abort that is a failure with a number. */
export const FAILURE_FLAG: u32 = 0x80000000;
/** A collection holds as many entries as it was declared for. */
export const FAILURE_FULL: u32 = FAILURE_FLAG | 1;
/** There is nothing under that key or index. */
export const FAILURE_MISSING: u32 = FAILURE_FLAG | 2;
/** The result of checked arithmetic does not fit its type. */
export const FAILURE_OVERFLOW: u32 = FAILURE_FLAG | 3;
/** An input of a typed program is not the encoding of arguments. */
export const FAILURE_INPUT: u32 = FAILURE_FLAG | 4;
/** An input of a typed program names a function that it does not have. */
export const FAILURE_NO_FUNCTION: u32 = FAILURE_FLAG | 5;
/** An abort without a name, in a program of contracts. */
export const FAILURE_ABORT: u32 = FAILURE_FLAG | 6;
/** The number of a program's first failure. */
export const FAILURES_OWN: u32 = 64;

/**
 * Ends this activation or item with the failure `name`. The other arguments are for the SDK and for
 * compilers.
 */
export function fail(name: string, line: u32 = 0, number: u32 = 0, file: string | null = null): void {
  abort(name, file, line, number);
}
