/** A disk of some megabytes in a mount namespace of its own, which can be full and have room again. */

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync } from "node:fs";

const SIZE = "4m";

/** False, or why no disk can be mounted here. */
export function canMount(): false | string {
  const { status } = spawnSync("unshare", ["-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
  return status === 0 ? false : "no file system can be mounted here: that takes an administrator";
}

/** The disk. */
export interface SmallDisk {
  /** File of the mount namespace that has it, for `nsenter`. */
  readonly namespace: string;
  /** Leaves no byte. */
  fill(): void;
  free(): void;
  end(): Promise<void>;
}

/** Mounts one at a directory, seen by those alone who enter its namespace. */
export async function smallDisk(directory: string): Promise<SmallDisk> {
  mkdirSync(directory, { recursive: true });
  const script = `mount -t tmpfs -o size=${SIZE} tmpfs "$0" && echo mounted && exec sleep 600`;
  const holder = spawn("unshare", ["-m", "sh", "-c", script, directory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(holder.stdout, "data");
  const namespace = `/proc/${holder.pid}/ns/mnt`;
  return {
    namespace,
    fill() {
      const script = 'head -c 64m /dev/zero > "$0/ballast"';
      spawnSync("nsenter", [`--mount=${namespace}`, "sh", "-c", script, directory]);
    },
    free: () => rmSync(`/proc/${holder.pid}/root${directory}/ballast`),
    async end() {
      if (holder.exitCode !== null || holder.signalCode !== null) return;
      holder.kill("SIGKILL");
      await once(holder, "exit");
    },
  };
}
