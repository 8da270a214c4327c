/** The runtime of an App: opened with its programs, and made by its first block. */

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { StoreError, UsageError } from "../errors.ts";
import { Runtime, type RuntimeOptions } from "../index.ts";
import { PAGES_PER_WASM_PAGE } from "../limits.ts";
import { readState } from "../program/decode/state.ts";
import { prefixedHex } from "../text.ts";
import { type Call, Client } from "../typed/client.ts";
import { type Interface, readInterface } from "../typed/interface.ts";
import { checkUpgrade } from "../typed/upgrade.ts";
import { AUTHENTICATOR, type Authentication, chainId } from "./authentication.ts";
import { genesisMessage, readResults } from "./blocks.ts";
import { NOBODY } from "./calls.ts";
import { APP_GAS_LIMIT, SENDERS_MAX, SENDERS_PER_PAGE, SETUP_SHARE } from "./limits.ts";
import type { AppOptions } from "./options.ts";
import { programAt } from "./programs.ts";
import { ownProgram } from "./root.ts";
import type { Hex } from "./signer.ts";
import { programName, stateMoved } from "./upgrade.ts";

/** The part of the memory quota that the process of the app has, if it is enough. */
const ROOM = 1 / 2;
const RULES = { gasLimit: APP_GAS_LIMIT, heldGasQuota: 0 } as const;

/** Options that describe what a chain begins with. */
const CONSENSUS = ["gasLimit", "memoryQuotaPages", "heldGasQuota", "processQuota"] as const;

export interface Opened {
  readonly runtime: Runtime;
  readonly chain: Hex;
}

export async function openRuntime(options: AppOptions): Promise<Opened> {
  const { contract, program, authenticate, setup: _, order: __, gas: ___, ...rest } = options;
  if (contract !== undefined && program !== undefined)
    throw new UsageError("BAD_OPTION", 'give "contract", a source file, or "program", a compiled module');
  const own = {
    root: await ownProgram("root"),
    authenticator: (await authenticate?.program()) ?? null,
  };
  const found = await reopen(rest);
  const runtime = found ?? (await begin(options, rest, own));
  try {
    if (found !== null) await check(found, options, own);
    const chain = chainOf(runtime, authenticate);
    return { runtime, chain: prefixedHex(chain) };
  } catch (error) {
    await runtime.close();
    throw error;
  }
}

interface OwnPrograms {
  readonly root: Uint8Array;
  /** Null: callers are trusted. */
  readonly authenticator: Uint8Array | null;
}

type HostOptions = Omit<RuntimeOptions, "root" | "programs" | "entry">;

// ---- an app that is there ---------------------------------------------------------------------------------

/** The runtime of an app that a store has, or another that it begins from; null: there is none. */
async function reopen(rest: HostOptions): Promise<Runtime | null> {
  const { gasLimit: _, memoryQuotaPages: __, heldGasQuota: ___, processQuota: ____, ...host } = rest;
  const place = typeof rest.store === "string" ? rest.store : rest.store?.path;
  if (rest.from === undefined && (place === undefined || !existsSync(place))) return null;
  let runtime: Runtime;
  try {
    runtime = await Runtime.open(host);
  } catch (error) {
    if (error instanceof StoreError && error.code === "STORE_EMPTY" && rest.from === undefined) return null;
    throw error;
  }
  if (programAt(runtime) !== null) return runtime;
  await runtime.close(); // stopped before its first block: it begins again, by the same genesis
  return null;
}

/** Whether the app that is there is the one that the options describe. */
async function check(runtime: Runtime, options: AppOptions, own: OwnPrograms): Promise<void> {
  const begun = runtime.engine.genesis.rules;
  for (const name of CONSENSUS) {
    const given = options[name];
    if (given === undefined || given === begun[name]) continue;
    throw other(`it began with a ${name} of ${begun[name]}, given is ${given}: leave it out`);
  }
  if (runtime.inspect([])?.program !== programName(own.root))
    throw other("its root is not the ready-made one of this version");
  const authenticator = runtime.inspect(AUTHENTICATOR)?.program ?? null;
  if (authenticator !== (own.authenticator && programName(own.authenticator)))
    throw other('it authenticates with another program, or not at all: see the option "authenticate"');
  await checkProgram(runtime, options);
}

