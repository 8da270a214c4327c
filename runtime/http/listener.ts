/**
 * A small HTTP server: routes, JSON in and out, and the checks of checks.ts before each.
 *
 * It is node:http and nothing else. What a framework would add, routing and bodies, is short; what matters
 * here, the checks, would be written by hand in any of them; and nothing that listens costs the package a
 * dependency.
 *
 * Slow clients are bounded: in the time for headers and for the whole request, in silence on a connection,
 * and in number. An error of a route is answered with its code and text; one that is no StillpointError, with
 * neither, and told to `onError`.
 */

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { LimitError, StillpointError, UsageError } from "../errors.ts";
import { type CheckOptions, Checks, RequestError } from "./checks.ts";

/** What a route is asked. */
export interface Asked {
  /** The parts of the path that the route names, as in "GET /blocks/:height". */
  readonly parts: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The body of a POST, as JSON. */
  readonly body: unknown;
  /** Is aborted when the client has gone, or the listener waits no longer. */
  readonly signal: AbortSignal;
}

/** What a route answers: bytes or text of a type, or else a value that becomes JSON. */
export type Answer = Content | object;

/** An answer that is not JSON. */
export class Content {
  readonly type: string;
  readonly bytes: Uint8Array | string;
  /** Headers besides those of every answer. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(type: string, bytes: Uint8Array | string, headers: Readonly<Record<string, string>> = {}) {
    this.type = type;
    this.bytes = bytes;
    this.headers = headers;
  }
}

/** Routes by method and path: "GET /blocks/:height", "POST /transactions". */
export type Routes = Readonly<Record<string, (asked: Asked) => Answer | Promise<Answer>>>;

/** Where to listen, and what to expect. */
export interface ListenOptions extends CheckOptions {
  /** Default 127.0.0.1. */
  readonly address?: string;
  /** Default 0: any that is free. */
  readonly port?: number;
  /** Called with errors of the server itself, which no request is to blame for. Default: they are printed. */
  readonly onError?: (error: unknown) => void;
  /** Time for the headers of a request; all of it may take three times as long. Default 5,000. */
  readonly headersMs?: number;
  /** Time without a byte after which a connection is closed. Default 60,000. */
  readonly silenceMs?: number;
}

interface Route {
  readonly method: string;
  readonly path: readonly string[];
  readonly answer: Routes[string];
}

/** Connections may be twice as many as open requests: the others are idle. */
const CONNECTIONS_PER_REQUEST = 2;
/** For answers to those who are given up. */
const LAST_MS = 1000;
const SECURE_HEADERS = { "x-content-type-options": "nosniff", "cache-control": "no-store" };

export class Listener {
  readonly #server: Server;
  readonly #routes: readonly Route[];
  readonly #checks: Checks;
  readonly #onError: (error: unknown) => void;
  readonly #closing = new AbortController();
  #url = "";

