/**
 * One node's application: the coins of guest/coins.ts behind the socket that CometBFT calls. It ends at
 * SIGTERM, and when the process that started it ends.
 *
 *   node examples/validator/node.ts JSON of NodeOptions
 *
 * It prints its address when it is ready. FAULT kills it at a point of the chosen height, for tests.
 */

import { type AbciApplication, serveAbci } from "../../runtime/abci/index.ts";
import { App, type AppOptions, signed } from "../../runtime/app/index.ts";
import { Content, Listener } from "../../runtime/http/listener.ts";
import { METRICS_TYPE, metricsText } from "../../runtime/observe/index.ts";
import { type Validator, validator } from "../../runtime/validator/index.ts";
import { coinsChain } from "./chain.ts";
import { AMOUNT, CHAIN_NAME, coinsProgram, HOLDER, OWNER } from "./wallet.ts";

/** Where in the handling of a block a node is killed. */
export const FAULT_POINTS = [
  "before FinalizeBlock",
  "in FinalizeBlock",
  "after FinalizeBlock",
  "before Commit",
  "in Commit",
  "after Commit",
] as const;
export type FaultPoint = (typeof FAULT_POINTS)[number];

export interface NodeOptions {
  readonly store: string;
  /** "unix://…" or "tcp://…". */
  readonly address: string;
  readonly snapshotBlocks?: number;
  readonly retainBlocks?: number;
  /** Where metrics are served, on 127.0.0.1. Default: they are not. */
  readonly metricsPort?: number;
  /** Kills the process there, with SIGKILL. */
  readonly fault?: { readonly point: FaultPoint; readonly height: number };
  /** The first time that a chunk of a snapshot is served, a bit of it is flipped. */
  readonly corrupts?: boolean;
}

/** Rules of the chain: small ones, so that several nodes fit on a machine. */
const RULES = { gasLimit: 2_000_000_000, memoryQuotaPages: 1 << 16 } as const;

/** The app of a node. */
export async function openNode(options: Pick<NodeOptions, "store" | "retainBlocks">): Promise<App> {
  const { store, retainBlocks = 1000 } = options;
  const holders = HOLDER.map(({ address }) => address);
  const app: AppOptions = {
    program: await coinsProgram(),
    setup: { Coins: { owner: OWNER.address, holders, amount: AMOUNT } },
    authenticate: signed({ chain: CHAIN_NAME }),
    store,
    retainBlocks,
    workers: 1,
    ...RULES,
  };
  return App.open(app);
}

/** Opens the node's store, and makes an application of it. */
export async function openValidator(options: NodeOptions): Promise<Validator> {
  const { store, snapshotBlocks = 1000 } = options;
  const reopen = () => openValidator(options);
  return validator(await openNode(options), coinsChain(), { store, reopen, everyBlocks: snapshotBlocks });
}

/** The application, which kills the process at a point. */
function faulty(node: Validator, { fault, corrupts = false }: NodeOptions): AbciApplication {
  const die = (point: FaultPoint, height: bigint | number): void => {
    if (fault?.point === point && Number(height) === fault.height) process.kill(process.pid, "SIGKILL");
  };
  let height = 0n;
  let hasCorrupted = !corrupts;
  const methods: Partial<AbciApplication> = {
    async finalizeBlock(request) {
      height = request.height;
      die("before FinalizeBlock", height);
      const finalized = node.finalizeBlock(request);
      await new Promise(setImmediate);
      die("in FinalizeBlock", height);
      const answer = await finalized;
      die("after FinalizeBlock", height);
      return answer;
    },
    async commit() {
      die("before Commit", height);
      const committed = node.commit();
      await new Promise(setImmediate);
      die("in Commit", height);
      const answer = await committed;
      die("after Commit", height);
      return answer;
    },
    async loadSnapshotChunk(request) {
      const { chunk } = await node.loadSnapshotChunk(request);
      if (hasCorrupted || chunk.length === 0) return { chunk };
      hasCorrupted = true;
      const flipped = chunk.slice();
      flipped[chunk.length >> 1] = (chunk[chunk.length >> 1] as number) ^ 1;
      return { chunk: flipped };
    },
  };
  return new Proxy(node, {
    get: (target, name) => {
      const own = methods[name as keyof AbciApplication];
      if (own !== undefined) return own;
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  }) as unknown as AbciApplication;
}

async function main(text: string): Promise<void> {
  const options = JSON.parse(text) as NodeOptions;
  const { metricsPort } = options;
  const node = await openValidator(options);
  const metrics = () => new Content(METRICS_TYPE, metricsText(node.runtime));
  const listener =
    metricsPort === undefined
      ? null
      : await Listener.open({ "GET /metrics": metrics }, { port: metricsPort });
  const server = await serveAbci(faulty(node, options), { address: options.address, checksAtOnce: 32 });
  console.log(server.address);
  const end = async (): Promise<void> => {
    await listener?.close();
    await server.close(1000);
    await node.close();
    process.exit();
  };
  process.once("SIGTERM", end);
  process.once("SIGINT", () => undefined); // of a terminal: the process that started this decides
  process.stdin.once("end", end).resume();
}

if (import.meta.main) await main(process.argv[2] ?? "{}");
