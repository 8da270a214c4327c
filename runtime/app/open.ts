/** The runtime of an App: opened with its programs, and made by its first block. */

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { StoreError, UsageError } from "../errors.ts";
import { Runtime, type RuntimeOptions } from "../index.ts";
import { DEFAULT_MEMORY_QUOTA_PAGES } from "../limits.ts";
import { type Call, Client } from "../typed/client.ts";
import { readInterface } from "../typed/interface.ts";
import { AUTHENTICATOR, chainId } from "./authentication.ts";
import { genesisMessage, readResults } from "./blocks.ts";
import type { AppOptions } from "./options.ts";
import { ownProgram } from "./root.ts";
import type { Hex } from "./signer.ts";

/** A sender takes 64 bytes, and at most twice as much in the index: less than a quarter of the quota. */
const SENDERS_PER_PAGE = 4;
const SENDERS_MAX = 1 << 24;

/**
 * Gas of a block, twenty times what a runtime gives by default: contracts are the embedder's own, and only
 * what is in transactions comes from strangers. All work of a block ends with it.
 */
const GAS_LIMIT = 10_000_000_000;
const RULES = { gasLimit: GAS_LIMIT, heldGasQuota: 0 } as const;

/** Who makes a setup. */
const NOBODY = new Uint8Array(20);
/** What all setups together may use of the first block's gas. */
const SETUP_SHARE = 0.75;

export interface Opened {
  readonly runtime: Runtime;
  readonly client: Client;
  readonly chain: Hex;
}

export async function openRuntime(options: AppOptions): Promise<Opened> {
  const { contract, program: given, authenticate, setup = {}, order: _, gas: __, ...rest } = options;
  if ((contract === undefined) === (given === undefined))
    throw new UsageError("BAD_OPTION", 'give "contract", a source file, or "program", a compiled module');
  const program = given ?? (await compile(contract as string));
  const client = new Client(readInterface(program));
  const authenticator = (await authenticate?.program()) ?? null;
  const programs = authenticator === null ? [program] : [program, authenticator];
  const runtime = await open({ ...RULES, ...rest, root: await ownProgram("root"), programs });
  try {
    const chain = chainId(authenticate, runtime.genesis);
    const sendersMax = Math.min(
      SENDERS_MAX,
      (rest.memoryQuotaPages ?? DEFAULT_MEMORY_QUOTA_PAGES) * SENDERS_PER_PAGE,
    );
    if (runtime.head.height === 0) {
      const calls = client.setups(setup);
      const { gasLimit = GAS_LIMIT } = rest;
      const gas = Math.floor((SETUP_SHARE * gasLimit) / calls.length);
      const setups = calls.map((call) => ({ bytes: client.input(call, NOBODY), gas }));
      const genesis = { program, authenticator, chain, sendersMax, setups };
      await make(runtime, client, genesisMessage(genesis), calls);
    }
    if (authenticator !== null) checkChain(runtime, chain);
    return { runtime, client, chain: `0x${Buffer.from(chain).toString("hex")}` };
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

async function open(options: RuntimeOptions): Promise<Runtime> {
  try {
    return await Runtime.open(options);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== "STORE_GENESIS") throw error;
    const text =
      "the store was made with another program, or with other rules than these options give: " +
      "open it with the program it has, or give the new one a store of its own";
    throw new StoreError("STORE_GENESIS", text, error.facts, { cause: error });
  }
}

/** The chain that a store's authenticator knows is the one that the options name. */
function checkChain(runtime: Runtime, chain: Uint8Array): void {
  if (Buffer.compare(runtime.read(AUTHENTICATOR, 0, chain.length), chain) === 0) return;
  const text = "the store's chain has another name than the options give: signatures would be for another";
  throw new UsageError("BAD_OPTION", text);
}

async function compile(file: string): Promise<Uint8Array> {
  const path = resolve(file);
  if (!existsSync(path))
    throw new UsageError("E_GUEST_MISSING", `no contract ${path}: give the path of a file`, { path });
  const { compileGuest } = await import("../compile.ts");
  return compileGuest(path);
}
