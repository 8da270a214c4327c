/** The chain of guest/coins.ts: hooks from the network to the contracts, and back. */

import type { Contracts, Transaction } from "../../runtime/app/index.ts";
import type { AppChain } from "../../runtime/validator/index.ts";

/** `programs`: those that this node has for upgrades. */
export function coinsChain(programs: readonly Uint8Array[] = []): AppChain<Contracts> {
  return {
    programs,
    begin({ Network }, { misbehavior }) {
      if (misbehavior.length === 0) return null;
      const doubleSigners = misbehavior.map(({ validator }) => validator?.address);
      return Network?.begin?.({ doubleSigners }) as Transaction;
    },
    updates(events) {
      const changed = events.filter(({ name }) => name === "PowerChanged").map(({ fields }) => fields);
      const validatorUpdates = changed.map(({ key, power }) => ({
        pubKey: { sum: { case: "ed25519" as const, value: Buffer.from(String(key).slice(2), "hex") } },
        power: power as bigint,
      }));
      return validatorUpdates.length === 0 ? {} : { validatorUpdates };
    },
    upgrade({ upgrades }, height) {
      const program = upgrades?.get(height) as { name: string } | undefined;
      return program?.name ?? null;
    },
  };
}
