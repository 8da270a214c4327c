/** A local network: pairs of processes with one genesis file, and a load of payments on them. */

import { setTimeout as sleep } from "node:timers/promises";
import { Pair, writeGenesis } from "./pair.ts";
import { Wallet } from "./wallet.ts";

export class Network {
  readonly directory: string;
  readonly pairs: Pair[] = [];
  readonly wallet: Wallet;
  readonly #binary: string;
  #peers: string[] = [];
  /** Those of the genesis file. */
  #validators: readonly Pair[] = [];
  #sent = 0;
  #taken = 0;
  #isLoaded = false;
  #load: Promise<void> | null = null;

  private constructor(directory: string, binary: string, wallet: Wallet) {
    this.directory = directory;
    this.#binary = binary;
    this.wallet = wallet;
  }

  /** Makes `count` validators, in directories below `directory`; they do not run yet. */
  static async make(directory: string, binary: string, count: number): Promise<Network> {
    const network = new Network(directory, binary, await Wallet.open());
    for (let i = 0; i < count; i++) network.pairs.push(await Pair.make(`node${i}`, directory, binary));
    network.#validators = network.pairs.slice();
    network.#peers = network.pairs.map(({ peer }) => peer);
    writeGenesis(network.pairs, network.pairs);
    return network;
  }

  get peers(): readonly string[] {
    return this.#peers;
  }

  /** Transactions that were sent, and those that were taken into a mempool. */
  get counts(): { readonly sent: number; readonly taken: number } {
    return { sent: this.#sent, taken: this.#taken };
  }

  /** Makes one more node, which is no validator. */
  async add(name: string): Promise<Pair> {
    const pair = await Pair.make(name, this.directory, this.#binary);
    writeGenesis([pair], this.#validators);
    this.pairs.push(pair);
    this.#peers.push(pair.peer);
    return pair;
  }

  async start(): Promise<void> {
    await Promise.all(this.pairs.map((pair) => pair.start(this.#peers)));
  }

  /** Sends this number of payments a second to those that run, until `endLoad`. */
  load(perSecond: number): void {
    if (perSecond === 0) return;
    this.#isLoaded = true;
    this.#load = this.#drive(perSecond);
  }

  async endLoad(): Promise<void> {
    this.#isLoaded = false;
    await this.#load;
  }

  async #drive(perSecond: number): Promise<void> {
    const start = performance.now();
    let sent = 0;
    while (this.#isLoaded) {
      const due = Math.floor(((performance.now() - start) / 1000) * perSecond) - sent;
      const running = this.pairs.filter(({ isRunning }) => isRunning);
      const target = running[sent % Math.max(1, running.length)];
      if (due < 1 || target === undefined) await sleep(10);
      else sent += await this.send(target, Math.min(due, 50));
    }
  }

  /** Sends the next `count` payments to a node; how many were sent. */
  async send(pair: Pair, count: number): Promise<number> {
    const txs = Array.from({ length: count }, () => this.wallet.payment(this.#sent++));
    this.#taken += await pair.send(txs).catch(() => 0);
    return count;
  }

  async kill(): Promise<void> {
    await this.endLoad();
    await Promise.all(this.pairs.map((pair) => pair.kill()));
  }
}

/** Whether all have the same app hash at a height; which. @throws Error */
export async function sameHash(pairs: readonly Pair[], height: number): Promise<string> {
  const hashes = await Promise.all(pairs.map((pair) => pair.appHash(height)));
  const [first] = hashes;
  const other = hashes.findIndex((hash) => hash !== first);
  if (other === -1) return first as string;
  const [a, b] = [pairs[0] as Pair, pairs[other] as Pair];
  throw new Error(`at height ${height} ${a.name} has ${first}, and ${b.name} ${hashes[other]}`);
}

/** Lets a node that has no blocks start from a snapshot, and trust the header of another at a height. */
export async function trust(pair: Pair, other: Pair, height?: number): Promise<void> {
  const at = height ?? Math.max(1, (await other.height()) - 2);
  const { signed_header: signed } = await other.ask("commit", { height: String(at) });
  const server = `127.0.0.1:${other.rpcPort}`;
  pair.configure({
    enable: "true",
    rpc_servers: `"${server},${server}"`, // two are wanted; the same one will do
    trust_height: String(at),
    trust_hash: `"${signed.commit.block_id.hash}"`,
    discovery_time: '"5s"',
  });
}
