/** One attempt of a request, with a limit of its time and of the size of its response. */

import { ConnectionFailed, type Reply, UnexpectedResponse } from "./errors.js";
import type { Loss } from "./exchange.js";

const ENCODING = /^(?:identity|gzip|deflate|br|zstd)$/i; // one, and not one within another
const LARGEST_BODY = 64 * 1024 * 1024;
// What Node calls the steps before anything is sent. Errors of browsers do not tell.
const CONNECTING = new Set<unknown>(["connect", "getaddrinfo"]);

/** What each call takes. */
export interface RequestOptions {
  /** Ends the call, also its waits; it then rejects with the reason of the signal. */
  readonly signal?: AbortSignal | undefined;
}

/** What a call with a body takes. */
export interface RequestOptionsWithBody extends RequestOptions {
  /** The body, which is written as JSON. */
  readonly json?: unknown;
}

/** Send a request once. Rejects with the reason of `signal`, and with UnexpectedResponse for a body that is too long. */
export async function attempt(
  fetch: typeof globalThis.fetch,
  url: string,
  init: RequestInit,
  timeoutSeconds: number,
  signal: AbortSignal | undefined,
): Promise<Reply | Loss> {
  signal?.throwIfAborted();
  const controller = new AbortController(); // AbortSignal.any is missing in Node 20.0 to 20.2
  const stop = (): void => controller.abort(signal?.reason);
  signal?.addEventListener("abort", stop);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    controller.abort();
  }, timeoutSeconds * 1000);
  try {
    // Not every `fetch` rejects after its signal: that of Node 20 may wait for ever for a body that cannot be decoded.
    const sent = fetch(url, { ...init, redirect: "manual", signal: controller.signal });
    const response = await unlessAborted(sent, controller.signal);
    const { status, headers } = response;
    const redirects = response.type === "opaqueredirect" || (status >= 300 && status < 400);
    const statusText = redirects ? "the address of the API redirects" : response.statusText;
    return { status, statusText, headers, body: await bodyOf(response, controller.signal) };
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof UnexpectedResponse) throw error;
    const message = late ? `no complete response within ${timeoutSeconds} seconds` : messageOf(error);
    const failure = new ConnectionFailed(`${new URL(url).origin}: ${message}`, { cause: error });
    return { error: failure, neverSent: wasNeverSent(error) };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}

/** Wait. Rejects with the reason of `signal`. */
export async function pause(seconds: number, signal: AbortSignal | undefined): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    await unlessAborted(new Promise((resolve) => (timer = setTimeout(resolve, seconds * 1000))), signal);
  } finally {
    clearTimeout(timer);
  }
}

/** What is awaited, or a rejection with the reason of `signal`, whichever comes first. */
export async function unlessAborted<T>(awaited: T | Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return awaited;
  signal.throwIfAborted();
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop);
  });
  try {
    return await Promise.race([awaited, aborted]);
  } finally {
    if (stop) signal.removeEventListener("abort", stop);
  }
}

async function bodyOf(response: Response, signal: AbortSignal): Promise<ArrayBuffer> {
  if (!ENCODING.test(response.headers.get("content-encoding") ?? "identity")) {
    void response.body?.cancel().catch(() => undefined); // as below
    throw new UnexpectedResponse(response, "the encoding of its body was not asked for");
  }
  if (!response.body) return new ArrayBuffer(0);
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await unlessAborted(reader.read(), signal);
      if (done) break;
      chunks.push(value);
      size += value.byteLength;
      if (size > LARGEST_BODY) throw new UnexpectedResponse(response, `its body has more than ${LARGEST_BODY} bytes`);
    }
  } catch (error) {
    void reader.cancel().catch(() => undefined); // the connection is of no more use, however that ends
    throw error;
  }
  const body = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.byteLength;
  }
  return body.buffer;
}

/** The causes of an error of `fetch`: several if a host has several addresses. */
function causesOf(error: unknown): unknown[] {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof AggregateError ? cause.errors : [cause];
}

function wasNeverSent(error: unknown): boolean {
  const causes = causesOf(error);
  return causes.length > 0 && causes.every((cause) => {
    const { syscall, code } = (cause ?? {}) as { syscall?: unknown; code?: unknown };
    return CONNECTING.has(syscall) || code === "UND_ERR_CONNECT_TIMEOUT";
  });
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return "no connection";
  const [cause] = causesOf(error);
  return cause instanceof Error ? `${error.message}: ${cause.message}` : error.message;
}
