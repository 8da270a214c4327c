/**
 * The four calls as the kernel gives them: raw imports on addresses of request structs, whose layouts are in
 * ../syscalls/abi.ts. Guests normally use process.ts; this is for those who lay out requests themselves.
 *
 * The file's name is the module name of the imports: asc derives the one from the other.
 */

/** Copies values into a child; 0 or an error code. */
export declare function put(child: i32, request: usize): i32;

/** Takes values from a child, after joining it; 0 or an error code. */
export declare function get(child: i32, request: usize): i32;

/** Suspends until the parent starts this process again; returns the argument of that START. */
export declare function ret(code: i64): i64;

/**
 * Adds to an integer in this process's memory, within bounds: 1, or 0 and nothing is added, or an error code.
 */
export declare function accumulate(request: usize): i32;

/**
 * Root only: commits a block and suspends; returns the length of the next block's metadata, or an error
 * code.
 */
export declare function snapshot(request: usize): i32;
