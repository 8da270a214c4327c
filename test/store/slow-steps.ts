/** A store's thread that takes long at one step: `?step=NAME&ms=N` behind the name of this module. */

const { searchParams } = new URL(import.meta.url);
const ms = Number(searchParams.get("ms"));
const word = new Int32Array(new SharedArrayBuffer(4));

export function step(name: string): void {
  if (name === searchParams.get("step")) Atomics.wait(word, 0, 0, ms);
}
