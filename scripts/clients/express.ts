/* Express middleware that lets a decision point decide about each request. Copy it beside `authzen.ts`.
 *
 *   const pdp = new DecisionPoint(process.env.AUTHZEN_URL ?? "", process.env.AUTHZEN_TOKEN ?? "");
 *   app.enable("case sensitive routing");
 *   app.use(authorization(pdp, "orders"));
 *
 * `service` is the name of your OpenAPI document in the policy's `upstreams/`. Put it before every route. A handler finds
 * the caller in `response.locals.caller`. Nothing but a decision that allows lets a request through.
 *
 * Paths are case-sensitive in a policy, but not in Express by default, where `/Orders/7` could be decided as `/{any}/{id}`
 * and handled as `/orders/:id`. So it needs `app.enable("case sensitive routing")` before the first `app.use`, and
 * `express.Router({ caseSensitive: true })` for other routers.
 */

import type { DecisionPoint } from "./authzen.ts";

/** What this needs of a request and a response of Express. */
type Request = {
  readonly app: { enabled(setting: string): boolean };
  readonly method: string;
  readonly originalUrl: string;
  readonly ip?: string | undefined;
  readonly rawHeaders: readonly string[];
};
type Response = {
  locals: Record<string, unknown>;
  status(code: number): Response;
  set(headers: Readonly<Record<string, string>>): Response;
  json(body: object): unknown;
};
type Next = () => void;

const DETAILS = {
  401: "Authentication credentials were not provided, or are not accepted.",
  403: "Token is missing one or more required permissions.",
  429: "Too many requests.",
  503: "There is no decision now. Try again.",
};

/**
 * With `address`, a function that finds the address of the client in a request, such as `({ ip }) => ip ?? ""` behind the
 * right "trust proxy", bad tokens count for that client alone.
 */
export function authorization(pdp: DecisionPoint, service: string, address: (request: Request) => string = () => "") {
  return async (request: Request, response: Response, next: Next): Promise<void> => {
    if (!request.app.enabled("case sensitive routing")) {
      console.error('authorization: app.enable("case sensitive routing") is missing before the first app.use');
      response.status(503).set({ "Cache-Control": "no-store" }).json({ detail: DETAILS[503] });
      return;
    }
    const path = request.originalUrl.split("?", 1)[0];
    const resource = { type: "route", id: `${service}:${path}` };
    const token = bearerToken(request.rawHeaders);
    const verdict = await pdp.evaluateToken(token, request.method, resource, address(request));
    if (verdict.allowed && verdict.status === 200) {
      response.locals.caller = verdict.caller;
      next();
      return;
    }
    const status = verdict.status === 200 ? 503 : verdict.status;
    response.status(status).set({ "Cache-Control": "no-store" });
    if (verdict.challenge) response.set({ "WWW-Authenticate": verdict.challenge });
    if (status === 429 || status === 503) response.set({ "Retry-After": String(verdict.retryAfter ?? 1) });
    response.json({ detail: DETAILS[status] });
  };
}

/** The token of the only `Authorization` header; empty for any other request. */
function bearerToken(rawHeaders: readonly string[]): string {
  const values = rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === "authorization");
  const value = values.length === 1 ? (values[0] ?? "") : "";
  const space = value.indexOf(" ");
  return space > 0 && value.slice(0, space).toLowerCase() === "bearer" ? value.slice(space + 1) : "";
}
