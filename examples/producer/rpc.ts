/**
 * The node for typed clients: `connect<Contract>(url)` of stillpoint/connect gives the same calls as the App
 * here. It may look at everything, at a bounded price; what it submits are the bytes of a signed payment.
 */

import type { Outcome, Query } from "../../runtime/app/index.ts";
import { badArgument } from "../../runtime/arguments.ts";
import { RequestError } from "../../runtime/http/checks.ts";
import type { Methods } from "../../runtime/node/rpc.ts";
import { jsonOf } from "../../runtime/node/values.ts";
import { Client } from "../../runtime/typed/client.ts";
import { readInterface } from "../../runtime/typed/interface.ts";
import type { Bank } from "./bank.ts";
import type { Mempool } from "./mempool.ts";
import { openPayment } from "./transaction.ts";

/** Gas of a query: some 3 ms. */
const QUERY_GAS = 10_000_000;

/** Those of `stillpoint dev` that a node can give to strangers. */
export function rpcMethods(bank: Bank, program: Uint8Array, mempool: Mempool): Methods {
  const description = readInterface(program);
  const client = new Client(description);
  const { genesis } = bank.runtime;
  return {
    interface: () => ({ interface: description, chain: genesis, genesis, signed: true, accounts: [] }),
    query: async ({ input }) => {
      const call = client.callOf(bytesOf("input", input));
      if (call === null) throw badArgument("input", input, "a call of a view of the program");
      return jsonOf(await bank.query(call as Query, { gas: QUERY_GAS }));
    },
    submit: async ({ bytes }) => {
      const payment = openPayment(parse(bytesOf("bytes", bytes)), genesis);
      const { left, error, gasUsed } = await mempool.add(payment);
      const outcome: Outcome<bigint> =
        left === null
          ? { ok: false, error: error as string, gasUsed }
          : { ok: true, value: left, events: [], gasUsed };
      return jsonOf(outcome);
    },
  };
}

function bytesOf(name: string, value: unknown): Buffer {
  if (typeof value === "string" && /^0x([\da-f]{2})*$/i.test(value))
    return Buffer.from(value.slice(2), "hex");
  throw badArgument(
    name,
    value,
    '"0x…" in hex; payments are signed by who makes them, and submitted as bytes',
  );
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    throw new RequestError(400, "BAD_TRANSACTION", "the bytes must be the JSON of a signed payment");
  }
}
