/**
 * The producer: what the other files do, put together. A payment comes in through the listener, is checked by
 * the mempool, waits for the block maker, and is answered when its block is on the disk.
 *
 * It stops in that order, too: it takes no more payments, makes the last block, answers whoever waits, and
 * closes the store. If it is killed instead, nothing that was answered is lost.
 */

import type { Waiting } from "../../runtime/app/index.ts";
import { Listener, type ListenOptions } from "../../runtime/http/listener.ts";
import type { StoreOptions } from "../../runtime/index.ts";
import { rpcRoutes } from "../../runtime/node/rpc.ts";
import { type Address, type Bank, bankProgram, foundBank, openBankWith } from "./bank.ts";
import { BlockMaker, type BlockOptions } from "./blocks.ts";
import { Exports } from "./exports.ts";
import { Mempool } from "./mempool.ts";
import { Metrics } from "./metrics.ts";
import { nodeRoutes, readRoutes } from "./routes.ts";
import { rpcMethods } from "./rpc.ts";

/** How a node runs. */
export interface NodeOptions extends ListenOptions, Pick<BlockOptions, "everyMs" | "count"> {
  /** Directory of its blocks. */
  readonly store: string;
  readonly durability?: NonNullable<StoreOptions["durability"]>;
  /** Who gets all the money, if the bank is new. */
  readonly founder: Address;
  readonly workers?: number;
  /** Default: guest/bank.ts. */
  readonly program?: Uint8Array;
  /** Whether a bank with another program is upgraded to this one. Default false: it is not opened. */
  readonly upgrade?: boolean;
}

/** All the money there is. */
export const SUPPLY = 10n ** 15n;

export class ProducerNode {
  readonly bank: Bank;
  readonly #mempool: Mempool;
  readonly #blocks: BlockMaker;
  readonly #listener: Listener;

  private constructor(bank: Bank, mempool: Mempool, blocks: BlockMaker, listener: Listener) {
    this.bank = bank;
    this.#mempool = mempool;
    this.#blocks = blocks;
    this.#listener = listener;
  }

  /** Opens the store, goes on where it stood, and listens. */
  static async open(options: NodeOptions): Promise<ProducerNode> {
    const { store: path, durability = "block", founder, workers, everyMs, count, ...rest } = options;
    const { upgrade = false, program = await bankProgram(), ...listen } = rest;
    const opening = {
      store: { path, durability },
      order: (waiting: readonly Waiting[]) => waiting.slice(0, count),
      ...(workers === undefined ? {} : { workers }),
    };
    const bank = await openBankWith(program, opening, upgrade);
    try {
      await foundBank(bank, founder, SUPPLY);
      const onError = options.onError ?? ((error) => console.error(error));
      const mempool: Mempool = new Mempool(bank, () => blocks.wake());
      const metrics = new Metrics({ bank, mempool, listener: () => listener });
      const blocks = new BlockMaker(bank, {
        everyMs,
        count,
        onBlock: (produced, ms) => metrics.block(produced, ms),
        onError: (error) => {
          metrics.error();
          onError(error);
        },
      });
      const exports = await Exports.open(bank, path, `${path}-exports`);
      const { genesis: chain } = bank.runtime;
      const listener: Listener = await Listener.open(
        {
          ...readRoutes(program, bank.runtime, () => bank.head),
          ...nodeRoutes({ chain, mempool, blocks, exports, metrics }),
          ...rpcRoutes(rpcMethods(bank, program, mempool)),
        },
        { ...listen, onError },
      );
      return new ProducerNode(bank, mempool, blocks, listener);
    } catch (error) {
      await bank.close();
      throw error;
    }
  }

  get url(): string {
    return this.#listener.url;
  }

  async stop(): Promise<void> {
    this.#mempool.close();
    await this.#blocks.stop();
    await this.#listener.close();
    await this.bank.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
