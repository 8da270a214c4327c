/**
 * The EVM with a look at every opcode: the same sources, compiled with the constant TRACING (guests.ts). It
 * runs as a plain module on a host that has the imports of trace.ts, and is no program for the runtime.
 */

export * from "./evm";
