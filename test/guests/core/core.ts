/**
 * The core's exports (runtime/batch/layout.ts) as imports. The file's name is the module name of the
 * imports.
 */

export declare function reset(items: i32, workers: i32): void;
export declare function enter(worker: i32): void;
export declare function next(): i32;
export declare function lookup(line: u32): usize;
export declare function version(entry: usize): usize;
export declare function finish(gasLow: u32, gasHigh: u32, outcome: u32): i32;
export declare function giveUp(): i32;
export declare function validate(): i32;
export declare function finishValidation(ok: i32): i32;
export declare function commit(): i32;
