/**
 * A switch that stops transactions. State: `contractPaused`, a line that all which ask only read, so they do
 * not wait for each other.
 *
 *   @transaction pay(to: Address, amount: u256): void { whenNotPaused(); … }
 *   @transaction stop(): void { onlyOwner(); pause(); }
 */

import { StateCell, fail } from "stillpoint/guest";

const contractPaused = new StateCell<bool>();

export function isPaused(): bool {
  return contractPaused.value;
}

/** Fails with "paused" while it is. */
export function whenNotPaused(): void {
  if (contractPaused.value) fail("paused");
}

/** Does not check the caller: check before that it may pause. */
export function pause(): void {
  contractPaused.value = true;
}

export function unpause(): void {
  contractPaused.value = false;
}
