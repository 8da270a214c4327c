/** A nats-server for tests: found, or built by Go, and started on a port of its own. */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { FULL } from "../sizes.ts";

const VERSION = "v2.15.3";
const MODULE = "github.com/nats-io/nats-server/v2";
const BUILD_MS = 600_000;
const START_MS = 20_000;

/** The program, or why there is none. */
export function natsServer(): { readonly program: string } | { readonly missing: string } {
  if (!FULL) return { missing: "STILLPOINT_FULL=1 runs it, with Go or a nats-server in the path" };
  const found = spawnSync("nats-server", ["--version"]);
  if (found.status === 0) return { program: "nats-server" };
  const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "stillpoint", "nats", VERSION);
  const program = join(folder, "nats-server");
  if (existsSync(program)) return { program };
  const go = ["go", "/usr/local/go/bin/go"].find((name) => spawnSync(name, ["version"]).status === 0);
  if (go === undefined) return { missing: "there is no nats-server and no Go to build it" };
  mkdirSync(folder, { recursive: true });
  const { status, stderr } = spawnSync(go, ["install", "-trimpath", `${MODULE}@${VERSION}`], {
    env: { ...process.env, GOBIN: folder, CGO_ENABLED: "0" },
    encoding: "utf8",
    timeout: BUILD_MS,
  });
  return status === 0 ? { program } : { missing: `nats-server cannot be built: ${stderr.slice(-300)}` };
}

/** A server with JetStream, which keeps its data in a directory and can be started again. */
export class NatsServer {
  readonly #program: string;
  readonly #directory: string;
  readonly #before: readonly string[];
  #process: ChildProcess | null = null;
  #port = 0;

  /** `before` is put before its command. */
  constructor(program: string, directory: string, before: readonly string[] = []) {
    this.#program = program;
    this.#directory = directory;
    this.#before = before;
  }

  get url(): string {
    return `127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    const ports = `${this.#directory}-ports`;
    for (const path of [this.#directory, ports]) mkdirSync(path, { recursive: true });
    const port = this.#port === 0 ? "-1" : `${this.#port}`;
    const place = ["--store_dir", this.#directory, "--ports_file_dir", ports];
    const args = ["--jetstream", "--addr", "127.0.0.1", "--port", port, ...place];
    const [command, ...rest] = [...this.#before, this.#program, ...args] as [string, ...string[]];
    this.#process = spawn(command, rest, { stdio: "ignore" });
    const file = join(ports, `nats-server_${this.#process.pid}.ports`);
    for (const end = Date.now() + START_MS; !existsSync(file); ) {
      if (Date.now() > end || this.#process.exitCode !== null) throw new Error("nats-server does not start");
      await sleep(20);
    }
    await sleep(20); // the file is written at once, but not before it is there
    const [url] = JSON.parse(readFileSync(file, "utf8")).nats as [string];
    this.#port = Number(new URL(url).port);
  }

  connect(): Promise<NatsConnection> {
    return connect({ servers: this.url, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
  }

  /** Kills it, as a machine does that loses power but not its disk. */
  async kill(): Promise<void> {
    const running = this.#process;
    this.#process = null;
    if (running === null || running.exitCode !== null) return;
    const gone = new Promise((resolve) => running.once("exit", resolve));
    running.kill("SIGKILL");
    await gone;
  }
}
