/**
 * A log in a stream of NATS JetStream: one message for each entry, whose number is its sequence in the
 * stream. A message is published with the sequence of the one that it expects before it, and the server takes
 * it only there.
 *
 * How safe an entry is that the server has acknowledged is the server's matter: docs/log.md.
 */

import { setTimeout as sleep } from "node:timers/promises";
import {
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from "@nats-io/jetstream";
import { closed, LogError, lost, notNext } from "./errors.ts";
import type { LogStorage } from "./storage.ts";

/** A connection, as `connect` of @nats-io/transport-node makes it. */
export type NatsConnection = Parameters<typeof jetstream>[0];

/** Where the stream is. */
export interface JetStreamOptions {
  readonly connection: NatsConnection;
  /** Name of the stream: letters, digits, "-" and "_". It is made if it is not there. */
  readonly stream: string;
  /** Servers that keep a copy, if the stream is made. Default 1. */
  readonly replicas?: number;
  /** How long to wait for an acknowledgement before an entry is uncertain. Default 30,000. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 30_000;
/** Of one try to publish, and between two. */
const ANSWER_MS = 2_000;
const RETRY_MS = 200;
/** What the client adds to a message. */
const HEADERS_BYTES = 1024;
const HEARTBEAT_MS = 2_000;
/** Answers of a cluster that has no leader yet: the others are answers to keep. */
const ELECTING: ReadonlySet<number> = new Set([10008, 10009]);

export class JetStreamStorage implements LogStorage {
  readonly #options: JetStreamOptions;
  readonly #client: JetStreamClient;
  readonly #manager: JetStreamManager;
  readonly #ended = new AbortController();

  private constructor(options: JetStreamOptions, client: JetStreamClient, manager: JetStreamManager) {
    this.#options = options;
    this.#client = client;
    this.#manager = manager;
  }

  static async open(options: JetStreamOptions): Promise<JetStreamStorage> {
    const client = jetstream(options.connection, { timeout: ANSWER_MS });
    const manager = await client.jetstreamManager();
    await ensureStream(manager, options);
    return new JetStreamStorage(options, client, manager);
  }

  async bounds(): Promise<{ first: number; last: number }> {
    const { state } = await this.#insist(() => this.#manager.streams.info(this.#options.stream));
    return { first: Math.max(1, state.first_seq), last: state.last_seq };
  }

  async get(number: number): Promise<Uint8Array> {
    const bytes = await this.#insist(() => this.#find(number));
    if (bytes === null) throw this.#lost(number);
    return bytes;
  }

  async put(number: number, bytes: Uint8Array): Promise<void> {
    const { connection, stream } = this.#options;
    const limit = (connection.info?.max_payload ?? Infinity) - HEADERS_BYTES;
    if (bytes.length > limit) {
      const text =
        `entry ${number} has ${bytes.length} bytes, and the server takes ${limit}: raise its max_payload, ` +
        "or make smaller blocks";
      throw new LogError("LOG_TOO_LARGE", text, { entry: number, bytes: bytes.length, limitBytes: limit });
    }
    const expect = { streamName: stream, lastSequence: number - 1 };
    try {
      await this.#insist(() =>
        this.#client.publish(subjectOf(stream), bytes, { expect, timeout: ANSWER_MS }),
      );
    } catch (error) {
      if (!(error instanceof JetStreamApiError)) throw error;
      if (error.code === JetStreamApiCodes.StreamWrongLastSequence) return this.#compare(number, bytes);
      const text =
        `the stream ${stream} does not take entry ${number}: ${error.message}. Make room, or raise its ` +
        "limits";
      throw new LogError("LOG_FULL", text, { stream, entry: number, code: error.code });
    }
  }

  /** The entry is there, if an acknowledgement was lost, or another one, or those before it are gone. */
  async #compare(number: number, bytes: Uint8Array): Promise<void> {
    const there = await this.#insist(() => this.#find(number));
    if (there === null) throw this.#lost(number - 1);
    if (Buffer.compare(there, bytes) !== 0) throw notNext(number);
  }

  async #find(number: number): Promise<Uint8Array | null> {
    const message = await this.#manager.streams.getMessage(this.#options.stream, { seq: number });
    return message?.data ?? null;
  }

  async *follow(from: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const { stream } = this.#options;
    const until = AbortSignal.any([signal, this.#ended.signal]);
    for (let number = from; !until.aborted; ) {
      try {
        // Starts where it was left, whatever has become of the consumer.
        const start = { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: number };
        const consumer = await this.#client.consumers.get(stream, start);
        const messages = await consumer.consume({ idle_heartbeat: HEARTBEAT_MS, max_messages: 256 });
        const stop = (): void => void messages.close();
        until.addEventListener("abort", stop);
        if (until.aborted) stop(); // while the consumer was made: there is no event any more
        try {
          for await (const message of messages) {
            if (message.seq !== number) throw this.#lost(number);
            number++;
            yield message.data;
          }
        } finally {
          until.removeEventListener("abort", stop);
          await messages.close();
        }
      } catch (error) {
        if (error instanceof LogError || this.#options.connection.isClosed()) throw error;
      }
      await sleep(RETRY_MS, undefined, { signal: until }).catch(() => undefined);
    }
    if (!signal.aborted) throw closed();
  }

  #lost(number: number): LogError {
    return lost(`the stream ${this.#options.stream}`, number);
  }

  /** The connection is its owner's. */
  async close(): Promise<void> {
    this.#ended.abort();
  }

  /** Repeats what nobody answers. What the server refuses is not tried again. */
  async #insist<T>(ask: () => Promise<T>): Promise<T> {
    const { connection, stream, timeoutMs = TIMEOUT_MS } = this.#options;
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      if (this.#ended.signal.aborted) throw closed();
      try {
        return await ask();
      } catch (error) {
        if (error instanceof JetStreamApiError && !ELECTING.has(error.code)) throw error;
        if (!connection.isClosed() && performance.now() < deadline) {
          await sleep(RETRY_MS);
          continue;
        }
        if (error instanceof JetStreamApiError) throw error;
        const text =
          `no answer from the servers of the stream ${stream} (${reasonOf(error)}): what was sent may be ` +
          "there or not: try again when they are back";
        throw new LogError("LOG_UNCERTAIN", text, { stream }, { cause: error });
      }
    }
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function subjectOf(stream: string): string {
  return `${stream}.entries`;
}

/** Makes the stream, or sees that it is one that forgets nothing by itself. */
async function ensureStream(manager: JetStreamManager, { stream, replicas = 1 }: JetStreamOptions) {
  const wanted = {
    name: stream,
    subjects: [subjectOf(stream)],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    // A full stream refuses what is new: the default would drop what is old.
    discard: DiscardPolicy.New,
  };
  const { config } = await manager.streams.info(stream).catch((error: unknown) => {
    if (!(error instanceof JetStreamApiError) || error.code !== JetStreamApiCodes.StreamNotFound) throw error;
    return manager.streams.add({ ...wanted, num_replicas: replicas });
  });
  for (const name of ["storage", "retention", "discard"] as const) check(stream, config, name, wanted[name]);
  check(stream, config, "subjects", wanted.subjects);
}

function check<Name extends keyof StreamConfig>(
  stream: string,
  config: StreamConfig,
  name: Name,
  wanted: unknown,
): void {
  const found = JSON.stringify(config[name]);
  const expected = JSON.stringify(wanted);
  if (found === expected) return;
  const text = `the stream ${stream} has ${name} ${found}, and a log needs ${expected}: take another stream`;
  throw new LogError("LOG_CONFIGURATION", text, { stream, setting: name, found, expected });
}
