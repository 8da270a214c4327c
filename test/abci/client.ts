/** The other side of a server of ABCI, which keeps to the protocol or does not. */

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { create, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { sizeDelimitedEncode } from "@bufbuild/protobuf/wire";
import { FrameReader } from "../../runtime/abci/frames.ts";
import {
  type AbciApplication,
  type AbciOptions,
  type AbciServer,
  serveAbci,
} from "../../runtime/abci/index.ts";
import {
  RequestSchema,
  type Response,
  ResponseSchema,
} from "../../runtime/abci/messages/tendermint/abci/types_pb.js";

export type Answered = Response["value"];
type Value = NonNullable<MessageInitShape<typeof RequestSchema>["value"]>;
type Name = NonNullable<Value["case"]>;

/** The frame of a request. */
export function request(name: Name, value: object = {}): Uint8Array {
  return sizeDelimitedEncode(RequestSchema, create(RequestSchema, { value: { case: name, value } as Value }));
}

/** Bytes as a message of their own. */
export function framed(message: Uint8Array): Uint8Array {
  const length: number[] = [];
  let left = message.length;
  for (; left >= 0x80; left >>>= 7) length.push((left & 0x7f) | 0x80);
  return Uint8Array.of(...length, left, ...message);
}

export class Client {
  readonly socket: Socket;
  readonly #frames = new FrameReader(2 ** 30);
  readonly #answers: Answered[] = [];
  #wake: () => void = () => undefined;
  isEnded = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#frames.push(chunk);
      for (let frame = this.#frames.next(); frame !== null; frame = this.#frames.next())
        this.#answers.push(fromBinary(ResponseSchema, frame).value);
      this.#wake();
    });
    const ended = (): void => {
      this.isEnded = true;
      this.#wake();
    };
    socket.on("end", ended).on("close", ended).on("error", ended);
  }

  static async connect({ address }: AbciServer): Promise<Client> {
    const { protocol, hostname, port } = new URL(address);
    const socket =
      protocol === "unix:" ? connect(address.slice("unix://".length)) : connect(Number(port), hostname);
    await once(socket, "connect");
    return new Client(socket);
  }

  send(...frames: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** The next answer; null: the other side has ended. */
  async next(): Promise<Answered | null> {
    while (this.#answers.length === 0 && !this.isEnded) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
    return this.#answers.shift() ?? null;
  }

  /** All that comes until the other side ends. */
  async rest(): Promise<Answered[]> {
    const all: Answered[] = [];
    for (let each = await this.next(); each !== null; each = await this.next()) all.push(each);
    return all;
  }

  async ask(name: Name, value: object = {}): Promise<Answered | null> {
    this.send(request(name, value));
    return this.next();
  }
}

/** An application that takes all. */
export const ACCEPTING: AbciApplication = {
  info: () => ({ data: "accepting" }),
  initChain: () => ({}),
  query: ({ data }) => ({ value: data }),
  checkTx: ({ tx }) => ({ data: tx }),
  prepareProposal: ({ txs }) => ({ txs }),
  processProposal: () => ({ status: 1 }),
  finalizeBlock: ({ txs }) => ({ txResults: txs.map(() => ({})) }),
  commit: () => ({}),
};

/** Serves an application while `use` runs. Gives what `onError` was told. */
export async function serving(
  application: Partial<AbciApplication>,
  use: (server: AbciServer, errors: readonly unknown[]) => Promise<void>,
  options: AbciOptions = {},
): Promise<void> {
  const errors: unknown[] = [];
  const onError = (error: unknown): void => void errors.push(error);
  const given = { address: "tcp://127.0.0.1:0", onError, ...options };
  const server = await serveAbci({ ...ACCEPTING, ...application }, given);
  try {
    await use(server, errors);
  } finally {
    await server.close(0);
  }
}
