/**
 * What the core imports: the lines as they were before the window. The file's name is the module name of
 * the imports: asc derives the one from the other.
 */

/** Whether the line's base bytes equal the 64 bytes at `address`. */
export declare function equals(line: u32, address: usize): i32;

/** Puts the line's base bytes at `address`. */
export declare function read(line: u32, address: usize): void;