  private constructor(routes: Routes, options: ListenOptions) {
    const { headersMs = 5_000, silenceMs = 60_000, openRequests = 256, onError } = options;
    this.#checks = new Checks({ ...options, openRequests });
    this.#onError = onError ?? ((error) => console.error(error));
    this.#routes = Object.entries(routes).map(([name, answer]) => {
      const [method, path] = name.split(" ") as [string, string];
      return { method, path: path.split("/"), answer };
    });
    const times = {
      headersTimeout: headersMs,
      requestTimeout: 3 * headersMs,
      connectionsCheckingInterval: 500,
      // Also between requests: after node's 5 s, a client that is busy meets a connection that just closes.
      keepAliveTimeout: silenceMs,
    };
    this.#server = createServer({ ...times, maxHeaderSize: 8 << 10 }, (request, response) => {
      void this.#serve(request, response);
    });
    this.#server.maxConnections = CONNECTIONS_PER_REQUEST * openRequests;
    this.#server.setTimeout(silenceMs);
  }

  /** Begins to listen. Rejects as `listen` of node:net does if the port is taken. */
  static async open(routes: Routes, options: ListenOptions = {}): Promise<Listener> {
    const listener = new Listener(routes, options);
    const { address = "127.0.0.1", port = 0 } = options;
    listener.#server.listen(port, address);
    await once(listener.#server, "listening");
    const bound = listener.#server.address() as AddressInfo;
    const name = bound.family === "IPv6" ? `[${bound.address}]` : bound.address;
    listener.#url = `http://${name}:${bound.port}`;
    return listener;
  }

  /** As "http://127.0.0.1:8545". */
  get url(): string {
    return this.#url;
  }

  /** Requests that are not answered yet. */
  get openRequests(): number {
    return this.#checks.openRequests;
  }

  /**
   * Takes no more connections and waits for the answers to open requests, `graceMs` at most. Then routes are
   * told by their signal, and what is open a second later is closed.
   */
  async close(graceMs = 10_000): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    const timers = [
      setTimeout(() => this.#closing.abort(new Error("the listener is closed")), graceMs),
      setTimeout(() => this.#server.closeAllConnections(), graceMs + LAST_MS),
    ];
    await closed;
    for (const timer of timers) clearTimeout(timer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let origin: string | null = null;
    const left = new AbortController();
    // Also when the connection breaks before all is sent.
    response.once("close", () => left.abort(new Error("the client closed the connection")));
    try {
      origin = this.#checks.checkSource(request);
      this.#checks.enter();
      response.once("close", () => this.#checks.leave());
      const signal = AbortSignal.any([left.signal, this.#closing.signal]);
      const content = await this.#answer(request, signal);
      this.#send(request, response, 200, content, origin);
    } catch (error) {
      const { status, ...said } = this.#asAnswer(error);
      this.#send(request, response, status, json({ error: said }), origin);
    }
  }

  async #answer(request: IncomingMessage, signal: AbortSignal): Promise<Content> {
    const { method = "", url = "" } = request;
    // A path only: no other scheme or host.
    const at = url.startsWith("/") ? URL.parse(`http://localhost${url}`) : null;
    if (at === null) throw new RequestError(400, "BAD_PATH", "a request names a path");
    const names = at.pathname.split("/");
    const fitting = this.#routes.filter(({ path }) => fits(path, names));
    if (fitting.length === 0) throw new RequestError(404, "NO_ROUTE", `there is nothing at ${at.pathname}`);
    // A browser asks before it sends JSON; where it comes from has been checked.
    if (method === "OPTIONS") return new Content("text/plain", "");
    const route = fitting.find((each) => each.method === method);
    if (route === undefined) {
      const methods = fitting.map((each) => each.method).join(", ");
      throw new RequestError(405, "BAD_METHOD", `${at.pathname} takes ${methods}`);
    }
    const body = method === "POST" ? await this.#checks.body(request) : null;
    const parts = Object.fromEntries(
      route.path.flatMap((name, i) => (name.startsWith(":") ? [[name.slice(1), names[i] as string]] : [])),
    );
    const answer = await route.answer({ parts, query: at.searchParams, body, signal });
    return answer instanceof Content ? answer : json(answer);
  }

  #asAnswer(error: unknown): { status: number; code: string; message: string } {
    if (error instanceof StillpointError) {
      const { code, message } = error;
      return { status: statusOf(error), code, message };
    }
    // A body that broke off: nobody will read the answer.
    if ((error as NodeJS.ErrnoException)?.code === "ECONNRESET") {
      return { status: 400, code: "BROKEN", message: "the request broke off" };
    }
    this.#onError(error);
    return { status: 500, code: "INTERNAL", message: "the server failed; its log says how" };
  }

  #send(
    request: IncomingMessage,
    response: ServerResponse,
    status: number,
    { type, bytes, headers }: Content,
    origin: string | null,
  ): void {
    if (response.destroyed) return;
    // What was not read of a request would be taken for the next one.
    const isRead = request.complete || !hasBody(request);
    if (!isRead || !this.#server.listening) response.setHeader("connection", "close");
    if (status === 503) response.setHeader("retry-after", "1");
    if (origin !== null) {
      response.setHeader("access-control-allow-origin", origin);
      response.setHeader("access-control-allow-headers", "content-type");
      response.setHeader("vary", "origin");
    }
    const length = typeof bytes === "string" ? Buffer.byteLength(bytes) : bytes.length;
    const own = { "content-type": type, "content-length": length };
    response.writeHead(status, { ...SECURE_HEADERS, ...headers, ...own });
    response.end(bytes);
  }
}

function fits(path: readonly string[], names: readonly string[]): boolean {
  return path.length === names.length && path.every((part, i) => part.startsWith(":") || part === names[i]);
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

function statusOf(error: StillpointError): number {
  if (error instanceof RequestError) return error.status;
  if (error.code === "NOT_RETAINED") return 404;
  if (error instanceof LimitError || error.code === "CLOSED") return 503;
  return error instanceof UsageError ? 400 : 500;
}

/** A value as JSON; integers beyond 2^53, which JSON's readers round, as text. */
function json(value: object): Content {
  const text = JSON.stringify(value, (_, each) => (typeof each === "bigint" ? String(each) : each));
  return new Content("application/json", text);
}
