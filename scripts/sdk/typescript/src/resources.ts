/** Resources of the API. */

import { segment } from "./address.js";
import type { RequestOptions } from "./attempt.js";
import { bodyOf, cursorPage, rowsOf, type Send } from "./pages.js";

/** The rows of a table at a path such as `/api/v1/teams/`. */
export class Resource<Row extends object, Body, Patch> {
  readonly #send: Send;
  readonly #path: string;

  /** A client makes them. */
  constructor(send: Send, path: string) {
    this.#send = send;
    this.#path = path;
  }

  /** All rows by ascending id, page by page. */
  list(options: RequestOptions = {}): AsyncGenerator<Row, void, undefined> {
    return rowsOf(this.#send, this.#path, cursorPage, options);
  }

  /** Create a row. */
  async create(body: Body, { signal }: RequestOptions = {}): Promise<Row> {
    return bodyOf(await this.#send("POST", this.#path, { json: body, signal }));
  }

  /** A row by its id. */
  async retrieve(id: number, { signal }: RequestOptions = {}): Promise<Row> {
    return bodyOf(await this.#send("GET", this.#row(id), { signal }));
  }

  /** Replace all fields of a row. */
  async replace(id: number, body: Body, { signal }: RequestOptions = {}): Promise<Row> {
    return bodyOf(await this.#send("PUT", this.#row(id), { json: body, signal }));
  }

  /** Change some fields of a row. */
  async change(id: number, patch: Patch, { signal }: RequestOptions = {}): Promise<Row> {
    return bodyOf(await this.#send("PATCH", this.#row(id), { json: patch, signal }));
  }

  /** Delete a row. */
  async delete(id: number, { signal }: RequestOptions = {}): Promise<void> {
    await this.#send("DELETE", this.#row(id), { signal });
  }

  #row(id: number): string {
    return `${this.#path}${segment(id)}/`;
  }
}
