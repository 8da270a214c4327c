/** Work that several may wait for. It is given up when all have gone that waited for it. */

export class SharedRun<T> {
  readonly result: Promise<T>;
  readonly #cancel = new AbortController();
  #waiting = 0;

  /** `run` begins at once, and rejects soon after its signal. */
  constructor(run: (signal: AbortSignal) => Promise<T>) {
    this.result = run(this.#cancel.signal);
  }

  get isGivenUp(): boolean {
    return this.#cancel.signal.aborted;
  }

  /** Its result. Who waits goes when `signal` is aborted. */
  async wait(signal: AbortSignal | null): Promise<T> {
    this.#waiting++;
    const leave = (): void => {
      if (--this.#waiting === 0) this.#cancel.abort(signal?.reason);
    };
    if (signal?.aborted) leave();
    else signal?.addEventListener("abort", leave, { once: true });
    try {
      return await this.result;
    } finally {
      signal?.removeEventListener("abort", leave);
    }
  }
}
