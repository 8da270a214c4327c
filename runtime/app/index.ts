/** `stillpoint/app`: contracts with types, and a runtime that is ready for them. */

import "../check-node.ts";

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
  Refusal,
  Success,
  Transaction,
} from "../typed/client.ts";
export { App } from "./app.ts";
export { type Authentication, chainOf, signed } from "./authentication.ts";
export { contractsOf } from "./calls.ts";
export {
  type ComparedCall,
  type ComparedState,
  type Comparison,
  compareVersions,
  formatComparison,
  type Version,
} from "./compare.ts";
export { expectGas } from "./gas-snapshot.ts";
export type {
  AppEvent,
  ApplyOptions,
  AppOptions,
  AppReorg,
  AppReorgOptions,
  BlockOptions,
  Produced,
  Proposal,
  ProposeOptions,
  QueryOptions,
  SubmitOptions,
  Upgrade,
} from "./options.ts";
export type { Waiting } from "./pool.ts";
export { profileBlock } from "./profile.ts";
export {
  expectDeterministic,
  type ScenarioCall,
  type ScenarioOptions,
  ScenarioRunner,
  type ScenarioStep,
} from "./scenario.ts";
export { type Hex, Signer, type Unsigned } from "./signer.ts";
export { type CellView, type MapView, type StateView, stateOf, type VectorView } from "./state.ts";
export type { StateChange } from "./state-changes.ts";
export { type TestCall, TestContract, type TestContractOptions } from "./test-contract.ts";
export {
  type AppTrace,
  formatTrace,
  formatTransaction,
  formatTransactions,
  type TracedTransaction,
} from "./trace.ts";
