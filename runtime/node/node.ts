/**
 * A local node: an App behind JSON-RPC, for development and tests. It trusts everybody who can reach it, or
 * verifies signatures if its app does; it must never be reachable from a network.
 *
 * Every transaction gets a block at once unless mining is off; the clock of blocks can be moved. Blocks,
 * reverts, forks and reorgs are those of the App.
 */

import { blockMessage } from "../app/blocks.ts";
import type { App, Signer } from "../app/index.ts";
import { TRANSACTION_GAS } from "../app/limits.ts";
import { badArgument } from "../arguments.ts";
import { formatFaults } from "../debug.ts";
import { UsageError } from "../errors.ts";
import { Content, Listener, type ListenOptions, type Routes } from "../http/listener.ts";
import type { Block } from "../index.ts";
import { METRICS_TYPE } from "../observe/exposition.ts";
import { metricsText } from "../observe/metrics-text.ts";
import {
  type Call,
  Client,
  type Contracts,
  type Outcome,
  type Query,
  type Transaction,
} from "../typed/client.ts";
import type { Interface } from "../typed/interface.ts";
import { testSigners, withAccounts } from "./accounts.ts";
import { isObject, type Methods, rpcRoutes } from "./rpc.ts";
import { callNamed, jsonOf } from "./values.ts";

/** Options of a node. */
export interface NodeOptions extends ListenOptions {
  readonly app: App;
  /** The interface of its program, as it is now. */
  readonly description: () => Interface;
  /** Whether the app takes signed transactions: then test accounts sign here. Default false. */
  readonly isSigned?: boolean;
  /** Whether each transaction gets a block at once. Default true. */
  readonly mining?: boolean;
  /** The gas limit of queries. Default 10^9, some 300 ms. */
  readonly queryGas?: number;
  /**
   * Called with a line of text for each block, snapshot, revert, fork and reorg, and with the stacks of
   * transactions that fail. Default: not called.
   */
  readonly onLine?: (line: string) => void;
  /** Routes besides those of the node. Default: none. */
  readonly routes?: Routes;
}

/** An event, as the method "events" gives it. */
interface NodeEvent {
  readonly sequence: number;
  readonly height: number;
  readonly block: string;
  readonly [field: string]: unknown;
}

/** The app's process, and where its state has the time of the latest block: an u64. */
const APP: readonly number[] = [1];
const TIME_AT = 8;
const QUERY_GAS = 1_000_000_000;
const EVENTS_MAX = 10_000;
const BLOCKS_MAX = 1_000;
const FORKS_MAX = 16;

export class Node {
  readonly #options: NodeOptions;
  readonly #signers: ReadonlyMap<string, Signer>;
  readonly #forks: Node[] = [];
  readonly #events: NodeEvent[] = [];
  #sequence = 0;
  #mining: boolean;
  /** Milliseconds that the clock of blocks is ahead. */
  #ahead = 0;
  #turn: Promise<void> = Promise.resolve();
  #listener: Listener | null = null;
  #reading: Promise<void> = Promise.resolve();

  private constructor(options: NodeOptions) {
    this.#options = options;
    this.#mining = options.mining ?? true;
    this.#signers = new Map(testSigners().map((signer) => [signer.address, signer]));
  }

