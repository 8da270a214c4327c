/** What the node answers to whom, and what it answers: README.md has it as a table. */

import { RequestError } from "../../runtime/http/checks.ts";
import { Content, type Routes } from "../../runtime/http/listener.ts";
import { type Block, type Chain, encodeRulesChange } from "../../runtime/index.ts";
import { METRICS_TYPE } from "../../runtime/observe/index.ts";
import type { Address } from "./bank.ts";
import type { BlockMaker } from "./blocks.ts";
import type { Exports } from "./exports.ts";
import type { Mempool } from "./mempool.ts";
import type { Metrics } from "./metrics.ts";
import { readAccount } from "./reads.ts";
import { openPayment } from "./transaction.ts";

/** What a block was made from, for those who make it again; the id says whether it came out the same. */
export interface BlockReply {
  readonly height: number;
  readonly id: string;
  readonly parent: string;
  readonly gasLimit: number;
  /** What an App takes as the message of the block, a change of rules included; in base64. */
  readonly metadata: string;
}

/** Reads, of any chain; `head` is the block that they look at unless another is named. */
export function readRoutes(program: Uint8Array, chain: Chain, head: () => Block): Routes {
  return {
    "GET /status": () => {
      const { height, id, root } = head();
      return { chain: chain.genesis, height, id, root };
    },
    "GET /accounts/:address": ({ parts: { address = "" } }) => {
      if (!/^0x[0-9a-f]{40}$/.test(address)) {
        throw new RequestError(400, "BAD_ADDRESS", "an address is 0x and 40 digits, in lower case");
      }
      return readAccount(program, chain, address as Address, head());
    },
    "GET /blocks/:height": async ({ parts: { height = "" } }) => {
      if (!/^\d{1,15}$/.test(height)) throw new RequestError(400, "BAD_HEIGHT", "a height is an integer");
      return blockReply(chain, Number(height), head().height);
    },
  };
}

/** The node's own, besides reads. */
export function nodeRoutes(node: {
  readonly chain: string;
  readonly mempool: Mempool;
  readonly blocks: BlockMaker;
  readonly exports: Exports;
  readonly metrics: Metrics;
}): Routes {
  return {
    "POST /payments": ({ body }) => node.mempool.add(openPayment(body, node.chain)),
    "GET /export": () => node.exports.latest(),
    "GET /export/:id/:number": async ({ parts: { id = "", number = "" } }) =>
      new Content("application/octet-stream", await node.exports.chunk(id, number)),
    "GET /metrics": async () => new Content(METRICS_TYPE, await node.metrics.text()),
    "GET /health": () => {
      const { failures } = node.blocks;
      if (failures === 0) return { ok: true };
      throw new RequestError(503, "FAILING", `the last ${failures} attempts to make a block have failed`);
    },
  };
}

async function blockReply(chain: Chain, height: number, top: number): Promise<BlockReply> {
  const missing = new RequestError(404, "NO_BLOCK", `there is no block of height ${height} here`);
  if (height > top) throw missing;
  const base = chain.blocks()[0]?.height ?? 0;
  const found =
    height >= base
      ? { block: chain.blocks()[height - base] as Block, ...chain.input(height) }
      : await chain.archived(height);
  if (found === null) throw missing;
  const { id, parent } = found.block;
  const { metadata, gasLimit, rules } = found;
  const message = rules === undefined ? metadata : Buffer.concat([metadata, encodeRulesChange(rules)]);
  return { height, id, parent, gasLimit, metadata: Buffer.from(message).toString("base64") };
}
