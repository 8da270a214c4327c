/**
 * Whose turn it is to make blocks. Without a log, it is this node's for as long as it runs. With one, it is
 * that of the log's writer: all others follow it, make the same blocks, and are ready to take over.
 *
 * A node that finds itself replaced, when it starts or at its next block, follows from then on.
 */

import type { Produced, Upgrade } from "../../runtime/app/index.ts";
import { RequestError } from "../../runtime/http/checks.ts";
import {
  type AppArguments,
  type BlockLog,
  type Follower,
  follow,
  LogError,
  type Sequencer,
  sequence,
} from "../../runtime/log/index.ts";
import type { Bank } from "./bank.ts";

type Writing = Sequencer<AppArguments, Produced>;
type Following = Follower<AppArguments, Produced>;

/** A node's part in a log. */
export interface LogOptions {
  readonly log: BlockLog;
  /** Who this node is: the same whenever it is started again, and of no other node. */
  readonly writer: string;
  /** Whether it starts as a follower, even if no other node writes. */
  readonly follows?: boolean;
}

/** How a node stands towards the log. */
export interface Standing {
  readonly writes: boolean;
  /** The log's writer, and the number of its term; null: there is no log, or it has no writer yet. */
  readonly writer: string | null;
  readonly term: number;
  /** Blocks of the log that are not here yet. */
  readonly lag: number;
}

export class Turn {
  readonly #bank: Bank;
  readonly #options: LogOptions | null;
  readonly #failed = Promise.withResolvers<never>();
  #writing: Writing | null = null;
  #following: Following | null = null;

  private constructor(bank: Bank, options: LogOptions | null) {
    this.#bank = bank;
    this.#options = options;
    this.#failed.promise.catch(() => undefined); // of those who do not wait for it
  }

  /** Takes what the log has. Writes then, unless another node does. */
  static async begin(bank: Bank, options: LogOptions | null): Promise<Turn> {
    const turn = new Turn(bank, options);
    if (options === null) return turn;
    const { log, writer, follows = false } = options;
    if (follows) await turn.#follow(options);
    else {
      try {
        turn.#writing = await sequence(bank, log, { writer });
      } catch (error) {
        if (!isOthers(error)) throw error;
        await turn.#follow(options);
      }
    }
    return turn;
  }

  /** Whether this node makes the blocks. */
  get writes(): boolean {
    return this.#options === null || this.#writing !== null;
  }

  /** Rejects when the log cannot be followed any longer: it has another block than this node makes. */
  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  /** @throws RequestError FOLLOWS unless this node makes the blocks */
  check(): void {
    if (!this.writes) throw following();
  }

  /**
   * Makes a block of what waits, or one that upgrades the bank. If another node has taken over, there is no
   * block of this node: waiting clients get an error, and it follows.
   *
   * @throws RequestError FOLLOWS; as `App.produce` and `Sequencer.produce`
   */
  async produce({ upgrade }: { readonly upgrade?: Upgrade } = {}): Promise<Produced> {
    this.check();
    const writing = this.#writing;
    if (writing === null) return upgrade === undefined ? this.#bank.produce() : this.#bank.upgrade(upgrade);
    try {
      return await writing.produce(upgrade === undefined ? {} : { upgrade });
    } catch (error) {
      if (!isOthers(error)) throw error;
      this.#writing = null;
      this.#bank.withdraw(following());
      await this.#follow(this.#options as LogOptions);
      throw following();
    }
  }

  /** Makes the blocks from now on, after all that the log has; the previous writer follows. */
  async promote(): Promise<void> {
    const standby = this.#following;
    if (standby === null) return;
    const options = this.#options as LogOptions;
    this.#following = null;
    try {
      this.#writing = await standby.promote({ writer: options.writer });
    } catch (error) {
      await this.#follow(options);
      throw error;
    }
  }

  async standing(): Promise<Standing> {
    if (this.#following !== null) {
      const { writer, term, lag } = await this.#following.metrics();
      return { writes: false, writer, term, lag };
    }
    const { writer = null, term = 0 } = this.#writing?.metrics() ?? {};
    return { writes: this.writes, writer, term, lag: 0 };
  }

  /** Ends what it does; the bank stays open. */
  async stop(): Promise<void> {
    await this.#writing?.stop();
    await this.#following?.stop();
  }

  async #follow({ log }: LogOptions): Promise<void> {
    const standby = await follow(this.#bank, log);
    this.#following = standby;
    standby.done.catch((error) => this.#failed.reject(error));
  }
}

function isOthers(error: unknown): boolean {
  return error instanceof LogError && ["LOG_OWNED", "LOG_FENCED"].includes(error.code);
}

function following(): RequestError {
  return new RequestError(503, "FOLLOWS", "another node makes the blocks: send it there");
}
