/**
 * Tokens that are each of their own kind, by number. State: `itemOwners`, `itemCounts`, `itemOperators`.
 *
 *   @transaction give(id: u64, to: Address): void { transferItem(caller(), id, to); }
 */

import { Address, Option, StateMap, StateSet, emit, fail, record } from "stillpoint/guest";

@record
class Holding {
  owner: Address;
  /** Who else may move it, until it is moved. */
  approved: Option<Address>;
}

@record
class Operator {
  owner: Address;
  operator: Address;
}

/** Made where `from` is zero, gone where `to` is. */
@record
class ItemMoved {
  id: u64 = 0;
  from: Address;
  to: Address;
}

const itemOwners = new StateMap<u64, Holding>(1 << 18);
const itemCounts = new StateMap<Address, u64>(1 << 18);
const itemOperators = new StateSet<Operator>(1 << 16);

/** Fails with "no such item". */
export function ownerOfItem(id: u64): Address {
  return holding(id).owner;
}

/** How many items somebody has. */
export function itemsOf(who: Address): u64 {
  return itemCounts.has(who) ? itemCounts.get(who) : 0;
}

/** Fails with "taken" if there is an item of that number. */
export function mintItem(to: Address, id: u64): void {
  if (itemOwners.has(id)) fail("taken");
  itemOwners.getOrAdd(id).owner = to;
  itemCounts.set(to, itemsOf(to) + 1);
  tell(id, Address.zero(), to);
}

/** `by` takes an item out of the world, if it may move it. */
export function burnItem(by: Address, id: u64): void {
  const owner = movable(by, id).owner;
  itemOwners.delete(id);
  countDown(owner);
  tell(id, owner, Address.zero());
}

/** `by`, the owner, an approved address or an operator, moves an item; others fail: "not yours". */
export function transferItem(by: Address, id: u64, to: Address): void {
  const item = movable(by, id);
  const from = item.owner;
  item.owner = to;
  item.approved = Option.none<Address>();
  countDown(from);
  itemCounts.set(to, itemsOf(to) + 1);
  tell(id, from, to);
}

/** `by`, the owner or an operator of it, lets somebody move an item. */
export function approveItem(by: Address, id: u64, who: Address): void {
  const item = holding(id);
  if (by != item.owner && !isOperator(item.owner, by)) fail("not yours");
  item.approved = Option.some<Address>(who);
}

/** Whether `operator` may move all that `owner` has. */
export function isOperator(owner: Address, operator: Address): bool {
  return itemOperators.has(pair(owner, operator));
}

/** Lets `operator` move all that `owner` has, or not any more. */
export function setOperator(owner: Address, operator: Address, allowed: bool): void {
  const key = pair(owner, operator);
  if (allowed) itemOperators.add(key);
  else itemOperators.delete(key);
}

function holding(id: u64): Holding {
  if (!itemOwners.has(id)) fail("no such item");
  return itemOwners.get(id);
}

function movable(by: Address, id: u64): Holding {
  const item = holding(id);
  const approved = item.approved;
  const isApproved = approved.isSome && approved.value == by;
  if (by != item.owner && !isApproved && !isOperator(item.owner, by)) fail("not yours");
  return item;
}

/** An address without items takes no space. */
function countDown(who: Address): void {
  const left = itemsOf(who) - 1;
  if (left == 0) itemCounts.delete(who);
  else itemCounts.set(who, left);
}

function pair(owner: Address, operator: Address): Operator {
  const key = new Operator();
  key.owner = owner;
  key.operator = operator;
  return key;
}

function tell(id: u64, from: Address, to: Address): void {
  const event = new ItemMoved();
  event.id = id;
  event.from = from;
  event.to = to;
  emit(event);
}
