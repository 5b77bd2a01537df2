/** Where a token may be sent, and what a token is. */

const BASE = /^(https?):\/\/[^/?#\\\s]+\/?$/i;
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/; // RFC 6750, section 2.1
const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];
// No address of another host, and nothing that a parser of addresses changes or removes.
const PATH = /^\/(?!\/)[!"$-[\]-~]{0,8000}$/;
const DOTS = /\/(?:\.|%2e){1,2}(?:\/|$)/i;

/** The origin of an API. Throws TypeError for one to which a token would travel in the clear, or with a path. */
export function checkedBase(url: string): string {
  if (url.includes("@")) {
    throw new TypeError("the address of the API has a user or a password: remove it, since the token is an argument");
  }
  const scheme = BASE.exec(url)?.[1]?.toLowerCase();
  if (!scheme || !URL.canParse(url)) {
    throw new TypeError(`the address of the API is a scheme and a host, such as https://api.example.com, not "${url}"`);
  }
  const { hostname, origin } = new URL(url);
  if (scheme !== "https" && !LOOPBACK.includes(hostname)) {
    throw new TypeError(`the address of the API must begin with https://, since requests carry a token: ${url}`);
  }
  return origin;
}

/** A path of the API, with its query. Throws TypeError for one that leads elsewhere, or that a parser would change. */
export function checkedPath(path: string): string {
  const [withoutQuery = ""] = path.split("?", 1);
  if (!PATH.test(path) || DOTS.test(withoutQuery)) {
    const shown = path.slice(0, 100);
    throw new TypeError(`a path of the API begins with one slash, is percent-encoded and has no dots as a segment: ${shown}`);
  }
  return path;
}

/** A token or an API key. Throws TypeError, without the token, for what cannot be one: `fetch` would show it. */
export function checkedToken(token: unknown): string {
  if (typeof token === "string" && TOKEN.test(token)) return token;
  throw new TypeError("the token is empty or has characters that no token has, such as a space or a line end");
}

/** An id as a segment of a path. Throws TypeError for anything but an integer. */
export function segment(id: number): string {
  if (!Number.isSafeInteger(id)) throw new TypeError(`an id is an integer: ${String(id)}`);
  return String(id);
}
