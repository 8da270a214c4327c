/**
 * What marks the parts of a typed program, for the compiler of guests, which takes it out: see
 * guest/README.md, Contracts. Editors see functions; nothing is called.
 */

/** A class whose methods are the program's functions. It has no fields: state is constants of the module. */
export declare function contract(target: any): any;

/** A class of plain fields that lies in state, in messages and in events. */
export declare function record(target: any): any;

/** A method that a transaction calls; with the maxima of its strings, bytes and vectors, as { note: 32 }. */
export declare function transaction(target?: any, name?: any, descriptor?: any): any;

/** A method that only looks: what it writes is forgotten. Maxima as with `transaction`. */
export declare function view(target?: any, name?: any, descriptor?: any): any;

/**
 * A method that runs once, when an app is made, before all transactions: what starts with something else than
 * zero. At most one in a contract. Maxima as with `transaction`.
 */
export declare function setup(target?: any, name?: any, descriptor?: any): any;

/**
 * A method without parameters that runs once, when a chain is upgraded to a program that has it from one that
 * has not: what puts the state right. Its `block` is the one before. See docs/upgrading.md.
 */
export declare function migrate(target?: any, name?: any, descriptor?: any): any;

/**
 * The most bytes of UTF-8 that a string of a record may have, or bytes may be, or elements an array; the
 * number of elements of a StaticArray. From the outermost in: `@max(10, 64) names: string[]`.
 */
export declare function max(most: i32, inner?: i32, innermost?: i32): any;

/**
 * Prints values in tests (`TestContract`) and traces (`app.trace`): anything that has an encoding, and texts.
 * In a program it is as if the line were empty, so the values must not be needed for anything else.
 */
export declare function debug(a?: any, b?: any, c?: any, d?: any, e?: any, f?: any, g?: any, h?: any): void;
