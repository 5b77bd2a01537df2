/**
 * When a request is sent again: only where that cannot do something twice. That is if no connection was made, after a
 * 429, which is sent before any work, or if its method only reads or replaces.
 */

import { ConnectionFailed, type Reply } from "./errors.js";
import { secondsOf } from "./headers.js";

const REPEATABLE = new Set(["GET", "HEAD", "PUT"]);
const TEMPORARY = new Set([502, 503, 504]);

/** The longest wait in seconds: timers end at once after a longer one. */
export const LONGEST_TIMER = 2_000_000;

/** A lost connection. `neverSent` is true only if no connection was made, which browsers do not tell. */
export interface Loss {
  readonly error: ConnectionFailed;
  readonly neverSent: boolean;
}

/** At most `retries` further attempts, as long as no wait is longer than `longestWaitSeconds`. */
export interface RetryPolicy {
  /** 3 by default. */
  readonly retries?: number;
  /** The wait before the first of them if the API states none; it doubles with each. Half a second by default. */
  readonly firstWaitSeconds?: number;
  /** 30 by default. */
  readonly longestWaitSeconds?: number;
}

/** A policy with its defaults. Throws TypeError for a number below 0, or none. */
export function checkedPolicy(policy: RetryPolicy): Required<RetryPolicy> {
  const { retries = 3, firstWaitSeconds = 0.5, longestWaitSeconds = 30 } = policy;
  if (!(retries >= 0 && firstWaitSeconds >= 0 && longestWaitSeconds >= 0 && longestWaitSeconds <= LONGEST_TIMER)) {
    throw new TypeError("the numbers of a retry policy are at least 0, and the longest wait is finite");
  }
  return { retries, firstWaitSeconds, longestWaitSeconds };
}

/** The seconds until the next attempt; undefined if there must not be one. */
export function waitBefore(
  attempt: number,
  method: string,
  outcome: Reply | Loss,
  { retries, firstWaitSeconds, longestWaitSeconds }: Required<RetryPolicy>,
): number | undefined {
  const stated = ("error" in outcome ? undefined : secondsOf(outcome.headers.get("retry-after"))) ?? 0;
  const backoff = firstWaitSeconds * 2 ** attempt;
  if (attempt >= retries || Math.max(stated, backoff) > longestWaitSeconds) return undefined;
  // With some chance in it, so that callers that failed together do not return together; never before what is stated.
  const wait = Math.max(stated * (1 + Math.random() / 10), backoff * (0.5 + Math.random() / 2));
  return mayRepeat(method, outcome) ? wait : undefined;
}

function mayRepeat(method: string, outcome: Reply | Loss): boolean {
  if ("error" in outcome) return outcome.neverSent || REPEATABLE.has(method);
  return outcome.status === 429 || (TEMPORARY.has(outcome.status) && REPEATABLE.has(method));
}
