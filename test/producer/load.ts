/**
 * The load test of the producer: customers pay each other over HTTP, and the server is killed meanwhile, at
 * moments that follow from a seed, and started again.
 *
 * Each customer has one payment on its way. One that was not answered is sent again as it is, until it is
 * answered or refused as used. So the model knows of each whether it was made, and when the server is back it
 * must have all that was answered; in the end every account must be the model's: nothing lost, nothing twice.
 */

import { hash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Address, bankProgram } from "../../examples/producer/bank.ts";
import { SUPPLY } from "../../examples/producer/node.ts";
import { account, ask, Refused, send, Wallet } from "../../examples/producer/wallet.ts";
import { verifyStore } from "../../runtime/store.ts";
import { random } from "../kernel/trees.ts";
import { CommandProcess } from "./processes.ts";

/** What is asked of the server. */
export interface LoadOptions {
  /** A directory that is not there. */
  readonly store: string;
  readonly payments: number;
  /** A power of two. */
  readonly customers: number;
  readonly kills: number;
  readonly seed: number;
  /** More options of the server. */
  readonly options?: readonly string[];
  /** Plants a fault: the server answers before anything is written. */
  readonly early?: boolean;
  readonly tell?: (text: string) => void;
}

/** How it went. */
export interface LoadResult {
  readonly payments: number;
  readonly kills: number;
  /** Payments that were answered, and that a server which came back does not have. */
  readonly lost: number;
  /** What else is not as it should be. */
  readonly wrong: readonly string[];
  /** While the server was there. */
  readonly seconds: number;
  /** Of each payment that was answered at the first try. */
  readonly latenciesMs: readonly number[];
  /** From a kill until requests are answered again. */
  readonly restartsMs: readonly number[];
  /** Requests that were not answered, and sent again. */
  readonly repeated: number;
}

interface Customer {
  readonly wallet: Wallet;
  /** As the model has it. */
  balance: bigint;
  /** The last payment that was answered. */
  answered: bigint;
}

/** One payment in so many is more than anybody has. */
const OVERDRAFT_EVERY = 40;
const OVERDRAFT = 2n ** 62n;
const AMOUNT_MAX = 1000;
const RETRY_MS = 20;

export async function load(options: LoadOptions): Promise<LoadResult> {
  const test = new Load(options);
  try {
    return await test.run();
  } finally {
    await test.end();
  }
}

