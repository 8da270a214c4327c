/**
 * Blocks that were executed and are not decided: at most one candidate for each metadata. All stand on the
 * head; when one is committed, the others are released.
 */

import { hash } from "node:crypto";
import type { Candidate, Runtime } from "../index.ts";
import type { BlockInput } from "./machine.ts";

/** Maximum number that is kept: more than the rounds of a height in a healthy network. */
const KEPT = 8;

export class Proposals {
  readonly #runtime: Runtime;
  readonly #made = new Map<string, Promise<Candidate>>();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** The candidate for this metadata, which decides the change of rules; executes it unless it is known. */
  execute({ metadata, rules }: BlockInput): Promise<Candidate> {
    const key = hash("sha256", metadata, "base64");
    const known = this.#made.get(key);
    if (known !== undefined) {
      this.#made.delete(key); // moves it to the end: the oldest is released first
      this.#made.set(key, known);
      return known;
    }
    for (const [oldest] of this.#made) if (this.#made.size >= KEPT) this.#release(oldest);
    const made = this.#runtime.execute(metadata, rules === undefined ? {} : { rules });
    this.#made.set(key, made);
    made.catch(() => this.#made.get(key) === made && this.#made.delete(key));
    return made;
  }

  /** Commits a candidate, which is durable then, and releases the others. */
  async commit(candidate: Candidate): Promise<void> {
    await this.#runtime.commit(candidate);
    this.clear();
  }

  /** Releases all. */
  clear(): void {
    for (const [key] of this.#made) this.#release(key);
  }

  #release(key: string): void {
    const made = this.#made.get(key);
    this.#made.delete(key);
    void made?.then((candidate) => this.#runtime.release(candidate)).catch(() => undefined);
  }
}