/** @throws UsageError (UPGRADE, STATE_MOVED) unless the app has the program that the options name */
async function checkProgram(runtime: Runtime, { contract, program }: AppOptions): Promise<void> {
  if (contract === undefined && program === undefined) return;
  const name = programAt(runtime) as string;
  const before = readInterface(runtime.programBytes(name));
  const given = program ?? (await compile(contract as string, before));
  if (programName(given) === name) return;
  const { problems } = checkUpgrade(before, readInterface(given));
  if (problems.length > 0) throw stateMoved(problems);
  const what = contract === undefined ? "program" : `contract: ${JSON.stringify(contract)}`;
  const text =
    `the app of the store has another program than is given: open it without "contract" and "program", ` +
    `then upgrade it: await app.upgrade({ ${what} }). If nobody needs its blocks, delete the store instead`;
  throw new UsageError("UPGRADE", text, { before: name, after: programName(given) });
}

function other(why: string): StoreError {
  return new StoreError("STORE_GENESIS", `the store has another app than the options describe: ${why}`);
}

// ---- a new one --------------------------------------------------------------------------------------------

async function begin(options: AppOptions, rest: HostOptions, own: OwnPrograms): Promise<Runtime> {
  const { contract, authenticate, setup = {} } = options;
  const { authenticator } = own;
  if (contract === undefined && options.program === undefined) {
    const text = 'there is no app yet: give "contract", a source file, or "program", a compiled module';
    throw new UsageError("BAD_OPTION", text);
  }
  const program = options.program ?? (await compile(contract as string, null));
  const client = new Client(readInterface(program));
  const calls = client.setups(setup);
  const programs = authenticator === null ? [program] : [program, authenticator];
  const runtime = await Runtime.open({ ...RULES, ...rest, root: own.root, programs });
  try {
    const { memoryQuotaPages, gasLimit } = runtime.rules();
    const gas = Math.floor((SETUP_SHARE * gasLimit) / calls.length);
    const { memoryPages } = readState(program);
    const genesis = {
      program,
      room: Math.max(0, Math.floor(memoryQuotaPages * ROOM) - memoryPages * PAGES_PER_WASM_PAGE),
      authenticator,
      chain: chainId(authenticate, runtime.genesis),
      sendersMax: Math.min(SENDERS_MAX, memoryQuotaPages * SENDERS_PER_PAGE),
      setups: calls.map((call) => ({ bytes: client.input(call, NOBODY), gas })),
    };
    await make(runtime, client, genesisMessage(genesis), calls);
    return runtime;
  } catch (error) {
    await runtime.close();
    throw error;
  }
}

/** Makes the first block; nothing is left of it if a setup fails. */
async function make(runtime: Runtime, client: Client, message: Uint8Array, setups: readonly Call[]) {
  const candidate = await runtime.execute(message);
  const results = readResults(candidate.data);
  for (const [i, { contract, name }] of setups.entries()) {
    const result = results[i] ?? null;
    const outcome = result && client.outcome(result.selector, result);
    if (outcome?.ok === true) continue;
    const { error = "out of gas", at = "" } = outcome ?? {};
    const text = `${contract}.${name} failed: ${error}${at && ` at ${at}`}; change the option "setup"`;
    throw new UsageError("SETUP_FAILED", text, { contract, error });
  }
  await runtime.commit(candidate);
}

/** The chain that the app's authenticator knows, which is the one that the options name, if they do. */
function chainOf(runtime: Runtime, authenticate: Authentication | undefined): Uint8Array {
  const given = chainId(authenticate, runtime.genesis);
  if (authenticate === undefined) return given;
  const chain = runtime.read(AUTHENTICATOR, 0, given.length);
  // One that began with the state of another takes that one's signatures.
  const isOf = authenticate.chain === undefined && runtime.origin !== null;
  if (isOf || Buffer.compare(chain, given) === 0) return chain;
  const text = "the store's chain has another name than the options give: signatures would be for another";
  throw new UsageError("BAD_OPTION", text);
}

/** Under the lock file beside it, or as the app has its state, or as a first build. */
async function compile(file: string, before: Interface | null): Promise<Uint8Array> {
  const path = resolve(file);
  if (!existsSync(path))
    throw new UsageError("E_GUEST_MISSING", `no contract ${path}: give the path of a file`, { path });
  const { buildGuest } = await import("../compile.ts");
  const { lockOf } = await import("../typed/layout.ts");
  return (await buildGuest(path, {}, before && lockOf(before))).program;
}
