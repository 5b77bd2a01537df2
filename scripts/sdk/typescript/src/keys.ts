/** The API keys of the signed-in user. */

import { segment } from "./address.js";
import type { RequestOptions } from "./attempt.js";
import type { IssuedKey, KeyView, RotatedKey } from "./models.js";
import { bodyOf, linkedPage, rowsOf, type Send } from "./pages.js";

const API_KEYS = "/api/v1/api-keys/";

/** The properties of a new key that need not be given. */
export interface IssueOptions extends RequestOptions {
  readonly environment?: "live" | "test";
  /** ISO 8601 with an offset. */
  readonly expiresAt?: string | null;
}

/** For how long a rotated key is accepted: a day by default. */
export interface RotateOptions extends RequestOptions {
  readonly graceSeconds?: number;
}

/** The API keys of the signed-in user: no key manages keys. */
export class ApiKeys {
  readonly #send: Send;

  /** A client makes them. */
  constructor(send: Send) {
    this.#send = send;
  }

  /** Issue a key. Store its `plaintext`: no other response has it. */
  async issue(name: string, scopes: readonly string[] = [], options: IssueOptions = {}): Promise<IssuedKey> {
    const { environment = "live", expiresAt = null, signal } = options;
    const json = { name, scopes, environment, expires_at: expiresAt };
    return bodyOf(await this.#send("POST", API_KEYS, { json, signal }));
  }

  /** All keys, newest first, page by page. */
  list(options: RequestOptions = {}): AsyncGenerator<KeyView, void, undefined> {
    return rowsOf(this.#send, API_KEYS, linkedPage, options);
  }

  /** A key by its id. */
  async retrieve(id: number, { signal }: RequestOptions = {}): Promise<KeyView> {
    return bodyOf(await this.#send("GET", `${API_KEYS}${segment(id)}/`, { signal }));
  }

  /** Revoke a key. The next request with it is refused; revoking again changes nothing. */
  async revoke(id: number, { signal }: RequestOptions = {}): Promise<KeyView> {
    return bodyOf(await this.#send("POST", `${API_KEYS}${segment(id)}/revoke/`, { signal }));
  }

  /** Issue a successor of a key, which itself is accepted for `graceSeconds` more. Store its `plaintext`. */
  async rotate(id: number, options: RotateOptions = {}): Promise<RotatedKey> {
    const { graceSeconds = 86_400, signal } = options;
    const json = { grace_seconds: graceSeconds };
    return bodyOf(await this.#send("POST", `${API_KEYS}${segment(id)}/rotate/`, { json, signal }));
  }
}
