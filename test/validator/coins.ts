/** The chain of examples/validator, and what CometBFT asks of it, over a socket. */

import { join } from "node:path";
import { coinsChain } from "../../examples/validator/chain.ts";
import { type AbciServer, serveAbci } from "../../runtime/abci/index.ts";
import { App, type AppOptions, type Contracts, Signer, signed } from "../../runtime/app/index.ts";
import { compileGuest } from "../../runtime/compile.ts";
import { type AppChain, type Validator, validator } from "../../runtime/validator/index.ts";
import { Client, request } from "../abci/client.ts";
import { ROOT } from "../guest/harness.ts";

export const program = await compileGuest(join(ROOT, "examples/validator/guest/coins.ts"));
const signer = (byte: number) => new Signer(new Uint8Array(32).fill(byte), "ed25519");
export const [owner, alice, bob] = [signer(1), signer(2), signer(3)] as [Signer, Signer, Signer];
const authenticate = signed({ chain: "coins" });
const setup = {
  Coins: { owner: owner.address, holders: [alice.address, bob.address], amount: 1_000_000n },
};
/** Small rules: a heap of a test is then not the largest of its costs. */
const RULES = { gasLimit: 2_000_000_000, memoryQuotaPages: 1 << 16 };

export function openCoins(options: Partial<AppOptions> = {}): Promise<App> {
  return App.open({ program, setup, authenticate, workers: 1, ...RULES, ...options });
}

/** Any answer, by the names of its fields. */
// biome-ignore lint/suspicious/noExplicitAny: fields of many messages
export type Answered = any;

/** A block as CometBFT describes it. */
export interface Described {
  readonly misbehavior?: readonly object[];
  readonly proposer?: number;
}

/** A node: an app, its validator, its server, and CometBFT's side of the socket. */
export class Node {
  readonly app: App;
  readonly validator: Validator;
  readonly #server: AbciServer;
  readonly #client: Client;
  readonly errors: unknown[];

  private constructor(app: App, made: Validator, server: AbciServer, client: Client, errors: unknown[]) {
    this.app = app;
    this.validator = made;
    this.#server = server;
    this.#client = client;
    this.errors = errors;
  }

  static async open(options: Partial<AppOptions> = {}, chain: AppChain<Contracts> = coinsChain()) {
    const app = await openCoins(options);
    return Node.over(app, validator(app, chain));
  }

  static async over(app: App, made: Validator): Promise<Node> {
    const errors: unknown[] = [];
    const onError = (error: unknown): void => void errors.push(error);
    const server = await serveAbci(made, { address: "tcp://127.0.0.1:0", checksAtOnce: 16, onError });
    return new Node(app, made, server, await Client.connect(server), errors);
  }

  async ask(name: Parameters<Client["ask"]>[0], value: object = {}): Promise<Answered> {
    const answered = await this.#client.ask(name, value);
    if (answered?.case === "exception") throw new Error(answered.value.error);
    return answered?.value;
  }

  /** Sends many requests at once. */
  async askAll(name: Parameters<Client["ask"]>[0], values: readonly object[]): Promise<Answered[]> {
    this.#client.send(...values.map((value) => request(name, value)));
    const answers: Answered[] = [];
    while (answers.length < values.length) answers.push((await this.#client.next())?.value);
    return answers;
  }

  async info(): Promise<{ height: number; hash: string }> {
    const { lastBlockHeight, lastBlockAppHash } = await this.ask("info");
    return { height: Number(lastBlockHeight), hash: Buffer.from(lastBlockAppHash).toString("hex") };
  }

  initChain(more: object = {}): Promise<Answered> {
    return this.ask("initChain", { chainId: "coins", initialHeight: 1n, time: at(0), ...more });
  }

  finalize(height: number, txs: Uint8Array[], described: Described = {}): Promise<Answered> {
    return this.ask("finalizeBlock", { ...block(height, txs, described), decidedLastCommit: {} });
  }

  async process(height: number, txs: Uint8Array[], described: Described = {}): Promise<boolean> {
    const asked = { ...block(height, txs, described), proposedLastCommit: {} };
    return (await this.ask("processProposal", asked)).status === 1;
  }

  async prepare(height: number, txs: Uint8Array[]): Promise<Uint8Array[]> {
    const asked = { ...block(height, txs, {}), localLastCommit: {}, maxTxBytes: 1n << 20n };
    return (await this.ask("prepareProposal", asked)).txs;
  }

  /** Makes a block that is decided; what became of its transactions. */
  async block(height: number, txs: Uint8Array[], described: Described = {}): Promise<Answered> {
    const finalized = await this.finalize(height, txs, described);
    return { ...finalized, ...(await this.ask("commit")) };
  }

  async codes(height: number, txs: Uint8Array[], described: Described = {}): Promise<number[]> {
    return (await this.block(height, txs, described)).txResults.map(({ code }: Answered) => code);
  }

  /** A signed call. */
  call(by: Signer, nonce: number, name: string, args: object, lastHeight = 1_000_000): Uint8Array {
    const [contract, method] = name.split(".") as [string, string];
    const made = this.app.client[contract]?.[method]?.(args);
    return this.app.encode(made as never, { by, nonce: BigInt(nonce), lastHeight });
  }

  pay(by: Signer, nonce: number, amount: number, to: Signer = bob): Uint8Array {
    return this.call(by, nonce, "Coins.pay", { to: to.address, amount: BigInt(amount) });
  }

  /** The balance that a query finds. */
  async balance(who: Signer, height = 0): Promise<number | string> {
    const selector = this.app.client.Coins?.balanceOf?.({ who: who.address }).selector ?? 0;
    const data = Buffer.alloc(24 + 20);
    data.writeUInt32LE(selector);
    data.set(Buffer.from(who.address.slice(2), "hex"), 24);
    const { code, value, log } = await this.ask("query", { path: "/view", data, height: BigInt(height) });
    return code === 0 ? Number(Buffer.from(value).readBigUInt64LE()) : log;
  }

  async close(): Promise<void> {
    this.#client.socket.destroy();
    await this.#server.close(0);
    await this.validator.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function at(height: number) {
  return { seconds: BigInt(1_700_000_000 + height), nanos: 5_000_000 };
}

function block(height: number, txs: Uint8Array[], { misbehavior = [], proposer = 7 }: Described) {
  const proposerAddress = new Uint8Array(20).fill(proposer);
  return { height: BigInt(height), txs, time: at(height), proposerAddress, misbehavior };
}
