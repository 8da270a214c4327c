/** Calls of an app's functions: makes their inputs, and runs them as views. */

import { badArgument, checkNames } from "../arguments.ts";
import { UsageError } from "../errors.ts";
import type { Runtime } from "../index.ts";
import { isOfLibrary } from "../program/source-map/sources.ts";
import type { Frame } from "../testing.ts";
import { type AddressLike, type Call, Client, type Contracts, type Outcome } from "../typed/client.ts";
import { TRANSACTION_ENTRY, VIEW_ENTRY } from "../typed/entry.ts";
import { readInterface } from "../typed/interface.ts";
import { TRANSACTION_BYTES_MAX } from "./guest/messages.ts";
import type { QueryOptions } from "./options.ts";
import { APP, type Programs } from "./programs.ts";

/** The caller, where none is given. */
export const NOBODY = new Uint8Array(20);

type Kind = "transaction" | "view";

const ENTRIES: Readonly<Record<Kind, string>> = { transaction: TRANSACTION_ENTRY, view: VIEW_ENTRY };

/** The input of a call that must be of this kind. @throws UsageError BAD_ARGUMENT */
export function inputOf(client: Client, call: Call, kind: Kind, from: AddressLike | undefined): Uint8Array {
  if (call?.kind !== kind) {
    if (call?.kind === undefined) throw badArgument("call", call, "one that the app's client made");
    throw badArgument(`${call.contract}.${call.name}`, call.kind, `a ${kind}`);
  }
  return client.input(call, from as AddressLike);
}

/**
 * The functions of a program by contract, which make calls: `app.client`, where there is no App at hand. To
 * sign one, its `call` is u32 selector · `bytes`.
 *
 * @throws UsageError NO_INTERFACE if the program has no contracts
 * @example
 * ```ts
 * const { Bank } = contractsOf(await compileGuest("bank.ts"));
 * console.log(Bank.pay({ to: bob, amount: 9n }).kind); // transaction
 * ```
 */
export function contractsOf(program: Uint8Array): Contracts {
  return new Client(readInterface(program)).contracts;
}

/** The error for what does not go together. */
export function wrong(text: string): UsageError {
  return new UsageError("BAD_ARGUMENT", text);
}

/** Runs a call on a block and keeps nothing of it. */
export async function runAsView(
  runtime: Runtime,
  programs: Programs,
  call: Call,
  kind: Kind,
  options: QueryOptions,
): Promise<Outcome> {
  checkNames(options, ["from", "on", "gas"]);
  const { from = NOBODY, on, gas } = options;
  // Its state names the program.
  if (on !== undefined) await runtime.recompute(on);
  const { client } = programs.at(on ?? runtime.head);
  const { stack, ...view } = await runtime.call(APP, ENTRIES[kind], {
    input: inputOf(client, call, kind, from),
    ...(on === undefined ? {} : { block: on }),
    ...(gas === undefined ? {} : { gas }),
  });
  return client.outcome(call.selector, { ...view, reason: view.text, at: placeIn(stack) });
}

/** The innermost line of the author's own that was running, as "bank.ts:42"; undefined: none is known. */
export function placeIn(stack: readonly Frame[]): string | undefined {
  const places = stack.map(({ source, callSite }) => callSite ?? source);
  const place = places.find((each) => each !== null && !isOfLibrary(each));
  return place ? `${place.file}:${place.line}` : undefined;
}

/** Bytes of a transaction that a block can have. */
export function checkLength(bytes: Uint8Array): Uint8Array {
  if (bytes.length <= TRANSACTION_BYTES_MAX) return bytes;
  throw badArgument("the length of a transaction", bytes.length, `at most ${TRANSACTION_BYTES_MAX} bytes`);
}
