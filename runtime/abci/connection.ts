/**
 * One connection of CometBFT: requests in, answers out, in the same order.
 *
 * - A request begins when all before it are answered, but for CheckTx: as many of these as `checksAtOnce` run
 *   at once if they follow each other. Nothing is read meanwhile that there is no room for, so a side that
 *   sends and does not read is held, and costs what is buffered for it.
 * - A side that has sent all (half-closed) is answered to the end.
 * - Bytes that are no message end this connection, after the answers to what came before them.
 */

import { once } from "node:events";
import type { Socket } from "node:net";
import { LimitError } from "../errors.ts";
import { type AbciApplication, type Asked, answer, readRequest } from "./application.ts";
import { FrameReader } from "./frames.ts";

/** What the connections of a server have in common. */
export interface Common {
  readonly application: AbciApplication;
  readonly messageBytes: number;
  readonly checksAtOnce: number;
  readonly onError: (error: unknown) => void;
  /** Bytes of messages that are not answered, of all connections. */
  readonly held: Held;
}

/** Bytes that are held for all connections, and a limit; not what came in one piece with them. */
export class Held {
  readonly #limitBytes: number;
  #bytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** @throws LimitError BUFFERS_FULL; the bytes are counted all the same */
  add(bytes: number): void {
    this.#bytes += bytes;
    if (bytes <= 0 || this.#bytes <= this.#limitBytes) return;
    const limit = this.#limitBytes;
    const text = `requests that are not answered have more than the ${limit} bytes of "bufferedBytes"`;
    throw new LimitError("BUFFERS_FULL", text, { limit });
  }
}

/** For the other side to say that it has read all. */
const LAST_MS = 1000;

export class Connection {
  /** Resolves when the connection is no more. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #common: Common;
  readonly #frames: FrameReader;
  readonly #gone = new AbortController();
  /** Requests that are not answered, the oldest first. Each resolves when its answer is written. */
  readonly #open = new Set<PromiseWithResolvers<void>>();
  /** Whether these are CheckTx, all of them. */
  #areChecks = false;
  #lastWritten: Promise<void> = Promise.resolve();
  /** Bytes of this connection that are counted as held, and those of them of a message that is not whole. */
  #heldBytes = 0;
  #partBytes = 0;
  #isClosing = false;

  constructor(socket: Socket, common: Common) {
    this.#socket = socket;
    this.#common = common;
    this.#frames = new FrameReader(common.messageBytes);
    socket.setNoDelay(true);
    socket.on("error", () => undefined); // the loop below sees it
    socket.once("close", () => this.#leave());
    this.closed = this.#run();
  }

  /** Answers the requests that have begun, and ends. What is not answered after `graceMs` never is. */
  async close(graceMs: number): Promise<void> {
    this.#isClosing = true;
    const timer = setTimeout(() => this.#socket.destroy(), graceMs);
    await this.#untilFewer(1);
    clearTimeout(timer);
    this.#end();
    await this.closed;
  }

  async #run(): Promise<void> {
    try {
      for await (const chunk of this.#socket.iterator({ destroyOnReturn: false })) {
        await this.#take(chunk as Buffer);
        if (this.#isClosing) break;
      }
    } catch (error) {
      const isOfSocket = (error as NodeJS.ErrnoException).code?.startsWith("E") === true;
      if (!isOfSocket) this.#common.onError(error);
    }
    await this.#untilFewer(1);
    this.#end();
    if (!this.#socket.closed) await once(this.#socket, "close");
  }

  /** Begins what a piece of the stream completes, in order. */
  async #take(chunk: Uint8Array): Promise<void> {
    this.#hold(-this.#partBytes);
    this.#partBytes = 0;
    this.#frames.push(chunk);
    for (let frame = this.#frames.next(); frame !== null; frame = this.#frames.next()) {
      const asked = readRequest(frame);
      const isCheck = asked.case === "checkTx";
      await this.#untilFewer(isCheck && this.#areChecks ? this.#common.checksAtOnce : 1);
      if (this.#socket.destroyed || this.#isClosing) return;
      this.#areChecks = isCheck;
      this.#begin(asked, frame.length);
    }
    this.#partBytes = this.#frames.bytes;
    this.#hold(this.#partBytes);
  }

  #begin(asked: Asked, bytes: number): void {
    const { application, messageBytes, onError } = this.#common;
    this.#hold(bytes);
    const request = Promise.withResolvers<void>();
    this.#open.add(request);
    const answered = answer(application, asked, { signal: this.#gone.signal }, messageBytes, onError);
    this.#lastWritten = this.#lastWritten.then(async () => {
      await this.#write(await answered);
      if (!this.#open.delete(request)) return; // the connection is gone
      this.#hold(-bytes);
      request.resolve();
    });
  }

  /** Resolves when there is room for more. Answers of one turn of the event loop leave together. */
  async #write(frame: Uint8Array): Promise<void> {
    const socket = this.#socket;
    if (socket.destroyed) return;
    socket.cork();
    process.nextTick(() => socket.uncork());
    if (socket.write(frame)) return;
    await once(socket, "drain", { signal: this.#gone.signal }).catch(() => undefined);
  }

  async #untilFewer(limit: number): Promise<void> {
    while (this.#open.size >= limit) await this.#open.values().next().value?.promise;
  }

  #hold(bytes: number): void {
    this.#heldBytes += bytes;
    this.#common.held.add(bytes);
  }

  /**
   * Says that nothing more comes. Reads on until the other side says so too: a socket that is closed with
   * bytes unread takes back what it has sent.
   */
  #end(): void {
    const socket = this.#socket;
    if (socket.destroyed || socket.writableEnded) return;
    socket.end();
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), LAST_MS);
    socket.once("close", () => clearTimeout(timer));
  }

  #leave(): void {
    this.#gone.abort(new Error("the connection is gone"));
    const open = [...this.#open];
    this.#open.clear();
    for (const request of open) request.resolve();
    this.#hold(-this.#heldBytes);
  }
}
