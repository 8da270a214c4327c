/** A registry of names, which cost tokens: a contract that uses another as functions. */

import {
  Address,
  StateMap,
  caller,
  contract,
  fail,
  max,
  record,
  transaction,
  u256,
  view,
} from "stillpoint/guest";
import { move } from "./token";

const PRICE: u64 = 100;
/** Nobody has the key to this address. */
const treasury = Address.zero();

@record
class Name {
  @max(64) text: string = "";
}

@record
class Entry {
  owner: Address;
  @max(168) value: string = "";
}

const names = new StateMap<Name, Entry>(4096);

@contract
class Names {
  /** Takes a free name for the caller, and its price in tokens. */
  @transaction
  register(name: Name): void {
    if (name.text.length == 0) fail("no name");
    if (names.has(name)) fail("taken");
    move(caller(), treasury, u256.from(PRICE));
    names.getOrAdd(name).owner = caller();
  }

  @transaction
  give(name: Name, to: Address): void {
    this.owned(name).owner = to;
  }

  @transaction({ value: 168 })
  set(name: Name, value: string): void {
    this.owned(name).value = value;
  }

  /** Lets go of a name, which is free again. */
  @transaction
  drop(name: Name): void {
    this.owned(name);
    names.delete(name);
  }

  @view
  resolve(name: Name): Entry {
    if (!names.has(name)) fail("no such name");
    return names.get(name);
  }

  private owned(name: Name): Entry {
    if (!names.has(name)) fail("no such name");
    const entry = names.get(name);
    if (entry.owner != caller()) fail("not yours");
    return entry;
  }
}
