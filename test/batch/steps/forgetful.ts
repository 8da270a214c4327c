/** Steps with a planted defect: leases are random, and gas beyond a lease is not counted as gas left. */

import { Meter } from "../../../runtime/kernel/slots/meter.ts";

export { steps } from "./leases.ts";

const { get } = Object.getOwnPropertyDescriptor(Meter.prototype, "gas") as { get: () => number };
Object.defineProperty(Meter.prototype, "gas", {
  get(this: Meter): number {
    return Math.min(get.call(this), this.lease);
  },
});
