/**
 * The guest SDK: `import { Child, snapshot } from "stillpoint/guest"`. See README.md. (asc takes no extension
 * in `export … from`.)
 */

export { Child, Conflict, Rejection, Status, memoryQuota, ret, snapshot } from "./process";
export { PARALLEL_CHILDREN, PARALLEL_GAS, PARALLEL_RANGES, Parallel, forked, parallel } from "./parallel";
export { accumulate, accumulateU64 } from "./accumulate";
export { Batch, Item, OUTPUT_LIMIT, Outcomes } from "./batch";
export { StateCell } from "./state/cell";
export { StateMap } from "./state/map";
export { StateSet } from "./state/set";
export { StateVector } from "./state/vector";
export { minus, plus, times } from "./arithmetic";
export { Address, Bytes4, Bytes8, Bytes16, Bytes32, Bytes64 } from "./values";
export { u128, u256 } from "./integers";
export { contract, debug, max, migrate, record, setup, transaction, view } from "./typed/decorators";
export { block, caller, emit } from "./typed/context";
export { Option } from "./typed/option";
export {
  FAILURE_FLAG,
  FAILURE_FULL,
  FAILURE_INPUT,
  FAILURE_MISSING,
  FAILURE_NO_FUNCTION,
  FAILURE_OVERFLOW,
  FAILURES_OWN,
  fail,
} from "./fail";
export { outputAt } from "./view";
export { check, errorName, faultName, reasonName } from "./errors";
export { Block } from "./block";
export { PAGE_BYTES, PageBuffer, allocatePages } from "./pages";
export { U128 } from "./u128";
export { U256, multiplyHigh } from "./u256";
export { SHA256_BYTES, Sha256 } from "./sha256";
export {
  Accounts,
  RECORDS_OFFSET,
  RECORD_BALANCE,
  RECORD_BYTES,
  RECORD_FLAGS,
  RECORD_NONCE,
} from "./accounts";
export * from "../syscalls/abi";
