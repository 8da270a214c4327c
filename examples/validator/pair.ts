/**
 * One node of a local network: its application and its CometBFT, two processes that are started, killed and
 * asked together. All ports are of the loopback interface.
 */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { UsageError } from "../../runtime/index.ts";
import type { NodeOptions } from "./node.ts";

const NODE = fileURLToPath(new URL(import.meta.url.replace(/.*\./, "node."), import.meta.url));
const OUTPUT_BYTES = 4000;
const RPC_MS = 10_000;
/** CometBFT takes at most ten requests in a batch. */
const BATCH = 10;

// biome-ignore lint/suspicious/noExplicitAny: answers of CometBFT's RPC
export type Said = any;

/** A validator of a genesis file. */
export interface GenesisValidator {
  readonly address: string;
  readonly pub_key: { readonly type: string; readonly value: string };
  readonly power: string;
  readonly name: string;
}

export class Pair {
  readonly name: string;
  readonly home: string;
  readonly rpcPort: number;
  readonly p2pPort: number;
  readonly #binary: string;
  #application: ChildProcess | null = null;
  #comet: ChildProcess | null = null;
  #output = "";

  private constructor(name: string, home: string, binary: string, rpcPort: number, p2pPort: number) {
    this.name = name;
    this.home = home;
    this.#binary = binary;
    this.rpcPort = rpcPort;
    this.p2pPort = p2pPort;
  }

  /** Makes keys and configuration in a directory of its own. */
  static async make(name: string, directory: string, binary: string): Promise<Pair> {
    const home = join(directory, name);
    mkdirSync(home, { recursive: true });
    execFileSync(binary, ["init", "--home", home], { stdio: "ignore" });
    const pair = new Pair(name, home, binary, await freePort(), await freePort());
    pair.configure({
      timeout_commit: '"200ms"', // in tests: a second by default
      timeout_propose: '"1s"',
      addr_book_strict: "false", // all addresses are of this machine
      allow_duplicate_ip: "true",
      create_empty_blocks: "true",
      pex: "false",
    });
    return pair;
  }

  /** Sets values of config.toml by their names. */
  configure(values: Readonly<Record<string, string>>): void {
    const file = join(this.home, "config/config.toml");
    let text = readFileSync(file, "utf8");
    for (const [name, value] of Object.entries(values))
      text = text.replace(new RegExp(`^${name} = .*$`, "m"), `${name} = ${value}`);
    writeFileSync(file, text);
  }

  get validator(): GenesisValidator {
    const { address, pub_key } = this.#keyFile;
    return { address, pub_key, power: "10", name: this.name };
  }

  /** The ed25519 key that its votes are verified with. */
  get key(): Uint8Array {
    return Buffer.from(this.validator.pub_key.value, "base64");
  }

  /** The private part of that key: 32 bytes. */
  get secret(): Uint8Array {
    return Buffer.from(this.#keyFile.priv_key.value, "base64").subarray(0, 32);
  }

  get #keyFile(): Said {
    return JSON.parse(readFileSync(join(this.home, "config/priv_validator_key.json"), "utf8"));
  }

