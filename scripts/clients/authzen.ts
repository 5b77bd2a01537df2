/* Ask a decision point over OpenID AuthZEN 1.0. Copy this file into a service; it needs `fetch` alone, and Node 22.18
 * and newer run it as it is.
 *
 *   const pdp = new DecisionPoint("https://authz.example.com", process.env.AUTHZEN_TOKEN ?? "", {
 *     log: ({ reason, requestId }) => logger.error(`authorization failed: ${reason} (${requestId})`),
 *   });
 *   const question: Question = {
 *     subject: { type: "user", id: "alice" },
 *     action: { name: "read" },
 *     resource: { type: "record", id: "record-1" },
 *   };
 *   if (!(await pdp.evaluate(question))) return new Response(null, { status: 403 });
 *   const allowed = await pdp.evaluateAll(questions);
 *   const visible = records.filter((_, place) => allowed[place] === true);
 *
 * A service that is called with bearer tokens asks about the token itself, which needs `tokens:introspect` too:
 *
 *   const { allowed, status, challenge, caller } = await pdp.evaluateToken(token, "GET", { type: "route", id: "orders:/v1" });
 *
 * Make one when the service starts and keep it. The token is an API key or a JWT that holds `decisions:evaluate`.
 * Whatever goes wrong is `false`, never an exception: no connection, no answer in time, a status other than 200, a
 * redirect, a body that is not what AuthZEN says. Only `decision: true` is true. Answers are plain booleans because
 * every object is true in JavaScript; why there is no decision goes to `log`. A promise is true too: `await` it, and ask for
 * lists with `evaluateAll`, never inside `filter`.
 */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
export type Properties = { readonly [name: string]: Json };
export type Entity = { readonly type: string; readonly id: string; readonly properties?: Properties };
export type Action = { readonly name: string; readonly properties?: Properties };
export type Question = {
  readonly subject: Entity;
  readonly action: Action;
  readonly resource: Entity;
  readonly context?: Properties;
};

/** Who sent a token. A key or an app, `id`, acts for the user `owner`. */
export type Caller = {
  readonly type: "user" | "key" | "app";
  readonly id: string;
  readonly owner: string;
  readonly permissions: readonly string[];
};

/**
 * An answer about a token. `status` is what to answer to the caller: 200, 401, 403, 429 after too many bad tokens, or 503
 * if there is no decision; `challenge` is the header `WWW-Authenticate` of a 401 or 403, `retryAfter` are the seconds of a
 * 429 or 503. `caller` is there for a token that is accepted.
 */
export type TokenVerdict = {
  readonly allowed: boolean;
  readonly status: 200 | 401 | 403 | 429 | 503;
  readonly challenge: string;
  readonly retryAfter?: number;
  readonly caller?: Caller;
};

/** Why there is no decision; it never holds the token. The decision point's log has the same request id. */
export type Failure = { readonly reason: string; readonly requestId: string };

export type Options = {
  /** Milliseconds for a whole call: all its batches, and trying again. */
  readonly timeout?: number;
  /** Questions in one request, 1 to 1000. */
  readonly batch?: number;
  readonly log?: (failure: Failure) => void;
};

const EVALUATION = "/access/v1/evaluation";
const EVALUATIONS = "/access/v1/evaluations";
const MAX_BATCH = 1000;
const MAX_ANSWER = 4_000_000; // bytes; a thousand explained decisions are a tenth of that
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/; // RFC 6750, section 2.1
const HINTS: Record<number, string> = {
  401: ": it does not take our token",
  403: ": our token lacks decisions:evaluate or tokens:introspect",
};

export class DecisionPoint {
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #timeout: number;
  readonly #batch: number;
  readonly #log: (failure: Failure) => void;

