/** Coins that are paid, and the network that runs them: its validators, and the program to come. */

import {
  Address,
  Bytes32,
  StateMap,
  caller,
  contract,
  emit,
  fail,
  minus,
  plus,
  record,
} from "stillpoint/guest";
import { onlyOwner, setOwner } from "stillpoint/guest/modules/ownership";
import { setup, transaction, view } from "stillpoint/guest";

@record
class Account {
  balance: u64 = 0;
}

@record
class Paid {
  from: Address;
  to: Address;
  amount: u64 = 0;
}

/** The power of the validator with this ed25519 key is to be another. */
@record
class PowerChanged {
  key: Bytes32;
  power: u64 = 0;
}

/** CometBFT has proved that a validator signed two blocks of a height. */
@record
class DoubleSigned {
  validator: Address;
  times: u64 = 0;
}

@record
class Program {
  name: Bytes32;
}

@record
class Evidence {
  times: u64 = 0;
}

const accounts = new StateMap<Address, Account>(100_000);
/** By the height of the first block that runs it. */
const upgrades = new StateMap<u64, Program>(1_000);
const evidence = new StateMap<Address, Evidence>(10_000);

@contract
class Coins {
  @setup({ holders: 100 })
  begin(owner: Address, holders: Address[], amount: u64): void {
    setOwner(owner);
    for (let i = 0; i < holders.length; i++) accounts.getOrAdd(holders[i]).balance = amount;
  }

  /** Returns what is left to the caller. */
  @transaction
  pay(to: Address, amount: u64): u64 {
    if (!accounts.has(caller())) fail("no account");
    const from = accounts.get(caller());
    if (from.balance < amount) fail("overdraft");
    from.balance = minus(from.balance, amount);
    const target = accounts.getOrAdd(to);
    target.balance = plus(target.balance, amount);
    const paid = new Paid();
    paid.from = caller();
    paid.to = to;
    paid.amount = amount;
    emit(paid);
    return accounts.get(caller()).balance;
  }

  @view
  balanceOf(who: Address): u64 {
    return accounts.has(who) ? accounts.get(who).balance : 0;
  }
}

@contract
class Network {
  /** Adds a validator, changes its power, or removes it with a power of 0. */
  @transaction
  setPower(key: Bytes32, power: u64): void {
    onlyOwner();
    const changed = new PowerChanged();
    changed.key = key;
    changed.power = power;
    emit(changed);
  }

  /** From this height on the chain runs the program of this name. */
  @transaction
  upgradeAt(height: u64, program: Bytes32): void {
    onlyOwner();
    upgrades.getOrAdd(height).name = program;
  }

  /** What the network itself says before the transactions of a block. */
  @transaction({ doubleSigners: 1000 })
  begin(doubleSigners: Address[]): void {
    if (caller() != Address.zero()) fail("not the network");
    for (let i = 0; i < doubleSigners.length; i++) {
      const found = evidence.getOrAdd(doubleSigners[i]);
      found.times++;
      const event = new DoubleSigned();
      event.validator = doubleSigners[i];
      event.times = found.times;
      emit(event);
    }
  }

  @view
  doubleSigns(who: Address): u64 {
    return evidence.has(who) ? evidence.get(who).times : 0;
  }
}
