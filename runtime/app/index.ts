/** `stillpoint/app`: contracts with types, and a runtime that is ready for them. */

export type { Block } from "../index.ts";
export type {
  AddressLike,
  Call,
  CommonFailure,
  Contracts,
  Event,
  Failed,
  Outcome,
  Query,
  Success,
  Transaction,
} from "../typed/client.ts";
export { App, type AppOptions, type Produced, type QueryOptions, type SubmitOptions } from "./app.ts";
export type { Waiting } from "./pool.ts";
export type { CellView, MapView, StateView, VectorView } from "./state.ts";
export { type TestCall, TestContract } from "./test-contract.ts";
