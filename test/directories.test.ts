/** Directories that can be made, and places where none can. */

import assert from "node:assert/strict";
import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { makeDirectories } from "../runtime/directories.ts";
import { withDirectory } from "./store/directory.ts";

test("directories are made below one another, once", () =>
  withDirectory(async (path) => {
    assert.equal(makeDirectories(join(path, "a/b/c")), true);
    assert.equal(makeDirectories(join(path, "a/b/c")), false);
    assert.ok(statSync(join(path, "a/b/c")).isDirectory());
    assert.equal(makeDirectories(path), false);
    assert.equal(makeDirectories("/"), false);
    writeFileSync(join(path, "file"), "");
    assert.throws(() => makeDirectories(join(path, "file")), { code: "EEXIST" });
    assert.throws(() => makeDirectories(join(path, "file/below")), { code: "ENOTDIR" });
    mkdirSync(join(path, "there"));
    assert.equal(makeDirectories(join(path, "there/below")), true);
  }));

test("a file system that takes no directories says so, instead of never", {
  skip: existsSync("/proc/self") ? false : "there is no /proc here",
}, async () => {
  assert.throws(() => makeDirectories("/proc/stillpoint/state"), { code: "ENOENT" });
});
