/** Linked lists and a tree of small objects, with AssemblyScript's collector. */
class Item {
  left: Item | null = null;
  right: Item | null = null;
  constructor(
    public key: i32,
    public next: Item | null,
  ) {}
}

function insert(root: Item, key: i32): void {
  let node = root;
  while (true) {
    if (key < node.key) {
      const left = node.left;
      if (left == null) {
        node.left = new Item(key, null);
        return;
      }
      node = left;
    } else {
      const right = node.right;
      if (right == null) {
        node.right = new Item(key, null);
        return;
      }
      node = right;
    }
  }
}

export function main(n: i64): i64 {
  let list: Item | null = null;
  for (let i = 0; i < <i32>n; i++) list = new Item(i, list);
  let sum: i64 = 0;
  let item = list;
  while (item != null) {
    sum += item.key;
    item = item.next;
  }
  const root = new Item(1 << 30, null);
  let x: u32 = 5;
  for (let i = 0; i < <i32>n / 8; i++) {
    x = x * 1664525 + 1013904223;
    insert(root, <i32>(x >>> 1));
  }
  return sum + (root.left ? 1 : 0);
}
