/** The client. */

import { attempt, pause, type RequestOptionsWithBody, unlessAborted } from "./attempt.js";
import { checkedBase, checkedPath, checkedToken, segment } from "./address.js";
import { errorOf, jsonOf, type Reply } from "./errors.js";
import { checkedPolicy, LONGEST_TIMER, type Loss, type RetryPolicy, waitBefore } from "./exchange.js";
import { bearerChallenge } from "./headers.js";
import { ApiKeys } from "./keys.js";
import type * as m from "./models.js";
import { Resource } from "./resources.js";

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** A token or an API key, or a function that returns the current one, which is called before each attempt. */
export type Token = string | (() => string | Promise<string>);

/** What a client may be given. */
export interface GriddyOptions {
  /** For each attempt, with its body; 10 by default. */
  readonly timeoutSeconds?: number;
  readonly retry?: RetryPolicy;
  /** Another `fetch`, for example for a proxy. */
  readonly fetch?: typeof globalThis.fetch;
}

/** A client of the API at `baseUrl`. */
export class Griddy {
  readonly #base: string;
  readonly #token: Token;
  readonly #timeoutSeconds: number;
  readonly #retry: Required<RetryPolicy>;
  readonly #fetch: typeof globalThis.fetch;

  readonly apiKeys: ApiKeys;
  readonly leagues: Resource<m.League, m.LeagueBody, m.LeaguePatch>;
  readonly seasons: Resource<m.Season, m.SeasonBody, m.SeasonPatch>;
  readonly franchises: Resource<m.Franchise, m.FranchiseBody, m.FranchisePatch>;
  readonly teams: Resource<m.Team, m.TeamBody, m.TeamPatch>;
  readonly venues: Resource<m.Venue, m.VenueBody, m.VenuePatch>;
  readonly games: Resource<m.Game, m.GameBody, m.GamePatch>;
  readonly sources: Resource<m.Source, m.SourceBody, m.SourcePatch>;
  readonly acquisitions: Resource<m.Acquisition, m.AcquisitionBody, m.AcquisitionPatch>;
  readonly videoAssets: Resource<m.VideoAsset, m.VideoAssetBody, m.VideoAssetPatch>;
  readonly tags: Resource<m.Tag, m.TagBody, m.TagPatch>;

  /** Throws TypeError for an address to which no token may be sent, and for other values that no client can have. */
  constructor(baseUrl: string, token: Token, options: GriddyOptions = {}) {
    const { timeoutSeconds = 10, retry = {}, fetch } = options;
    if (!(timeoutSeconds > 0 && timeoutSeconds <= LONGEST_TIMER)) {
      throw new TypeError(`a timeout is a number of seconds: ${timeoutSeconds}`);
    }
    this.#base = checkedBase(baseUrl);
    this.#token = typeof token === "function" ? token : checkedToken(token);
    this.#timeoutSeconds = timeoutSeconds;
    this.#retry = checkedPolicy(retry);
    this.#fetch = fetch ?? ((input, init) => globalThis.fetch(input, init));
    this.apiKeys = new ApiKeys(this.#send);
    this.leagues = this.#resource("leagues");
    this.seasons = this.#resource("seasons");
    this.franchises = this.#resource("franchises");
    this.teams = this.#resource("teams");
    this.venues = this.#resource("venues");
    this.games = this.#resource("games");
    this.sources = this.#resource("sources");
    this.acquisitions = this.#resource("acquisitions");
    this.videoAssets = this.#resource("video-assets");
    this.tags = this.#resource("tags");
  }

  /** The drives of a game. */
  drives(gameId: number): Resource<m.Drive, m.DriveBody, m.DrivePatch> {
    return this.#resource(`games/${segment(gameId)}/drives`);
  }

  /** The tags of a video asset. */
  videoAssetTags(videoAssetId: number): Resource<m.VideoAssetTag, m.VideoAssetTagBody, m.VideoAssetTagPatch> {
    return this.#resource(`video-assets/${segment(videoAssetId)}/tags`);
  }

  /** Send any request. Resolves to the body of the response, undefined if it is empty. Rejects with GriddyError. */
  async request<T = unknown>(method: string, path: string, options: RequestOptionsWithBody = {}): Promise<T> {
    const reply = await this.#send(method, path, options);
    return (reply.body.byteLength ? jsonOf(reply) : undefined) as T;
  }

  /** Send a request, again where that is safe. Resolves to a response that is a success. Rejects with GriddyError. */
  async send(method: string, path: string, options: RequestOptionsWithBody = {}): Promise<Response> {
    const { status, statusText, headers, body } = await this.#send(method, path, options);
    return new Response(body.byteLength ? body : null, { status, statusText, headers });
  }

  /** What Node prints: never the token. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `Griddy(${this.#base})`;
  }

  readonly #send = async (method: string, path: string, options: RequestOptionsWithBody): Promise<Reply> => {
    const verb = method.toUpperCase();
    if (!METHODS.has(verb)) throw new TypeError(`a method is one of ${[...METHODS].join(", ")}: ${method}`);
    const url = this.#base + checkedPath(path);
    const { json, signal } = options;
    const body = json === undefined ? undefined : JSON.stringify(json);
    let token = await this.#currentToken(signal);
    let mayRenew = typeof this.#token === "function";
    for (let attempts = 0; ; ) {
      const outcome = await attempt(this.#fetch, url, initOf(verb, token, body), this.#timeoutSeconds, signal);
      if (mayRenew && isRefusedToken(outcome)) {
        mayRenew = false;
        const refused = token;
        token = await this.#currentToken(signal);
        if (token !== refused) continue;
      }
      if ("status" in outcome && outcome.status >= 200 && outcome.status < 300) return outcome;
      const wait = waitBefore(attempts++, verb, outcome, this.#retry);
      if (wait === undefined) throw "error" in outcome ? outcome.error : errorOf(outcome);
      await pause(wait, signal);
      token = await this.#currentToken(signal);
    }
  };

  async #currentToken(signal: AbortSignal | undefined): Promise<string> {
    if (typeof this.#token === "string") return this.#token;
    return checkedToken(await unlessAborted(this.#token(), signal));
  }

  #resource<Row extends object, Body, Patch>(path: string): Resource<Row, Body, Patch> {
    return new Resource<Row, Body, Patch>(this.#send, `/api/v1/${path}/`);
  }
}

function initOf(method: string, token: string, body: string | undefined): RequestInit {
  const headers = { Authorization: `Bearer ${token}` };
  return body === undefined
    ? { method, headers }
    : { method, headers: { ...headers, "Content-Type": "application/json" }, body };
}

function isRefusedToken(outcome: Reply | Loss): boolean {
  if ("error" in outcome || outcome.status !== 401) return false;
  return bearerChallenge(outcome.headers.get("www-authenticate")).get("error") === "invalid_token";
}
