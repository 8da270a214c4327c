/**
 * One connection of CometBFT: requests in, answers out, in the same order.
 *
 * - A request starts when all before it are answered, except CheckTx: up to `checksAtOnce` consecutive ones
 *   run at once. Until then nothing more is read, so a peer that sends and does not read its answers costs no
 *   more than the buffers.
 * - A peer that has closed its side (half-closed) still gets all answers.
 * - Bytes that are not a message end this connection, after the answers to the requests before them.
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
  /** Counts bytes of unanswered messages, over all connections. */
  readonly held: Held;
}

/** Counts bytes against a limit. Those behind a message in the same chunk are not counted yet. */
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

/** How long the peer has to close its side after ours. */
const LAST_MS = 1000;

export class Connection {
  /** Resolves when the connection is closed. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #common: Common;
  readonly #frames: FrameReader;
  readonly #gone = new AbortController();
  /** Unanswered requests, the oldest first. Each resolves when its answer is written. */
  readonly #open = new Set<PromiseWithResolvers<void>>();
  /** Whether all of them are CheckTx. */
  #areChecks = false;
  #lastWritten: Promise<void> = Promise.resolve();
  /** Bytes of this connection that are counted, and those among them of an incomplete message. */
  #heldBytes = 0;
  #partBytes = 0;
  #isClosing = false;
  /** Resolves when the socket is closed. */
  readonly #left = Promise.withResolvers<void>();

  constructor(socket: Socket, common: Common) {
    this.#socket = socket;
    this.#common = common;
    this.#frames = new FrameReader(common.messageBytes);
    socket.setNoDelay(true);
    socket.on("error", () => undefined); // the loop below sees it
    socket.once("close", () => {
      this.#leave();
      this.#left.resolve();
    });
    this.closed = this.#run();
  }

  /** Answers the requests that have started, for at most `graceMs`, and ends the connection. */
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
    // Not `once` of node:events, which an error before that, of a peer that has gone, would reject.
    await this.#left.promise;
  }

  /** Starts the requests that a chunk completes, in order. */
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

  /** Resolves when there is room for more. Answers of one turn of the event loop are sent together. */
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
   * Closes our side, and reads on until the peer closes its own: closing a socket with unread bytes would
   * discard answers that the peer has not received.
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
