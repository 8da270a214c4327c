/** Steps with a planted defect: leases are random, and running out of one is an item's outcome. */

import { FAULT_EXPIRED, ItemSlot } from "../../../runtime/batch/item-slot.ts";
import { FAULT_OUT_OF_GAS } from "../../../syscalls/abi.ts";

export { steps } from "./leases.ts";

const { run } = ItemSlot.prototype;
ItemSlot.prototype.run = function (...parameters): number {
  const fault = run.apply(this, parameters);
  return fault === FAULT_EXPIRED ? FAULT_OUT_OF_GAS : fault;
};
