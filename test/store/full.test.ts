/**
 * A disk that is full: a clear error, nothing lost, and it continues when there is room.
 *
 * The disk is a file system of some megabytes, which takes the right to mount one: for the administrator, or
 * where users may have a mount namespace of their own. Elsewhere it is a limit on the size of a file, which
 * lmdb meets in the same way; the test says which it was.
 */

import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { metadata } from "../crash/metadata.ts";
import { open } from "../fixture.ts";
import { withDirectory } from "./directory.ts";
import type { Said } from "./full.ts";

const PROGRAM = fileURLToPath(new URL("full.ts", import.meta.url));
const BALLAST_BYTES = 4 << 20;

/** A disk with an end. */
interface Disk {
  readonly name: string;
  /** How it is put before a command: a shell script, in which $0 is the directory. */
  readonly script: string;
  /** What starts the shell. */
  readonly command: readonly string[];
  /** Makes room. */
  readonly free: (child: ChildProcess, directory: string) => void;
}

// The mounts are seen by the child alone, and end with it. It sees its ballast below /proc.
const mounted = (name: string, ...command: string[]): Disk => ({
  name,
  command,
  script: `mount -t tmpfs -o size=8m tmpfs "$0" && head -c ${BALLAST_BYTES} /dev/zero > "$0/ballast"`,
  free: ({ pid }, directory) => rmSync(`/proc/${pid}/root${directory}/ballast`),
});

const DISKS: readonly Disk[] = [
  mounted("a file system of its own", "unshare", "-m"),
  mounted("a file system in a namespace of the user", "unshare", "-rm"),
  {
    name: "a limit on the size of files: no file system can be mounted here",
    command: [],
    // In blocks of 512 bytes or of 1 KiB, as the shell likes: two or four MiB.
    script: "ulimit -S -f 4096",
    free: ({ pid }) => {
      const { status, stderr } = spawnSync("prlimit", [`--pid=${pid}`, "--fsize=unlimited"], {
        encoding: "utf8",
      });
      assert.equal(status, 0, stderr);
    },
  },
];

function shell(
  { command, script }: Disk,
  directory: string,
  then: string,
  args: readonly string[],
): string[] {
  return [...command, "sh", "-c", `${script} && ${then}`, directory, ...args];
}

/** The first that works here. */
function findDisk(directory: string): Disk {
  mkdirSync(directory);
  const found = DISKS.find((disk) => {
    const [command, ...args] = shell(disk, directory, "true", []);
    return spawnSync(command as string, args).status === 0;
  });
  assert.deepEqual(readdirSync(directory), [], "the mount is the child's alone");
  return found as Disk;
}

for (const durability of ["block", "logged"] as const) {
  test(`a disk that is full, and has room again: ${durability}`, async (t) => {
    await withDirectory(async (directory) => {
      const disk = findDisk(directory);
      t.diagnostic(disk.name);
      const program = [process.execPath, PROGRAM, `${directory}/store`, durability];
      const [command, ...args] = shell(disk, directory, 'exec "$@"', program);
      const child = spawn(command as string, args, { stdio: ["pipe", "pipe", "inherit"] });
      const closed = new Promise((resolve) => child.on("close", resolve));
      const said: Said[] = [];
      for await (const line of createInterface(child.stdout)) {
        said.push(JSON.parse(line));
        if (said.length > 1) continue;
        disk.free(child, directory);
        child.stdin.end();
      }
      assert.equal(await closed, 0);

      const [full, end] = said;
      assert.ok(full?.what === "full" && end?.what === "end");
      assert.equal(full.code, "STORE_FULL");
      assert.match(full.message, /no space for the store .*make room and try again/);
      assert.ok(full.height > 10);
      assert.equal(end.lost, 0);
      assert.ok(end.height >= full.height + 8);

      // To the same states as where there was room all the time.
      const runtime = await open();
      while (runtime.head.height < end.height) await runtime.produce(metadata(runtime.head.height + 1, 0));
      assert.equal(runtime.head.root, end.root);
      await runtime.close();
    });
  });
}