  /** Starts a node. Rejects as `listen` of node:net does if the port is taken. */
  static async open(options: NodeOptions): Promise<Node> {
    const node = new Node(options);
    const metrics = () => new Content(METRICS_TYPE, metricsText(options.app.runtime));
    const routes = { ...options.routes, ...rpcRoutes(node.#methods), "GET /metrics": metrics };
    node.#listener = await Listener.open(routes, options);
    node.#reading = node.#readEvents();
    return node;
  }

  get url(): string {
    return (this.#listener as Listener).url;
  }

  /** Answers the open requests, then closes the forks and the app. */
  async close(): Promise<void> {
    await this.#listener?.close(2000);
    for (const fork of this.#forks) await fork.close();
    await this.#app.close();
    await this.#reading;
  }

  get #app(): App {
    return this.#options.app;
  }

  readonly #methods: Methods = {
    interface: () => ({
      interface: this.#options.description(),
      chain: this.#app.chain,
      genesis: this.#app.runtime.genesis,
      signed: this.#options.isSigned ?? false,
      accounts: [...this.#signers.keys()],
    }),
    submit: (params) => this.#submit(params),
    query: (params) => this.#query(params),
    mine: (params) => this.#mine(params),
    blocks: (params) => this.#blocks(params),
    events: ({ after = 0, count = BLOCKS_MAX }) => {
      const from = integer("after", after);
      return this.#events.filter(({ sequence }) => sequence > from).slice(0, integer("count", count));
    },
    snapshot: async () => {
      const { head } = this.#app;
      await this.#app.runtime.pin(head);
      this.#options.onLine?.(`snapshot of block ${head.height}`);
      return shown(head);
    },
    revert: async ({ to }) => {
      await this.#app.revert(this.#block(to));
      this.#options.onLine?.(`reverted to block ${this.#app.head.height}`);
      return shown(this.#app.head);
    },
    fork: (params) => this.#fork(params),
    reorg: (params) => this.#reorg(params),
    time: ({ set, advance }) => {
      if (set !== undefined) this.#ahead = integer("set", set) - Date.now();
      if (advance !== undefined) this.#ahead += integer("advance", advance);
      return Date.now() + this.#ahead;
    },
  };

  // ---- transactions and blocks ----------------------------------------------------------------------------

  async #submit(params: Readonly<Record<string, unknown>>): Promise<unknown> {
    const { bytes, wait = true } = params;
    const outcome =
      bytes === undefined
        ? this.#app.submit(this.#call(params) as Transaction, this.#sender(params))
        : this.#app.submit(bytesOf("bytes", bytes));
    let isDone = false;
    const done = outcome.then(() => {
      isDone = true;
    });
    if (this.#mining) await this.#inTurn(async () => (isDone ? undefined : void (await this.#produce())));
    if (wait !== true) return { waiting: this.#app.waiting.length };
    await done;
    return { ...outcomeJson(await outcome), head: shown(this.#app.head) };
  }

  /** Makes blocks one after another: the block of one transaction may have the next one already. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const ended = this.#turn.then(work);
    this.#turn = ended.catch(() => undefined);
    return ended;
  }

  #sender({ from, gas }: Readonly<Record<string, unknown>>) {
    const address = addressOf(from);
    const options = gas === undefined ? {} : { gas: integer("gas", gas) };
    if (this.#options.isSigned !== true) return { ...options, from: address };
    const by = this.#signers.get(address);
    if (by !== undefined) return { ...options, by };
    throw badArgument("from", from, 'one of the test accounts, or give "bytes", signed elsewhere');
  }

  async #query(params: Readonly<Record<string, unknown>>): Promise<unknown> {
    const { from, gas, block } = params;
    const most = this.#options.queryGas ?? QUERY_GAS;
    const asked = {
      gas: Math.min(most, gas === undefined ? most : integer("gas", gas)),
      ...(from === undefined ? {} : { from: addressOf(from) }),
      ...(block === undefined ? {} : { on: this.#block(block) }),
    };
    return outcomeJson(await this.#app.query(this.#call(params) as Query, asked));
  }

  async #mine({ count = 1, auto }: Readonly<Record<string, unknown>>): Promise<unknown> {
    if (auto !== undefined) this.#mining = auto === true;
    const made: object[] = [];
    const wanted = auto === undefined ? integer("count", count) : 0;
    if (wanted > BLOCKS_MAX) throw badArgument("count", wanted, `at most ${BLOCKS_MAX}`);
    while (made.length < wanted) made.push(shown(await this.#produce()));
    return made;
  }

  async #produce(): Promise<Block> {
    const { block, outcomes } = await this.#app.produce(this.#ahead === 0 ? {} : { time: this.#time() });
    const failed = outcomes.filter(({ ok }) => !ok) as Extract<Outcome, { ok: false }>[];
    const count = `${outcomes.length} transaction${outcomes.length === 1 ? "" : "s"}`;
    this.#options.onLine?.(
      `block ${block.height}: ${count}, ${block.gasUsed} gas, root ${block.root.slice(0, 16)}`,
    );
    for (const { error, at } of failed) this.#options.onLine?.(`  failed: ${error}${at ? ` at ${at}` : ""}`);
    if (failed.length > 0) await this.#printStacks(block);
    return block;
  }

  /** The block is run once more for that; one that has been reverted meanwhile has none. */
  async #printStacks(block: Block): Promise<void> {
    const { runtime } = this.#app;
    if (this.#options.onLine === undefined || !runtime.retained().some(({ id }) => id === block.id)) return;
    for (const line of formatFaults(await runtime.trace(block)).split("\n"))
      this.#options.onLine(`  ${line}`);
  }

  /** The clock of blocks, which never goes back. */
  #time(): number {
    const before = Buffer.from(this.#app.runtime.read(APP, TIME_AT, 8)).readBigUInt64LE();
    return Math.max(Date.now() + this.#ahead, Number(before));
  }

  #blocks({ from = 0, count = 100 }: Readonly<Record<string, unknown>>): unknown {
    const first = integer("from", from);
    const most = Math.min(BLOCKS_MAX, integer("count", count));
    const blocks = this.#app.runtime.blocks().filter(({ height }) => height >= first);
    return blocks.slice(0, most).map(shown);
  }

  async #fork({ at }: Readonly<Record<string, unknown>>): Promise<unknown> {
    if (this.#forks.length === FORKS_MAX)
      throw new UsageError("TOO_MANY_FORKS", `there are ${FORKS_MAX} forks: none is closed before this node`);
    const app = await this.#app.fork(at === undefined ? {} : { at: this.#block(at) });
    const fork = await Node.open({ ...this.#options, app, port: 0, routes: {} });
    this.#forks.push(fork);
    this.#options.onLine?.(`fork at block ${app.head.height}: ${fork.url}`);
    return { url: fork.url, block: shown(app.head) };
  }

  /** Blocks are given by their transactions: [[{ call, args, from }, …], …]. */
  async #reorg({ to, blocks }: Readonly<Record<string, unknown>>): Promise<unknown> {
    if (this.#options.isSigned === true)
      throw new UsageError("BAD_ARGUMENT", 'a node with signed transactions does not take "reorg"');
    if (!Array.isArray(blocks) || !blocks.every((each) => Array.isArray(each) && each.every(isObject)))
      throw badArgument("blocks", blocks, "a list of lists of transactions, each with call, args and from");
    const messages = (blocks as Record<string, unknown>[][]).map((transactions) => {
      const entries = transactions.map((each) => ({
        bytes: this.#app.encode(this.#call(each) as Transaction, this.#sender(each)),
        gas: each.gas === undefined ? TRANSACTION_GAS : integer("gas", each.gas),
      }));
      return blockMessage(entries, this.#time());
    });
    const { removed, added } = await this.#app.reorg({ to: this.#block(to), blocks: messages });
    this.#options.onLine?.(
      `reorg to block ${this.#app.head.height}: ${removed.length} removed, ${added.length} added`,
    );
    return {
      removed: removed.map(shown),
      added: added.map(({ block, outcomes }) => ({ ...shown(block), outcomes: outcomes.map(outcomeJson) })),
    };
  }

  // ---- parameters -----------------------------------------------------------------------------------------

  /** A call by name, with arguments of JSON; or by an encoded input, whose caller is ignored. */
  #call({ call, args, input }: Readonly<Record<string, unknown>>): Call {
    const description = this.#options.description();
    if (input !== undefined) {
      const found = new Client(description).callOf(bytesOf("input", input));
      if (found !== null) return found;
      throw badArgument("input", input, "one of the program: it has changed, or is another");
    }
    if (typeof call === "string")
      return callNamed(description, this.#app.client as Contracts, call, withAccounts(args));
    throw badArgument("call", call, 'the name of a function, as "Bank.pay"');
  }

  /** A block by height, or any that is retained by its id. */
  #block(named: unknown): number | Block {
    if (typeof named === "number") return named;
    const found = this.#app.runtime.retained().find(({ id }) => id === named);
    if (found !== undefined) return found;
    throw new UsageError(
      "NOT_RETAINED",
      "no block has this id: give a height, or the id of a retained block",
    );
  }

  async #readEvents(): Promise<void> {
    for await (const event of this.#app.events()) {
      const { kind, ...rest } = event;
      if (kind === "lost") continue;
      const at = kind === "event" ? event.block : { height: event.height, id: event.block };
      const fields = { ...(jsonOf({ ...rest, block: null }) as object), kind, height: at.height };
      this.#events.push({ ...fields, block: at.id, sequence: ++this.#sequence });
      if (this.#events.length > EVENTS_MAX) this.#events.shift();
    }
  }
}

function shown({ height, id, root, gasUsed }: Block) {
  return { height, id, root, gasUsed };
}

function outcomeJson(outcome: Outcome): object {
  return jsonOf(outcome) as object;
}

function integer(name: string, value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw badArgument(name, value, "an integer from 0 on");
}

function addressOf(given: unknown): `0x${string}` {
  const value = withAccounts(given);
  if (typeof value === "string" && /^0x[\da-f]{40}$/i.test(value)) return value as `0x${string}`;
  throw badArgument("from", value, 'an address, "0x" and 40 hexadecimal digits, or "$0" to "$9"');
}

function bytesOf(name: string, value: unknown): Uint8Array {
  if (typeof value === "string" && /^0x([\da-f]{2})*$/i.test(value))
    return new Uint8Array(Buffer.from(value.slice(2), "hex"));
  throw badArgument(name, value, 'bytes, "0x…" in hex');
}
