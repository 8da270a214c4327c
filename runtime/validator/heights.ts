/**
 * Which block of the runtime has which height of CometBFT. One block of the runtime makes one height, but for
 * those before the first: where CometBFT's heights begin is said by its genesis file.
 */

import { UsageError } from "../errors.ts";
import type { Block } from "../index.ts";
import type { Machine } from "./machine.ts";
import type { Place } from "./message.ts";

export class Heights {
  readonly #machine: Machine;
  /** Where the head is; null: before InitChain. */
  #place: Place | null;

  /** @throws UsageError BAD_OPTION if no validator made the head */
  constructor(machine: Machine) {
    this.#machine = machine;
    this.#place = machine.place(machine.runtime.head);
  }

  get place(): Place | null {
    return this.#place;
  }

  /** The height of the last block; 0: there is none yet. */
  get last(): bigint {
    return this.#place?.height ?? 0n;
  }

  /** There is a new head. */
  renew(): void {
    this.#place = this.#machine.place(this.#machine.runtime.head);
  }

  /**
   * The block of a height; 0: the last.
   *
   * @throws UsageError NOT_RETAINED
   */
  block(height: bigint): Block {
    const { runtime } = this.#machine;
    const below = this.last - height;
    if (height === 0n || below === 0n) return runtime.head;
    const at = runtime.head.height - Number(below);
    const found = below < 0n ? undefined : runtime.blocks().find((block) => block.height === at);
    // Below the first block are those of InitChain and of the App, which have no height.
    if (found !== undefined && this.#machine.place(found)?.height === height) return found;
    throw new UsageError("NOT_RETAINED", `there is no block of height ${height} here`, { height });
  }

  /** The lowest height that is retained, without gaps above it; 0 before the first block. */
  oldest(): bigint {
    const { runtime } = this.#machine;
    const blocks = runtime.blocks();
    let index = blocks.length - 1;
    while (blocks[index - 1]?.height === (blocks[index] as Block).height - 1) index--;
    for (; index < blocks.length; index++) {
      const { height = 0n } = this.#machine.place(blocks[index] as Block) ?? {};
      if (height > 0n) return height;
    }
    return 0n;
  }
}
