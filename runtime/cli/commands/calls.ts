/** stillpoint submit and query: one call, to an app in a store or on a node. */

import { relative } from "node:path";
import { App, Signer, signed } from "../../app/index.ts";
import { badArgument, badWord } from "../../arguments.ts";
import { UsageError } from "../../errors.ts";
import { TEST_CHAIN, testSigners, withAccounts } from "../../node/accounts.ts";
import { connect } from "../../node/connect.ts";
import { callNamed, jsonOf } from "../../node/values.ts";
import { openReader } from "../../store.ts";
import { type Call, Client, type Outcome, type Query, type Transaction } from "../../typed/client.ts";
import type { Interface } from "../../typed/interface.ts";
import { argumentsOf, loadApp } from "../app-file.ts";
import type { Handler } from "../command.ts";
import type { Spec } from "../table.ts";
import { EXIT_FAILED, EXIT_OK, grouped, print, printError, toJson } from "../terminal.ts";
import { readInput } from "./files.ts";

/** Where calls go. */
interface Target {
  readonly description: Interface;
  submit(call: Transaction, options: Options): Promise<Outcome>;
  query(call: Query, options: Options): Promise<Outcome>;
}

interface Options {
  readonly from: `0x${string}`;
  /** Who signs, where the app takes signed transactions. */
  readonly by?: Signer;
  readonly gas?: number;
  readonly on?: number;
}

interface Where {
  readonly store: string | undefined;
  readonly url: string | undefined;
  readonly app: string | undefined;
  readonly setup: string | undefined;
  readonly signed: boolean;
  readonly chain: string | undefined;
  readonly key?: string | undefined;
}

export const submit: Handler<Spec<"submit">> = async ({ args, options, json }) => {
  const from = addressOf(options.from);
  const by = options.signed ? signerOf(options.key, options.from, from) : undefined;
  const target = await targetOf(options);
  const call = callOf(target, args, "transaction") as Transaction;
  const { gas } = options;
  const asked = { from, ...(gas !== undefined && { gas }), ...(by !== undefined && { by }) };
  return say(args.CALL, await target.submit(call, asked), json);
};

export const query: Handler<Spec<"query">> = async ({ args, options, json }) => {
  const from = addressOf(options.from);
  const target = await targetOf(options);
  const call = callOf(target, args, "view") as Query;
  const { gas, block } = options;
  const where = { ...(gas !== undefined && { gas }), ...(block !== undefined && { on: block }) };
  return say(args.CALL, await target.query(call, { from, ...where }), json);
};

interface Words {
  readonly CALL: string;
  readonly "NAME=VALUE": readonly string[];
}

function callOf({ description }: Target, words: Words, kind: "transaction" | "view"): Call {
  const { contracts } = new Client(description);
  const call = callNamed(description, contracts, words.CALL, argumentsOf(words["NAME=VALUE"]));
  if (call.kind === kind) return call;
  const other = kind === "view" ? "submit" : "query";
  throw badArgument(words.CALL, call.kind, `a ${kind} (stillpoint ${other} takes the other kind)`);
}

/** A store is opened only for the call itself, after the command line has been checked. */
async function targetOf({ store, url, app, setup, ...signing }: Where): Promise<Target> {
  const isSigned = signing.signed;
  if (!isSigned && (signing.chain !== undefined || signing.key !== undefined))
    throw new UsageError("BAD_OPTION", "--chain and --key are for --signed");
  if (isSigned && url !== undefined)
    throw new UsageError("BAD_OPTION", "--signed is for --store: a node signs for its test accounts itself");
  if (url !== undefined && !URL.canParse(url)) throw badWord("--url", url, "a URL, as http://127.0.0.1:8545");
  if (url !== undefined && store === undefined) return connect(url);
  if (store === undefined || url !== undefined)
    throw new UsageError("BAD_OPTION", "give --store DIR, or --url URL of a node that runs");
  const { file, program, description, setup: setups } = await loadApp(app, setup);
  const withApp = async <T>(use: (app: App) => Promise<T>): Promise<T> => {
    const authenticate = signed({ chain: signing.chain ?? TEST_CHAIN });
    const options = { program, setup: setups, store, ...(isSigned && { authenticate }) };
    await using opened = await App.open(options).catch((error) => {
      if (error.code === "UPGRADE") throw otherVersion(store, relative(".", file), error);
      throw error.code === "STATE_MOVED" ? otherApp(store, file, error) : error;
    });
    return await use(opened);
  };
  return {
    description,
    submit: (call, { from, by, ...options }) =>
      withApp(async (opened) => {
        const outcome = opened.submit(call, { ...options, ...(by === undefined ? { from } : { by }) });
        await opened.produce();
        return outcome;
      }),
    query: async (call, options) => {
      await openReader(store).then((reader) => reader.close()); // a query must not create a store
      return withApp((opened) => opened.query(call, options));
    },
  };
}

function otherApp(store: string, file: string, cause: UsageError): UsageError {
  const cure = "name it with --app. If it is the same, edited";
  const text = `${store} has another app than ${file}: ${cure}: ${cause.message}`;
  return new UsageError("STATE_MOVED", text, cause.facts, { cause });
}

function otherVersion(store: string, file: string, cause: UsageError): UsageError {
  const text =
    `${store} has another version of ${file}. "stillpoint dev ${file} --store ${store}" upgrades it; ` +
    "if nobody needs its blocks, delete it";
  return new UsageError("UPGRADE", text, cause.facts, { cause });
}

/** The key in the file, or the test account with this address. */
function signerOf(file: string | undefined, given: string | undefined, from: string): Signer {
  if (file === undefined) {
    const signer = testSigners().find(({ address }) => address === from.toLowerCase());
    if (signer !== undefined) return signer;
    const text = `--from ${given}: nobody here can sign for it: give a test account, $0 to $9, or --key FILE`;
    throw new UsageError("BAD_OPTION", text);
  }
  if (given !== undefined)
    throw new UsageError("BAD_OPTION", "give --key or --from: the key says who the caller is");
  const text = Buffer.from(readInput(file)).toString("utf8").trim();
  if (/^(0x)?[\da-f]{64}$/i.test(text)) return new Signer(Buffer.from(text.replace(/^0x/, ""), "hex"));
  throw new UsageError("BAD_OPTION", `${file} must hold a secret of 64 hexadecimal digits`, { file });
}

function addressOf(text = "$0"): `0x${string}` {
  const address = withAccounts(text);
  if (/^0x[\da-f]{40}$/i.test(address as string)) return address as `0x${string}`;
  throw badWord("--from", text, "an address, 0x and 40 hexadecimal digits, or $0 to $9 for a test account");
}

function say(name: string, outcome: Outcome, json: boolean): number {
  if (json) print(toJson(jsonOf(outcome)));
  else if (outcome.ok) {
    if (outcome.value !== undefined) print(textOf(outcome.value));
    for (const event of outcome.events) print(`event ${event.name} ${textOf(event.fields)}`);
    printError(`${name}: ${grouped(outcome.gasUsed)} gas`);
  } else {
    printError(`${name} failed: ${outcome.error}${outcome.at ? ` at ${outcome.at}` : ""}`);
  }
  return outcome.ok ? EXIT_OK : EXIT_FAILED;
}

function textOf(value: unknown): string {
  const json = jsonOf(value);
  return typeof json === "string" ? json : toJson(json);
}
