/**
 * How threads wait for each other: read the signal, look for what is wanted, then sleep until the signal
 * differs from what was read. Nothing that was raised after the look is missed.
 */

// Words of the shared memory.
const SIGNAL = 0;
const WAITERS = 1;
const MAIN_SIGNAL = 2;
const STOPPED = 3;
const VIEW_SIGNAL = 9;

export class Signals {
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  read(): number {
    return Atomics.load(this.#words, SIGNAL);
  }

  /**
   * Sleeps until somebody raises the signal, unless that has happened since `signal` was read; no longer than
   * `patienceMs`.
   */
  sleep(signal: number, patienceMs = Number.POSITIVE_INFINITY): void {
    Atomics.add(this.#words, WAITERS, 1);
    Atomics.wait(this.#words, SIGNAL, signal, patienceMs);
    Atomics.sub(this.#words, WAITERS, 1);
  }

  /** Wakes all that sleep, but those that serve views; with `views` these and no others. */
  raise(views = false): void {
    if (views) return this.raiseViews();
    Atomics.add(this.#words, SIGNAL, 1);
    if (Atomics.load(this.#words, WAITERS) > 0) Atomics.notify(this.#words, SIGNAL);
  }

  /** As `read`, for threads that serve views: the signal of the others does not wake them. */
  readViews(): number {
    return Atomics.load(this.#words, VIEW_SIGNAL);
  }

  sleepViews(signal: number): void {
    Atomics.wait(this.#words, VIEW_SIGNAL, signal);
  }

  raiseViews(): void {
    Atomics.add(this.#words, VIEW_SIGNAL, 1);
    Atomics.notify(this.#words, VIEW_SIGNAL);
  }

  raiseAll(): void {
    this.raise();
    this.raiseViews();
  }

  /** As `read`, for the main thread, which has a signal of its own. */
  readMain(): number {
    return Atomics.load(this.#words, MAIN_SIGNAL);
  }

  async sleepMain(signal: number): Promise<void> {
    await Atomics.waitAsync(this.#words, MAIN_SIGNAL, signal).value;
  }

  raiseMain(): void {
    Atomics.add(this.#words, MAIN_SIGNAL, 1);
    Atomics.notify(this.#words, MAIN_SIGNAL);
  }

  /** Makes all threads leave their loops. */
  stop(): void {
    Atomics.store(this.#words, STOPPED, 1);
    Atomics.add(this.#words, SIGNAL, 1);
    Atomics.notify(this.#words, SIGNAL);
    this.raiseViews();
    this.raiseMain();
  }

  get stopped(): boolean {
    return Atomics.load(this.#words, STOPPED) === 1;
  }
}
