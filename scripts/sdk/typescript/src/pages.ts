/** Pages of lists. A response names the next one; of that link only the query counts, so that no token leaves the list. */

import type { RequestOptions, RequestOptionsWithBody } from "./attempt.js";
import { isObject, jsonOf, type Reply, UnexpectedResponse } from "./errors.js";
import { linksOf } from "./headers.js";

const QUERY = /^[^?#]*(\?[0-9A-Za-z._~%=&+/:,;@!$()*?-]{1,4000})(?:#.*)?$/;

/** Sends a request, with its retries. Resolves to a response that is a success. */
export type Send = (method: string, path: string, options: RequestOptionsWithBody) => Promise<Reply>;

/** Rows, and the link to the next page; null after the last. Neither is checked yet. */
export interface Page {
  readonly rows: unknown;
  readonly next: unknown;
}

/** A page whose body has the rows and the next page. Throws UnexpectedResponse. */
export function cursorPage(reply: Reply): Page {
  const { results, next }: { results?: unknown; next?: unknown } = bodyOf(reply);
  if (next === undefined) throw new UnexpectedResponse(reply, "it is not a page of rows");
  return { rows: results, next };
}

/** A page whose body is the rows and whose `Link` header names the next page (RFC 8288). Throws UnexpectedResponse. */
export function linkedPage(reply: Reply): Page {
  const links = linksOf(reply.headers.get("link"));
  if (!links) throw new UnexpectedResponse(reply, "its header Link is malformed");
  const next = links.find(({ parameters }) => {
    const relations = (parameters.get("rel") ?? "").toLowerCase().split(" ");
    return relations.includes("next") && !parameters.has("anchor");
  });
  return { rows: jsonOf(reply), next: next?.target ?? null };
}

/** The rows of all pages of a list. Throws UnexpectedResponse. */
export async function* rowsOf<Row>(
  send: Send,
  path: string,
  read: (reply: Reply) => Page,
  { signal }: RequestOptions,
): AsyncGenerator<Row, void, undefined> {
  for (let page: string | undefined = path; page !== undefined; ) {
    const reply: Reply = await send("GET", page, { signal });
    const { rows, next } = read(reply);
    if (!Array.isArray(rows) || !rows.every(isObject)) throw new UnexpectedResponse(reply, "it is not a page of rows");
    const query: string | undefined = typeof next === "string" ? QUERY.exec(next)?.[1] : undefined;
    // Each page has rows and leads to another, so that a list ends.
    if (next !== null && (!rows.length || !query || path + query === page)) {
      throw new UnexpectedResponse(reply, "its link to the next page leads nowhere");
    }
    yield* rows as Row[];
    page = query && path + query;
  }
}

/** The body of a response, which must be an object. Throws UnexpectedResponse. */
export function bodyOf<T extends object>(reply: Reply): T {
  const body = jsonOf(reply);
  if (!isObject(body)) throw new UnexpectedResponse(reply, "it is not an object");
  return body as T;
}