class Load {
  readonly #options: LoadOptions;
  readonly #next: (limit: number) => number;
  readonly #customers: readonly Customer[];
  readonly #wrong: string[] = [];
  readonly #latenciesMs: number[] = [];
  readonly #restartsMs: number[] = [];
  /** Numbers of payments at which the server is killed, ascending. */
  readonly #killAt: number[];
  #server: CommandProcess | null = null;
  /** Where the server is, once it is there and has been audited. */
  #url: Promise<string>;
  #chain = "";
  #made = 0;
  #lost = 0;
  #repeated = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
    const { seed, kills, payments, customers } = options;
    this.#next = random(seed);
    const spread = Math.max(1, Math.floor(payments / (kills + 1)));
    this.#killAt = Array.from({ length: kills }, (_, i) => i * spread + 1 + this.#next(spread));
    this.#customers = Array.from({ length: customers }, (_, i) => ({
      wallet: new Wallet(hash("sha256", `customer ${i}`, "buffer")),
      balance: i === 0 ? SUPPLY : 0n,
      answered: 0n,
    }));
    this.#url = this.#start();
  }

  async run(): Promise<LoadResult> {
    const { payments, customers, store, tell } = this.#options;
    this.#chain = ((await ask(await this.#url, "/status")) as { chain: string }).chain;
    const begin = performance.now();
    // Twice as many have money after each round.
    for (let rich = 1; rich < customers; rich *= 2) {
      await Promise.all(
        this.#customers.slice(0, rich).map((from, i) => this.#pay(from, i + rich, from.balance / 2n)),
      );
    }
    await Promise.all(this.#customers.map((customer) => this.#keepPaying(customer, payments)));
    const seconds = (performance.now() - begin - sum(this.#restartsMs)) / 1000;
    tell?.(`${this.#made} payments in ${seconds.toFixed(1)} s`);
    await this.#audit(await this.#url, true);
    const code = await (this.#server as CommandProcess).end("SIGTERM");
    if (code !== 0) this.#wrong.push(`the server ended with ${code}`);
    const { damages } = await verifyStore(store);
    for (const damage of damages) this.#wrong.push(`the store is damaged: ${JSON.stringify(damage)}`);
    return {
      payments: this.#made,
      kills: this.#restartsMs.length,
      lost: this.#lost,
      wrong: this.#wrong,
      seconds,
      latenciesMs: this.#latenciesMs,
      restartsMs: this.#restartsMs,
      repeated: this.#repeated,
    };
  }

  /** Ends the server whatever happened. */
  async end(): Promise<void> {
    await this.#url.catch(() => {});
    await this.#server?.end("SIGKILL");
  }

  async #start(): Promise<string> {
    const { store, options = [], early = false } = this.#options;
    const founder = (this.#customers[0] as Customer).wallet.address;
    this.#server = new CommandProcess(
      ["serve", "--store", store, "--founder", founder, "--port", "0", "--block-ms", "10", ...options],
      early ? ["--import", new URL("early.ts", import.meta.url).href] : [],
    );
    return this.#server.url();
  }

  /** Kills the server; who waits for its URL gets that of the next one. */
  #kill(): void {
    const begin = performance.now();
    const killed = (this.#server as CommandProcess).end("SIGKILL");
    this.#url = (async () => {
      await killed;
      const url = await this.#start();
      this.#restartsMs.push(performance.now() - begin);
      await this.#audit(url, false);
      this.#options.tell?.(`killed after ${this.#made} payments`);
      return url;
    })();
    this.#url.catch((error) => this.#wrong.push(String(error)));
  }

  async #keepPaying(customer: Customer, payments: number): Promise<void> {
    while (this.#made < payments && this.#lost === 0) {
      if (this.#next(OVERDRAFT_EVERY) === 0) await this.#overdraw(customer);
      await this.#pay(customer, this.#next(this.#customers.length), BigInt(1 + this.#next(AMOUNT_MAX)));
    }
  }

  /** Pays, whatever becomes of the server meanwhile. */
  async #pay(from: Customer, to: number, amount: bigint): Promise<void> {
    const payment = from.wallet.sign(this.#chain, this.#addressOf(to), amount);
    const begin = performance.now();
    for (let tries = 1; ; tries++) {
      try {
        const { error } = await send(await this.#url, payment);
        if (error !== null) this.#wrong.push(`a payment failed in its block: ${error}`);
        if (tries === 1) this.#latenciesMs.push(performance.now() - begin);
        break;
      } catch (error) {
        // Nobody else pays with this key: it is this payment that was made.
        if (error instanceof Refused && error.message === "used" && tries > 1) break;
        if (error instanceof Refused && Number(error.facts.status) < 429) throw error;
        if (this.#lost > 0) return;
        this.#repeated++;
        await sleep(RETRY_MS);
      }
    }
    from.balance -= amount;
    (this.#customers[to] as Customer).balance += amount;
    from.answered = from.wallet.sequence;
    this.#made++;
    if (this.#made >= (this.#killAt[0] ?? Number.POSITIVE_INFINITY)) {
      this.#killAt.shift();
      this.#kill();
    }
  }

  async #overdraw({ wallet }: Customer): Promise<void> {
    const { sequence } = wallet;
    const payment = wallet.sign(this.#chain, this.#addressOf(0), OVERDRAFT);
    wallet.sequence = sequence;
    try {
      await send(await this.#url, payment);
      this.#wrong.push("an overdraft was paid");
    } catch (error) {
      const isKnown = !(error instanceof Refused) || Number(error.facts.status) >= 429;
      if (!isKnown && error.message !== "overdraft") this.#wrong.push(`an overdraft was refused: ${error}`);
    }
  }

  /** Whether the server has what was answered; in the end, exactly that. */
  async #audit(url: string, isEnd: boolean): Promise<void> {
    const program = await bankProgram();
    let total = 0n;
    for (const { wallet, balance, answered } of this.#customers) {
      const found = await account(url, program, wallet.address);
      total += found.balance;
      if (found.sequence < answered) this.#lost++;
      if (found.sequence > wallet.sequence) this.#wrong.push(`${wallet.address} has paid what nobody sent`);
      if (!isEnd || this.#lost > 0) continue;
      if (found.sequence !== answered || found.balance !== balance) {
        this.#wrong.push(`${wallet.address} has ${found.balance}, the model ${balance}`);
      }
    }
    if (total !== SUPPLY) this.#wrong.push(`there is ${total} in all, not ${SUPPLY}`);
  }

  #addressOf(customer: number): Address {
    return (this.#customers[customer] as Customer).wallet.address;
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
