/**
 * JSON-RPC 2.0 over HTTP: POST / with one request, answered with its result or error. Requests are checked by
 * http/checks.ts before they come here. Batches of requests are refused, since they would get around the
 * limit of open requests.
 *
 * Error codes are those of the specification, and -32000 for what the node refuses; `data` has the error code
 * of the runtime and its facts.
 */

import { StillpointError } from "../errors.ts";
import type { Asked, Routes } from "../http/listener.ts";

/** A method: takes an object of named parameters, and returns or resolves to a JSON value. */
export type Method = (params: Readonly<Record<string, unknown>>, asked: Asked) => unknown;

export type Methods = Readonly<Record<string, Method>>;

interface Answered {
  readonly jsonrpc: "2.0";
  readonly id: string | number | null;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: object };
}

const NOT_A_REQUEST = -32600;
const NO_METHOD = -32601;
const BAD_PARAMS = -32602;
const REFUSED = -32000;

/** The one route. Errors that are not the fault of a request are thrown to the listener. */
export function rpcRoutes(methods: Methods): Routes {
  return { "POST /": (asked) => answer(methods, asked) };
}

async function answer(methods: Methods, asked: Asked): Promise<Answered> {
  const request = asked.body as Record<string, unknown> | null;
  const { jsonrpc, method, params = {}, id: given } = isObject(request) ? request : {};
  const id = typeof given === "string" || typeof given === "number" ? given : null;
  const failed = (code: number, message: string, data?: object): Answered => ({
    jsonrpc: "2.0",
    id,
    error: { code, message, ...(data && { data }) },
  });
  if (jsonrpc !== "2.0" || typeof method !== "string")
    return failed(NOT_A_REQUEST, 'a request is an object with "jsonrpc": "2.0", "id", "method" and "params"');
  if (!Object.hasOwn(methods, method)) {
    const names = Object.keys(methods).join(", ");
    return failed(NO_METHOD, `there is no method ${JSON.stringify(method)}; there are: ${names}`);
  }
  if (!isObject(params)) return failed(BAD_PARAMS, "params must be an object: parameters have names");
  try {
    const result = await (methods[method] as Method)(params, asked);
    return { jsonrpc: "2.0", id, result: result ?? null };
  } catch (error) {
    if (!(error instanceof StillpointError) || error.code === "KERNEL_PANIC") throw error;
    const { code, message, facts } = error;
    return failed(code === "BAD_ARGUMENT" ? BAD_PARAMS : REFUSED, message, { code, facts });
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