  /** Throws a RangeError or TypeError for settings with which no call could ever succeed. */
  constructor(url: string, token: string, { timeout = 1000, batch = 100, log = warn }: Options = {}) {
    const where = new URL(url);
    if (!/^https?:$/.test(where.protocol) || where.username || where.password || where.search || where.hash) {
      throw new RangeError("the URL must be http or https, with a host, without credentials, query and fragment");
    }
    if (!TOKEN.test(token)) throw new RangeError("the token is empty or has characters that no bearer token has");
    if (!(timeout > 0 && timeout < 2 ** 31)) throw new RangeError("the timeout must be more than 0 milliseconds");
    if (!(Number.isInteger(batch) && batch >= 1 && batch <= MAX_BATCH)) {
      throw new RangeError(`a batch has 1 to ${MAX_BATCH} questions`);
    }
    this.#url = where.href.replace(/\/+$/, "");
    this.#headers = {
      Authorization: `Bearer ${token}`,
      "Content-Type": "application/json",
      Accept: "application/json",
      "Accept-Encoding": "identity",
    };
    this.#timeout = timeout;
    this.#batch = batch;
    this.#log = log;
  }

  /** Whether the decision point allows it. */
  async evaluate(question: Question): Promise<boolean> {
    const call = this.#start();
    try {
      return decision(await this.#ask(EVALUATION, encode(question), call));
    } catch (error) {
      return this.#deny(error, call);
    }
  }

  /**
   * Whether the decision point accepts the token, and allows its caller the action. With `ip`, the address that sent the
   * token, its bad tokens are counted for that address alone.
   */
  async evaluateToken(token: string, action: string, resource: Entity, ip = ""): Promise<TokenVerdict> {
    if (token === "") return { allowed: false, status: 401, challenge: "Bearer" };
    const call = this.#start();
    const subject = { type: "token", id: token };
    const question = { subject, action: { name: action }, resource, ...(ip !== "" && { context: { ip } }) };
    try {
      return tokenVerdict(await this.#ask(EVALUATION, encode(question), call));
    } catch (error) {
      return { allowed: this.#deny(error, call), status: 503, challenge: "", retryAfter: 1 };
    }
  }

  /**
   * An answer for each question, in order, asked in batches.
   *
   * A question that cannot be sent, or whose decision cannot be read, is denied alone. A batch without an answer ends
   * the call: what it asked and what was still to be asked is denied, and a decision point in trouble is left in peace.
   */
  async evaluateAll(questions: Iterable<Question>): Promise<boolean[]> {
    const call = this.#start();
    const all = [...questions];
    const allowed = all.map(() => false);
    const sendable: [place: number, body: string][] = [];
    for (const [place, question] of all.entries()) {
      try {
        sendable.push([place, encode(question)]);
      } catch (error) {
        this.#deny(error, call);
      }
    }
    try {
      for (let start = 0; start < sendable.length; start += this.#batch) {
        const batch = sendable.slice(start, start + this.#batch);
        const body = `{"evaluations":[${batch.map(([, item]) => item).join(",")}]}`;
        const answers = items(await this.#ask(EVALUATIONS, body, call), batch.length);
        for (const [index, [place]] of batch.entries()) {
          try {
            allowed[place] = decision(answers[index]);
          } catch (error) {
            this.#deny(error, call);
          }
        }
      }
    } catch (error) {
      this.#deny(error, call);
    }
    return allowed;
  }

  #start(): Call {
    const deadline = performance.now() + this.#timeout;
    return { requestId: crypto.randomUUID(), deadline, signal: AbortSignal.timeout(this.#timeout) };
  }

  #deny(error: unknown, { requestId }: Call): false {
    this.#log({ reason: told(error, this.#timeout), requestId });
    return false;
  }

  /** The JSON that was answered. An evaluation changes nothing, so one more try is safe, if there is time. */
  async #ask(path: string, body: string, call: Call): Promise<unknown> {
    let pause = 10 + 40 * Math.random();
    try {
      return await this.#post(path, body, call);
    } catch (error) {
      if (error instanceof Busy) pause = Math.max(pause, error.retryAfter);
      else if (error instanceof Unanswered) throw error;
      if (performance.now() + pause >= call.deadline) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
    return await this.#post(path, body, call);
  }

  async #post(path: string, body: string, { requestId, signal }: Call): Promise<unknown> {
    const headers = { ...this.#headers, "X-Request-ID": requestId };
    const answer = await fetch(this.#url + path, { method: "POST", headers, body, signal, redirect: "manual" });
    if (answer.status === 200) return await read(answer);
    await answer.body?.cancel();
    if (answer.status === 503) throw new Busy(answer.headers.get("Retry-After") ?? "0");
    throw new Unanswered(`the decision point answered ${answer.status}${HINTS[answer.status] ?? ""}`);
  }
}

type Call = { readonly requestId: string; readonly deadline: number; readonly signal: AbortSignal };

/** There is no decision, and why. Private to this file. */
class Unanswered extends Error {}

/** 503. `retryAfter` is in milliseconds, and more than anyone waits when it was given as a date. */
class Busy extends Unanswered {
  readonly retryAfter: number;

  constructor(retryAfter: string) {
    super("the decision point answered 503: it cannot decide now");
    this.retryAfter = /^[0-9]{1,4}$/.test(retryAfter) ? Number(retryAfter) * 1000 : Number.POSITIVE_INFINITY;
  }
}

function encode(question: Question): string {
  try {
    const body: string | undefined = JSON.stringify(question, (_, value: unknown) => {
      if (typeof value === "number" && !Number.isFinite(value)) throw new RangeError("JSON has no such number");
      return value;
    });
    if (body === undefined) throw new TypeError("JSON has no such value");
    return body;
  } catch (error) {
    throw new Unanswered(`the question cannot be sent as JSON: ${name(error)}`);
  }
}

async function read(answer: Response): Promise<unknown> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of answer.body ?? []) {
    pieces.push(piece);
    length += piece.length;
    if (length > MAX_ANSWER) throw new Unanswered(`the answer is longer than ${MAX_ANSWER} bytes`);
  }
  try {
    const text = pieces.map((piece) => decoder.decode(piece, { stream: true })).join("") + decoder.decode();
    return JSON.parse(text);
  } catch {
    throw new Unanswered("the answer is not JSON");
  }
}

function items(answer: unknown, asked: number): readonly unknown[] {
  const found = field(answer, "evaluations");
  if (!Array.isArray(found)) throw new Unanswered("the answer has no list of evaluations");
  // Which answers which is then anyone's guess.
  if (found.length !== asked) throw new Unanswered(`the answer has ${found.length} decisions for ${asked} questions`);
  return found;
}

function decision(answer: unknown): boolean {
  const found = field(answer, "decision");
  if (typeof found !== "boolean") throw new Unanswered("the answer's decision is neither true nor false");
  return found;
}

/** Throws Unanswered for an answer whose parts do not agree. */
function tokenVerdict(answer: unknown): TokenVerdict {
  const allowed = decision(answer);
  const context = field(answer, "context");
  const status = field(context, "status");
  const challenge = field(context, "challenge", "");
  if ((status !== 200 && status !== 401 && status !== 403 && status !== 429) || allowed !== (status === 200)) {
    throw new Unanswered("the answer about the token contradicts itself");
  }
  if (typeof challenge !== "string" || !/^[ -~]*$/.test(challenge)) {
    throw new Unanswered("the answer's challenge is not a header");
  }
  const caller = callerOf(field(context, "subject"));
  const isRefused = status === 401 || status === 429;
  if ((caller === undefined) !== isRefused) throw new Unanswered("the answer does not say who sent the token");
  const retryAfter = field(context, "retry_after", 1);
  if (!Number.isInteger(retryAfter) || !(Number(retryAfter) > 0 && Number(retryAfter) < 10_000)) {
    throw new Unanswered("the answer does not say when to try again");
  }
  return { allowed, status, challenge, retryAfter: Number(retryAfter), ...(caller && { caller }) };
}

function callerOf(subject: unknown): Caller | undefined {
  const type = field(subject, "type");
  const id = field(subject, "id");
  const owner = field(subject, "owner", "");
  const permissions = field(subject, "permissions", []);
  if ((type !== "user" && type !== "key" && type !== "app") || typeof id !== "string" || id === "") return undefined;
  if (typeof owner !== "string" || !Array.isArray(permissions)) return undefined;
  return permissions.every((each) => typeof each === "string") ? { type, id, owner, permissions } : undefined;
}

/** What an object has of its own under a name: a prototype that someone polluted decides nothing. */
function field(value: unknown, key: string, missing?: unknown): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return missing;
  return (value as Record<string, unknown>)[key];
}

/** What went wrong, without a word of what the other side sent: it could be our own token. */
function told(error: unknown, timeout: number): string {
  if (error instanceof Unanswered) return error.message;
  if (error instanceof DOMException && error.name === "TimeoutError") return `no answer within ${timeout / 1000} s`;
  const code = field(error instanceof Error ? error.cause : undefined, "code");
  return `no answer: ${typeof code === "string" ? code : name(error)}`;
}

function name(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}

function warn({ reason, requestId }: Failure): void {
  console.warn(`authzen: ${reason} (${requestId})`);
}
