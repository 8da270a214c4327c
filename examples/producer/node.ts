/**
 * The producer: what the other files do, put together. A payment comes in through the listener, is checked by
 * the mempool, waits for the block maker, and is answered when its block is on the disk.
 *
 * It stops in that order, too: it takes no more payments, makes the last block, answers waiting clients, and
 * closes the store. If it is killed instead, nothing that was answered is lost.
 *
 * With a log of blocks a node is one of several. The one whose turn it is makes blocks; the others make them
 * again, answer reads, and can be promoted.
 */

import { Listener, type ListenOptions } from "../../runtime/http/listener.ts";
import type { Block, StoreOptions } from "../../runtime/index.ts";
import { rpcRoutes } from "../../runtime/node/rpc.ts";
import { type Address, type Bank, bankProgram, foundBank, openBankWith, otherProgram } from "./bank.ts";
import { BlockMaker, type BlockOptions } from "./blocks.ts";
import { Exports } from "./exports.ts";
import { Mempool } from "./mempool.ts";
import { Metrics } from "./metrics.ts";
import { nodeRoutes, readRoutes } from "./routes.ts";
import { rpcMethods } from "./rpc.ts";
import { type LogOptions, Turn } from "./turn.ts";

/** How a node runs. */
export interface NodeOptions extends ListenOptions, Pick<BlockOptions, "everyMs" | "count"> {
  /** Directory of its blocks. */
  readonly store: string;
  readonly durability?: NonNullable<StoreOptions["durability"]>;
  /** Who gets all the money, if the bank is new and this node makes blocks. */
  readonly founder?: Address;
  readonly workers?: number;
  /** Default: guest/bank.ts. */
  readonly program?: Uint8Array;
  /** Whether a bank with another program is upgraded to this one. Default false: it is not opened. */
  readonly upgrade?: boolean;
  /** Default: none, and this node makes the blocks. */
  readonly log?: LogOptions;
  /** Called with each block that becomes the head. */
  readonly onBlock?: (block: Block) => void;
}

/** All the money there is. */
export const SUPPLY = 10n ** 15n;

export class ProducerNode {
  readonly bank: Bank;
  readonly turn: Turn;
  readonly #mempool: Mempool;
  readonly #blocks: BlockMaker;
  readonly #listener: Listener;

  private constructor(bank: Bank, turn: Turn, mempool: Mempool, blocks: BlockMaker, listener: Listener) {
    this.bank = bank;
    this.turn = turn;
    this.#mempool = mempool;
    this.#blocks = blocks;
    this.#listener = listener;
  }

  /** Opens the store, continues where it stood, and listens. */
  static async open(options: NodeOptions): Promise<ProducerNode> {
    const { store: path, durability = "logged", founder, workers, everyMs, count, log, ...rest } = options;
    const { upgrade = false, program = await bankProgram(), onBlock, ...listen } = rest;
    const { bank, isOther } = await openBankWith(program, {
      store: { path, durability },
      order: (waiting) => waiting.slice(0, count),
      ...(workers === undefined ? {} : { workers }),
    });
    let turn: Turn | null = null;
    try {
      if (onBlock !== undefined) void reportBlocks(bank, onBlock);
      const begun = await Turn.begin(bank, log ?? null);
      turn = begun;
      if (begun.writes && isOther) {
        if (!upgrade) throw otherProgram();
        await begun.produce({ upgrade: { program } });
      }
      if (begun.writes && founder !== undefined)
        await foundBank(bank, founder, SUPPLY, () => begun.produce());
      // A reader in another process finds the bank in the store from the beginning.
      await bank.runtime.checkpoint();
      const onError = options.onError ?? ((error) => console.error(error));
      const mempool: Mempool = new Mempool(bank, begun, () => blocks.wake());
      const metrics = new Metrics({ bank, mempool, turn: begun, listener: () => listener });
      const blocks = new BlockMaker(bank, begun, {
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
      return new ProducerNode(bank, begun, mempool, blocks, listener);
    } catch (error) {
      await turn?.stop();
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
    await this.turn.stop();
    await this.bank.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

async function reportBlocks(bank: Bank, onBlock: (block: Block) => void): Promise<void> {
  for await (const event of bank.runtime.events()) if (event.kind === "commit") onBlock(event.made);
}
