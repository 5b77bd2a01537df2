/** A client of the Griddy API, with types. */

export type { RequestOptions, RequestOptionsWithBody } from "./attempt.js";
export { Griddy, type GriddyOptions, type Token } from "./client.js";
export {
  BadRequest,
  Conflict,
  ConnectionFailed,
  Forbidden,
  GriddyError,
  NotFound,
  RefusedRequest,
  ServerError,
  TooManyRequests,
  Unauthenticated,
  Unavailable,
  UnexpectedResponse,
} from "./errors.js";
export type { RetryPolicy } from "./exchange.js";
export type { ApiKeys, IssueOptions, RotateOptions } from "./keys.js";
export type * from "./models.js";
export type { Resource } from "./resources.js";
