/** What the API refuses, as errors: catch the one that the caller can do something about. */

import { missingScopes, secondsOf } from "./headers.js";

const DETAIL_LENGTH = 1000;
// Also halves of characters, and changes of the direction of text.
const CONTROLS = /[\p{Cc}\p{Cs}\u2028-\u202e\u2066-\u2069]+/gu;

/** A response whose body was read, without its request, which has the token. */
export interface Reply {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Headers;
  readonly body: ArrayBuffer;
}

/** A request failed. */
export class GriddyError extends Error {
  override name = "GriddyError";
}

/** The API could not be reached, or the connection ended before its response, or there was none in time. */
export class ConnectionFailed extends GriddyError {
  override name = "ConnectionFailed";
}

/** A response is not one of the API: something else answers at its address. */
export class UnexpectedResponse extends GriddyError {
  override name = "UnexpectedResponse";
  readonly status: number;
  readonly requestId: string | undefined;

  constructor({ status, headers }: Pick<Reply, "status" | "headers">, reason: string) {
    super(`${status}: the response is not one of the API: ${reason}`);
    this.status = status;
    this.requestId = headers.get("x-request-id") ?? undefined;
  }
}

/** The API refused a request with a status and a detail. `requestId` finds it in the log of the server. */
export class RefusedRequest extends GriddyError {
  override name = "RefusedRequest";
  /** In browsers, which do not show redirects to programs, 0 for a redirect. */
  readonly status: number;
  readonly detail: string;
  readonly requestId: string | undefined;
  readonly headers: Headers;
  /** The body, if it is an object of JSON. */
  readonly body: Readonly<Record<string, unknown>>;

  constructor(reply: Reply) {
    const body = objectOf(reply) ?? {};
    const detail = line([body["detail"], body["error_description"], reply.statusText]);
    super(`${reply.status}: ${detail}`);
    this.status = reply.status;
    this.detail = detail;
    this.requestId = reply.headers.get("x-request-id") ?? undefined;
    this.headers = reply.headers;
    this.body = body;
  }
}

/** 400, 413, 415 or 422: the request is invalid. `errors` are messages by field. */
export class BadRequest extends RefusedRequest {
  override name = "BadRequest";
  readonly errors: Readonly<Record<string, string>>;

  constructor(reply: Reply) {
    super(reply);
    const errors: unknown[] = Array.isArray(this.body["errors"]) ? this.body["errors"] : [];
    this.errors = Object.fromEntries(
      errors.filter(isFieldError).map(({ field, message }) => [field, message] as const),
    );
  }
}

/** 401: fix your token or key. */
export class Unauthenticated extends RefusedRequest {
  override name = "Unauthenticated";
}

/** 403: ask for more scope. `missing` are the permissions that would have been necessary, if they are known. */
export class Forbidden extends RefusedRequest {
  override name = "Forbidden";
  readonly missing: readonly string[];

  constructor(reply: Reply) {
    super(reply);
    this.missing = missingScopes(reply.headers.get("www-authenticate"));
  }
}

/** 404: there is no such thing, or it belongs to another caller. */
export class NotFound extends RefusedRequest {
  override name = "NotFound";
}

/** 409: the request contradicts what is stored. */
export class Conflict extends RefusedRequest {
  override name = "Conflict";
}

/** 429: wait `retryAfter` seconds. */
export class TooManyRequests extends RefusedRequest {
  override name = "TooManyRequests";
  readonly retryAfter: number | undefined;

  constructor(reply: Reply) {
    super(reply);
    this.retryAfter = secondsOf(reply.headers.get("retry-after"));
  }
}

/** 500 and above: report it with the `requestId`. */
export class ServerError extends RefusedRequest {
  override name = "ServerError";
}

/** 503: the API cannot serve the request now. Wait `retryAfter` seconds, if it says so. */
export class Unavailable extends ServerError {
  override name = "Unavailable";
  readonly retryAfter: number | undefined;

  constructor(reply: Reply) {
    super(reply);
    this.retryAfter = secondsOf(reply.headers.get("retry-after"));
  }
}

const TYPES: ReadonlyMap<number, new (reply: Reply) => RefusedRequest> = new Map([
  [400, BadRequest],
  [401, Unauthenticated],
  [403, Forbidden],
  [404, NotFound],
  [409, Conflict],
  [413, BadRequest],
  [415, BadRequest],
  [422, BadRequest],
  [429, TooManyRequests],
  [503, Unavailable],
]);

/** The error for a response that is no success. */
export function errorOf(reply: Reply): RefusedRequest {
  const type = TYPES.get(reply.status) ?? (reply.status >= 500 ? ServerError : RefusedRequest);
  return new type(reply);
}

/** The body of a response. Throws UnexpectedResponse if it is no JSON. */
export function jsonOf(reply: Reply): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(reply.body));
  } catch {
    throw new UnexpectedResponse(reply, "it is not JSON");
  }
}

/** Whether a value is an object of JSON. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function objectOf(reply: Reply): Record<string, unknown> | undefined {
  try {
    const body = jsonOf(reply);
    return isObject(body) ? body : undefined;
  } catch {
    return undefined;
  }
}

function isFieldError(value: unknown): value is { field: string; message: string } {
  return isObject(value) && typeof value["field"] === "string" && typeof value["message"] === "string";
}

/** The first text that is not empty, as one line: it is shown in terminals and logs. */
function line(texts: unknown[]): string {
  const text = texts.find((each): each is string => typeof each === "string" && each !== "") ?? "no detail";
  return text.slice(0, DETAIL_LENGTH).replace(CONTROLS, " ");
}