  get peer(): string {
    const id = execFileSync(this.#binary, ["show-node-id", "--home", this.home], { encoding: "utf8" }).trim();
    return `${id}@127.0.0.1:${this.p2pPort}`;
  }

  get store(): string {
    return join(this.home, "state");
  }

  get isRunning(): boolean {
    const isUp = (child: ChildProcess | null) => child !== null && child.exitCode === null && !child.killed;
    return isUp(this.#application) && isUp(this.#comet);
  }

  /** The end of what both have printed. */
  get output(): string {
    return this.#output;
  }

  /** Starts both, and resolves when CometBFT's RPC answers, or it has ended. */
  async start(peers: readonly string[], options: Partial<NodeOptions> = {}): Promise<void> {
    this.#output = "";
    // Paths of sockets are short: less than 108 bytes.
    const given: NodeOptions = { store: this.store, address: "tcp://127.0.0.1:0", ...options };
    this.#application = this.#spawn(process.execPath, [NODE, JSON.stringify(given)], "pipe");
    const address = await firstLine(this.#application, () => this.#output);
    const places = [
      ...["--proxy_app", address, "--rpc.laddr", `tcp://127.0.0.1:${this.rpcPort}`],
      ...["--p2p.laddr", `tcp://127.0.0.1:${this.p2pPort}`],
      ...["--p2p.persistent_peers", peers.filter((peer) => !peer.endsWith(`:${this.p2pPort}`)).join(",")],
    ];
    this.#comet = this.#spawn(this.#binary, ["start", "--home", this.home, ...places], "ignore");
    while (this.#comet.exitCode === null && this.#application.exitCode === null) {
      if ((await this.ask("status").catch(() => null)) !== null) return;
      await sleep(50);
    }
  }

  #spawn(program: string, args: readonly string[], stdin: "pipe" | "ignore"): ChildProcess {
    const child = spawn(program, args, { stdio: [stdin, "pipe", "pipe"] });
    children.add(child);
    child.once("exit", () => children.delete(child));
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (bytes) => {
        this.#output = `${this.#output}${bytes}`.slice(-OUTPUT_BYTES);
      });
    return child;
  }

  /** Resolves when one of the two has ended; the other ends as well, then. */
  async ended(): Promise<void> {
    await Promise.race([gone(this.#application), gone(this.#comet)]);
    await this.kill();
  }

  async kill(): Promise<void> {
    await Promise.all([this.killApplication(), end(this.#comet, "SIGKILL")]);
  }

  async killApplication(): Promise<void> {
    await end(this.#application, "SIGKILL");
  }

  /** Ends both as an operator does. */
  async stop(): Promise<void> {
    await end(this.#comet, "SIGTERM");
    await end(this.#application, "SIGTERM");
  }

  /** Removes what the application, or CometBFT, has stored. The keys stay. */
  wipe(what: "application" | "comet"): void {
    if (what === "application") return rmSync(this.store, { recursive: true, force: true });
    rmSync(join(this.home, "data"), { recursive: true, force: true });
    mkdirSync(join(this.home, "data"));
    const state = { height: "0", round: 0, step: 0 };
    writeFileSync(join(this.home, "data/priv_validator_state.json"), JSON.stringify(state));
  }

  // ---- its RPC --------------------------------------------------------------------------------------------

  /** @throws Error with what CometBFT says, or that it does not answer */
  async ask(method: string, params: object = {}): Promise<Said> {
    const [{ result, error }] = await this.#post([{ method, params }]);
    if (error !== undefined) throw new Error(`${error.message}: ${error.data}`);
    return result;
  }

  /** Sends transactions; how many were taken into the mempool. */
  async send(txs: readonly Uint8Array[]): Promise<number> {
    let taken = 0;
    for (let from = 0; from < txs.length; from += BATCH) {
      const part = txs.slice(from, from + BATCH);
      const params = part.map((tx) => ({ tx: Buffer.from(tx).toString("base64") }));
      const answers = await this.#post(params.map((each) => ({ method: "broadcast_tx_sync", params: each })));
      taken += answers.filter(({ result }: Said) => result?.code === 0).length;
    }
    return taken;
  }

  async #post(calls: readonly { readonly method: string; readonly params: object }[]): Promise<Said> {
    const body = JSON.stringify(calls.map((call, id) => ({ jsonrpc: "2.0", id, ...call })));
    const signal = AbortSignal.timeout(RPC_MS);
    const response = await fetch(`http://127.0.0.1:${this.rpcPort}/`, { method: "POST", body, signal });
    const said = (await response.json()) as Said;
    return Array.isArray(said) ? said : [said];
  }

  /** The height of its last block; -1: it does not answer. */
  async height(): Promise<number> {
    const status = await this.ask("status").catch(() => null);
    return status === null ? -1 : Number(status.sync_info.latest_block_height);
  }

  /**
   * Waits until it has a block of a height.
   *
   * @throws Error if one of its processes ends, or there is no new block for too long
   */
  async reaches(height: number, stallMs = 120_000): Promise<void> {
    let end = performance.now() + stallMs;
    for (let last = -1; last < height; ) {
      const reached = await this.height();
      if (reached > last) end = performance.now() + stallMs;
      last = Math.max(last, reached);
      if (last >= height) return;
      if (!this.isRunning) throw new Error(`${this.name} has ended:\n${this.output}`);
      if (performance.now() > end)
        throw new Error(`${this.name} stays at height ${last}, short of ${height}:\n${this.output}`);
      await sleep(50);
    }
  }

  /** The app hash after a block, in hex: the next header has it. */
  async appHash(height: number): Promise<string> {
    await this.reaches(height + 1);
    const { signed_header: signed } = await this.ask("commit", { height: String(height + 1) });
    return (signed.header.app_hash as string).toLowerCase();
  }
}

/** All processes that were started here and have not ended. */
const children = new Set<ChildProcess>();

/** Kills every process that was started here. */
export function killAll(): void {
  for (const child of children) child.kill("SIGKILL");
}

async function gone(child: ChildProcess | null): Promise<void> {
  if (child !== null && child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

async function end(child: ChildProcess | null, signal: NodeJS.Signals): Promise<void> {
  if (child === null || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill(signal);
  await ended;
}

async function firstLine(child: ChildProcess, output: () => string): Promise<string> {
  for (;;) {
    const [line] = /^(unix|tcp):\/\/.*$/m.exec(output()) ?? [];
    if (line !== undefined) return line;
    if (child.exitCode !== null)
      throw new UsageError("BAD_OPTION", `the application has ended:\n${output()}`);
    await sleep(20);
  }
}

/** A free port of this machine. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

/** Gives all the genesis file of the first validator, with these validators. */
export function writeGenesis(pairs: readonly Pair[], validators: readonly Pair[]): void {
  const file = (pair: Pair) => join(pair.home, "config/genesis.json");
  const genesis = JSON.parse(readFileSync(file(validators[0] as Pair), "utf8"));
  genesis.chain_id = "coins";
  genesis.validators = validators.map(({ validator }) => validator);
  for (const pair of pairs) writeFileSync(file(pair), JSON.stringify(genesis, null, 2));
}
