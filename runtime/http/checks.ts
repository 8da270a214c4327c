/**
 * What is checked of every HTTP request before anything looks at what it asks for. All that listens in this
 * project does it through here.
 *
 * - Host must name this machine, or be named by the operator: a page whose own name resolves to 127.0.0.1
 *   must not be able to talk to a local node (DNS rebinding).
 * - Origin, which browsers add, must be missing or named by the operator.
 * - A body must be application/json, which a page of another origin cannot send without asking first, and of
 *   a bounded length, whether that is announced or not.
 * - Only so many requests may be open at once; a request is open until it is answered.
 *
 * A request that fails a check is answered with an error, and whatever else it sends is not read.
 */

import type { IncomingMessage } from "node:http";
import { type Facts, StillpointError } from "../errors.ts";

/** What requests may be. */
export interface CheckOptions {
  /** Names that Host may have besides localhost, 127.0.0.1 and [::1]; without a port. Default: none. */
  readonly hosts?: readonly string[];
  /** Origins of pages that may send requests, as "https://wallet.example". Default: none. */
  readonly origins?: readonly string[];
  /** Maximum length of a body. Default 64 KiB. */
  readonly bodyBytes?: number;
  /** Maximum number of requests that are open at once. Default 256. */
  readonly openRequests?: number;
}

/** A request that is refused: `status` is that of HTTP. The text is sent to the client. */
export class RequestError extends StillpointError {
  readonly status: number;

  constructor(status: number, code: string, message: string, facts: Facts = {}) {
    super(code, message, facts);
    this.status = status;
  }
}

/** A name or address, and perhaps a port. */
const HOST = /^(\[[\da-f:.]+\]|[^:[\]]+)(:\d{1,5})?$/i;
const LOCAL_HOSTS = ["localhost", "127.0.0.1", "[::1]"];
const BODY_BYTES = 64 << 10;
const OPEN_REQUESTS = 256;

export class Checks {
  readonly #hosts: ReadonlySet<string>;
  readonly #origins: ReadonlySet<string>;
  readonly #bodyBytes: number;
  readonly #limit: number;
  #open = 0;

  constructor({ hosts = [], origins = [], bodyBytes, openRequests }: CheckOptions = {}) {
    this.#hosts = new Set([...LOCAL_HOSTS, ...hosts.map((host) => host.toLowerCase())]);
    this.#origins = new Set(origins);
    this.#bodyBytes = bodyBytes ?? BODY_BYTES;
    this.#limit = openRequests ?? OPEN_REQUESTS;
  }

  /** Requests that are open. */
  get openRequests(): number {
    return this.#open;
  }

  /**
   * A request begins; it is open until `leave`.
   *
   * @throws RequestError (TOO_MANY_REQUESTS)
   */
  enter(): void {
    if (this.#open >= this.#limit) {
      throw new RequestError(503, "TOO_MANY_REQUESTS", `${this.#limit} requests are open: try again later`, {
        limit: this.#limit,
      });
    }
    this.#open++;
  }

  leave(): void {
    this.#open--;
  }

  /**
   * Whether a request comes from where it may. Returns the origin that it names, null: none.
   *
   * @throws RequestError (BAD_HOST, BAD_ORIGIN)
   */
  checkSource({ headers, headersDistinct }: IncomingMessage): string | null {
    const { origin } = headers;
    const [host = "", second] = headersDistinct.host ?? [];
    const found = second === undefined ? HOST.exec(host) : null;
    const name = found?.[1]?.toLowerCase();
    if (name === undefined || !this.#hosts.has(name)) {
      const text = "this server has another name than the header Host says; its operator can allow that name";
      throw new RequestError(421, "BAD_HOST", text);
    }
    if (origin === undefined || this.#origins.has(origin)) return origin ?? null;
    throw new RequestError(403, "BAD_ORIGIN", "pages of this origin may not send requests here");
  }

  /**
   * The body of a request as JSON.
   *
   * @throws RequestError (BAD_CONTENT_TYPE, TOO_LARGE, BAD_JSON)
   */
  async body(request: IncomingMessage): Promise<unknown> {
    const {
      "content-type": type = "",
      "content-length": length,
      "content-encoding": coding,
    } = request.headers;
    if (!/^application\/json(; ?charset="?utf-8"?)?$/i.test(type) || coding !== undefined) {
      throw new RequestError(
        415,
        "BAD_CONTENT_TYPE",
        "a body must be application/json in UTF-8, not compressed",
      );
    }
    if (Number(length ?? 0) > this.#bodyBytes) throw this.#tooLarge();
    const parts: Buffer[] = [];
    let bytes = 0;
    // What is refused is answered, so the connection must outlive the loop.
    for await (const part of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      bytes += part.length;
      if (bytes > this.#bodyBytes) throw this.#tooLarge();
      parts.push(part);
    }
    try {
      return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(parts)));
    } catch {
      throw new RequestError(400, "BAD_JSON", "the body is not JSON in UTF-8");
    }
  }

  #tooLarge(): RequestError {
    const limit = this.#bodyBytes;
    return new RequestError(413, "TOO_LARGE", `a body may have ${limit} bytes`, { limit });
  }
}
