/** `stillpoint/connect`: an app on a node, over HTTP, with the same calls as an App in this process. */

import "../check-node.ts";

import { StillpointError, UsageError } from "../errors.ts";
import { prefixedHex } from "../text.ts";
import type { Query, Transaction } from "../typed/client.ts";
import { type AddressLike, type Call, Client, type Contracts, type Outcome } from "../typed/client.ts";
import { fixedBytes } from "../typed/codec.ts";
import type { Interface } from "../typed/interface.ts";
import { fieldsOf, recordNamed, valueFromJson } from "./values.ts";

const NOBODY = new Uint8Array(20);

/** A block, as a node describes it. */
export interface RemoteBlock {
  readonly height: number;
  readonly id: string;
  readonly root: string;
  readonly gasUsed: number;
}

/** The sender of a call, and its limits. */
export interface RemoteOptions {
  readonly from?: AddressLike;
  readonly gas?: number;
}

/** Where a query looks. */
export interface RemoteQuery extends RemoteOptions {
  /** A block by height, or any retained one by its id. Default: the latest. */
  readonly on?: number | string;
}

/**
 * An app that somebody else runs, `stillpoint dev` for example.
 *
 * @example
 * ```ts
 * const app = await connect<Client>("http://127.0.0.1:8545");
 * const { Bank } = app.client;
 * const paid = await app.submit(Bank.pay({ to, amount: 40n }), { from });
 * console.log(paid.ok && paid.value, (await app.query(Bank.balanceOf({ who: to }))).ok);
 * ```
 */
export class RemoteApp<Typed extends object = Contracts> {
  readonly url: string;
  /** The program's functions by contract, as those of `App`. */
  readonly client: Typed;
  /** The functions, records and failures of the program. */
  readonly description: Interface;
  /** Addresses of the node's test accounts. */
  readonly accounts: readonly `0x${string}`[];
  readonly #client: Client;

  /** @internal */
  constructor(url: string, description: Interface, accounts: readonly `0x${string}`[]) {
    this.url = url;
    this.description = description;
    this.accounts = accounts;
    this.#client = new Client(description);
    this.client = this.#client.contracts as unknown as Typed;
  }

  /**
   * Submits a transaction and waits until a block has it.
   *
   * @throws StillpointError with the node's code; RPC_FAILED if the node cannot be reached
   */
  async submit<Value, Failure extends string>(
    transaction: Transaction<Value, Failure> | Uint8Array,
    options: RemoteOptions = {},
  ): Promise<Outcome<Value, Failure>> {
    const isBytes = transaction instanceof Uint8Array;
    const params = isBytes
      ? { bytes: hex(transaction) }
      : { ...this.#params(transaction as Transaction), ...sender(options) };
    const call = isBytes ? null : (transaction as Transaction);
    return this.#outcome(call, await this.request("submit", params)) as Outcome<Value, Failure>;
  }

  /** Runs a view on a block and keeps nothing. */
  async query<Value, Failure extends string>(
    call: Query<Value, Failure>,
    { on, ...options }: RemoteQuery = {},
  ): Promise<Outcome<Value, Failure>> {
    const params = {
      ...this.#params(call as Query),
      ...sender(options),
      ...(on === undefined ? {} : { block: on }),
    };
    return this.#outcome(call as Query, await this.request("query", params)) as Outcome<Value, Failure>;
  }

  /**
   * Any method of the node, as `docs/cli.md` lists them: "mine", "blocks", "revert"…
   *
   * @throws as `submit`
   */
  request(method: string, params: object = {}): Promise<unknown> {
    return request(this.url, method, params);
  }

  /** Arguments are sent in their one encoding, so JSON loses nothing of them. */
  #params(call: Call): object {
    return { input: hex(this.#client.input(call, NOBODY)) };
  }

  #outcome(call: Call | null, answer: unknown): Outcome {
    const outcome = answer as Outcome;
    if (!outcome.ok) return outcome;
    const { functions } = this.description;
    const of = functions.find(({ contract, name }) => contract === call?.contract && name === call?.name);
    const events = outcome.events.map(({ name, fields }) => ({
      name,
      fields: fieldsOf(this.description, recordNamed(this.description, name).fields, fields) as typeof fields,
    }));
    const value = of?.returns ? valueFromJson(this.description, of.returns, outcome.value) : undefined;
    return { ...outcome, value: call === null ? outcome.value : value, events };
  }
}

/**
 * Connects to a node, as `stillpoint dev` runs one.
 *
 * @throws UsageError RPC_FAILED if nothing answers there, or something other than a node
 * @example
 * ```ts
 * const error = await connect("http://127.0.0.1:1").catch((thrown) => thrown); // nobody is there
 * console.log(error.code); // RPC_FAILED
 * ```
 */
export async function connect<Typed extends object = Contracts>(url: string): Promise<RemoteApp<Typed>> {
  const about = (await request(url, "interface", {})) as {
    readonly interface: Interface;
    readonly accounts: readonly `0x${string}`[];
  };
  return new RemoteApp<Typed>(url, about.interface, about.accounts);
}

async function request(url: string, method: string, params: object): Promise<unknown> {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  let answer: {
    result?: unknown;
    error?: { code: string | number; message: string; data?: { code?: string; facts?: object } };
  };
  try {
    const headers = { "content-type": "application/json" };
    const response = await fetch(url, { method: "POST", headers, body });
    answer = await response.json();
  } catch (cause) {
    const text = `no node answers at ${url}: ${(cause as Error).message}; is "stillpoint dev" running there?`;
    throw new UsageError("RPC_FAILED", text, { url }, { cause });
  }
  if (answer.error === undefined) return answer.result;
  const { code, message, data } = answer.error;
  throw new StillpointError(
    data?.code ?? String(code),
    message,
    (data?.facts ?? {}) as Record<string, string>,
  );
}

function sender({ from, gas }: RemoteOptions): object {
  return {
    ...(from === undefined ? {} : { from: hex(fixedBytes(20, from, "from")) }),
    ...(gas === undefined ? {} : { gas }),
  };
}

function hex(bytes: Uint8Array): string {
  return prefixedHex(bytes);
}
