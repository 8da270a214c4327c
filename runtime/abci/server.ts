/**
 * A server for CometBFT: `proxy_app` of its config.toml is this server's `address`.
 *
 * The protocol has no authentication: any peer that can connect can destroy the chain of this node. So it
 * listens only on this machine unless another address is given, and only its owner can use a unix socket.
 */

import { once } from "node:events";
import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import { type AddressInfo, connect, createServer, type ListenOptions, type Server } from "node:net";
import { badOption, checkNames, integer } from "../arguments.ts";
import { LimitError } from "../errors.ts";
import type { AbciApplication } from "./application.ts";
import { Connection, Held } from "./connection.ts";

/** Options of `serveAbci`. */
export interface AbciOptions {
  /**
   * Where to listen: "tcp://HOST:PORT", with port 0 any that is free, or "unix://PATH".
   * Default "tcp://127.0.0.1:26658", which is CometBFT's too.
   */
  readonly address?: string;
  /** Maximum length of a message, in and out. Default 100 MiB, which is CometBFT's too. */
  readonly messageBytes?: number;
  /**
   * Maximum length of all received messages, complete or not, that are not answered. A connection that sends
   * more is closed. Default: twice `messageBytes`.
   */
  readonly bufferedBytes?: number;
  /** Maximum number of connections. CometBFT makes four. Default 16. */
  readonly connectionsLimit?: number;
  /**
   * Maximum number of consecutive CheckTx requests of a connection that run at once. They are answered in
   * order. Default 1.
   */
  readonly checksAtOnce?: number;
  /**
   * Called with what the application throws, and with errors of connections. Default: prints them.
   */
  readonly onError?: (error: unknown) => void;
}

const NAMES = [
  ...["address", "messageBytes", "bufferedBytes", "connectionsLimit", "checksAtOnce", "onError"],
] as const satisfies readonly (keyof AbciOptions)[];

const ADDRESS = "tcp://127.0.0.1:26658";
const MESSAGE_BYTES = 100 << 20;
const MESSAGE_BYTES_MAX = 2 ** 31 - 1;
const CONNECTIONS = 16;
/** A unix socket is for the user who runs the application. */
const OWNER_ONLY = 0o600;

/** A server that `serveAbci` has started. */
export class AbciServer {
  /** Where it listens, as CometBFT's `proxy_app` takes it: "tcp://127.0.0.1:26658". */
  readonly address: string;
  readonly #server: Server;
  readonly #connections: ReadonlySet<Connection>;

  /** @internal */
  constructor(address: string, server: Server, connections: ReadonlySet<Connection>) {
    this.address = address;
    this.#server = server;
    this.#connections = connections;
  }

  /** Number of open connections. */
  get connections(): number {
    return this.#connections.size;
  }

  /**
   * Accepts no more connections and requests, waits at most `graceMs` for the answers to those that have
   * started, and ends all connections.
   */
  async close(graceMs = 10_000): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    await Promise.all([...this.#connections].map((connection) => connection.close(graceMs)));
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Serves an application to CometBFT 0.38 and 0.40, over ABCI 2.0's socket protocol. Needs the package
 * @bufbuild/protobuf.
 *
 * @throws UsageError BAD_OPTION; and as `listen` of node:net if the address is taken
 * @example
 * ```ts
 * const server = await serveAbci(application, { address: "unix://run/app.sock" });
 * console.log(`cometbft start --proxy_app ${server.address}`);
 * ```
 */
export async function serveAbci(
  application: AbciApplication,
  options: AbciOptions = {},
): Promise<AbciServer> {
  checkNames(options, NAMES);
  const { address = ADDRESS, onError = (error) => console.error(error) } = options;
  if (typeof onError !== "function") throw badOption("onError", onError, "a function");
  const place = placeOf(address);
  const messageBytes = integer(options, "messageBytes", MESSAGE_BYTES, 1, MESSAGE_BYTES_MAX);
  const bufferedBytes = integer(
    options,
    "bufferedBytes",
    2 * messageBytes,
    messageBytes,
    Number.MAX_SAFE_INTEGER,
  );
  const checksAtOnce = integer(options, "checksAtOnce", 1, 1, 65_536);
  const common = { application, messageBytes, checksAtOnce, onError, held: new Held(bufferedBytes) };

  const connections = new Set<Connection>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const connection = new Connection(socket, common);
    connections.add(connection);
    void connection.closed.then(() => connections.delete(connection));
  });
  server.maxConnections = integer(options, "connectionsLimit", CONNECTIONS, 1, 65_536);
  server.on("drop", () => {
    const limit = server.maxConnections;
    const text = `there are ${limit} connections already: see the option "connectionsLimit"`;
    onError(new LimitError("TOO_MANY_CONNECTIONS", text, { limit }));
  });
  await listen(server, place);
  return new AbciServer(addressOf(server, place), server, connections);
}

function placeOf(address: string): ListenOptions {
  const [, path] = /^unix:\/\/(.+)$/.exec(address) ?? [];
  if (path !== undefined) return { path };
  const [, literal, name, port] = /^tcp:\/\/(?:\[([\da-f:.]+)\]|([^:[\]/]+)):(\d{1,5})$/i.exec(address) ?? [];
  const host = literal ?? name;
  if (host === undefined || Number(port) > 65_535)
    throw badOption("address", address, '"tcp://HOST:PORT" or "unix://PATH"');
  return { host, port: Number(port) };
}

function addressOf(server: Server, { path }: ListenOptions): string {
  if (path !== undefined) return `unix://${path}`;
  const { address, family, port } = server.address() as AddressInfo;
  return `tcp://${family === "IPv6" ? `[${address}]` : address}:${port}`;
}

async function listen(server: Server, place: ListenOptions): Promise<void> {
  if (place.path !== undefined) await removeStale(place.path);
  server.listen(place);
  await once(server, "listening");
  if (place.path !== undefined) chmodSync(place.path, OWNER_ONLY);
}

/** Removes the socket of a server that was killed: one on which nobody listens. */
async function removeStale(path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return;
  const socket = connect(path);
  try {
    await once(socket, "connect");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ECONNREFUSED") unlinkSync(path);
  } finally {
    socket.destroy();
  }
}
