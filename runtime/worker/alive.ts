/**
 * What keeps the process alive. Threads that wait for work do not; a call in progress, a
 * durable write and a thread that is starting do, each for as long as it takes.
 */

/** Fires never, practically: a timer counts as long as it is referenced. */
const LONG_MS = 0x7fffffff;

export class Alive {
  #timer: NodeJS.Timeout | undefined;
  #holds = 0;

  hold(): void {
    if (this.#holds++ === 0) this.#timer = setInterval(() => {}, LONG_MS);
  }

  release(): void {
    if (--this.#holds === 0) clearInterval(this.#timer);
  }

  /** Holds until the promise is settled; returns it. */
  until<T>(promise: Promise<T>): Promise<T> {
    this.hold();
    const release = (): void => this.release();
    promise.then(release, release);
    return promise;
  }
}
