/**
 * How threads wait for each other: read the signal, look for what is wanted, then sleep until the signal
 * differs from what was read. Nothing that was raised after the look is missed.
 */

// Words of the shared memory.
const SIGNAL = 0;
const WAITERS = 1;
const MAIN_SIGNAL = 2;
const STOPPED = 3;

export class Signals {
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  read(): number {
    return Atomics.load(this.#words, SIGNAL);
  }

  /** Sleeps until somebody raises the signal, unless that has happened since `signal` was read. */
  sleep(signal: number): void {
    Atomics.add(this.#words, WAITERS, 1);
    Atomics.wait(this.#words, SIGNAL, signal);
    Atomics.sub(this.#words, WAITERS, 1);
  }

  raise(): void {
    Atomics.add(this.#words, SIGNAL, 1);
    if (Atomics.load(this.#words, WAITERS) > 0) Atomics.notify(this.#words, SIGNAL);
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

  /** Tells all threads to leave their loops. */
  stop(): void {
    Atomics.store(this.#words, STOPPED, 1);
    Atomics.add(this.#words, SIGNAL, 1);
    Atomics.notify(this.#words, SIGNAL);
    this.raiseMain();
  }

  get stopped(): boolean {
    return Atomics.load(this.#words, STOPPED) === 1;
  }
}
